from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from srsdk import _kernels, reference

FACTORS = [1, 2, 3, 4, 8]


@pytest.mark.parametrize("r", FACTORS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("size", [(1, 1), (3, 7), (5, 16), (9, 33)])
@pytest.mark.usefixtures("isa")
def test_equals_reference(r: int, dtype: Any, size: Any, rng: np.random.Generator) -> None:
    for batch in [(), (2,), (0,), (2, 3)]:
        x = rng.standard_normal((*batch, 2 * r * r, *size)).astype(dtype)
        got = _kernels.pixel_shuffle(x, r)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, reference.pixel_shuffle(x, r))


@pytest.mark.parametrize("r", FACTORS)
def test_reference_equals_torch(r: int, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    x = rng.standard_normal((2, 3 * r * r, 5, 6)).astype(np.float32)
    expected = torch.nn.functional.pixel_shuffle(torch.from_numpy(x), r).numpy()
    np.testing.assert_array_equal(reference.pixel_shuffle(x, r), expected)


@pytest.mark.usefixtures("isa")
def test_strides_and_surroundings(rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 20, 30, 40)).astype(np.float32)[::-2, 1:13, 5:11, 3:20]
    canvas = np.full((2, 5, 20, 50), 9, np.float32)
    expected = canvas.copy()
    region = (slice(None), slice(1, 4), slice(2, 14), slice(7, 41))
    expected[region] = reference.pixel_shuffle(x, 2)
    _kernels.pixel_shuffle_into(canvas[region], x, 2)
    np.testing.assert_array_equal(canvas, expected)


def test_bad_arguments() -> None:
    x = np.zeros((12, 4, 5), np.float32)
    with pytest.raises(ValueError, match="r must be 1, 2, 3, 4 or 8, got 5"):
        _kernels.pixel_shuffle(x, 5)
    with pytest.raises(ValueError, match="multiple of r \\* r = 9"):
        _kernels.pixel_shuffle(x, 3)
    with pytest.raises(ValueError, match="must be"):
        _kernels.pixel_shuffle(x[0], 2)
    with pytest.raises(ValueError, match="float32 or float16, got float64"):
        _kernels.pixel_shuffle(x.astype(np.float64), 2)
    with pytest.raises(ValueError, match="same dtype"):
        _kernels.pixel_shuffle_into(np.zeros((3, 8, 10), np.float16), x, 2)
    with pytest.raises(ValueError, match="does not fit"):
        _kernels.pixel_shuffle_into(np.zeros((3, 8, 11), np.float32), x, 2)
    with pytest.raises(ValueError, match="number of axes"):
        _kernels.pixel_shuffle_into(np.zeros((1, 3, 8, 10), np.float32), x, 2)
    with pytest.raises(ValueError, match="overlaps x"):
        _kernels.pixel_shuffle_into(x.reshape(3, 8, 10), x, 2)
