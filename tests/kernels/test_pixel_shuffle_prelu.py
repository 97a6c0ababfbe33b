from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from srsdk import _kernels, reference

from .cases import pixel_shuffle_prelu

FACTORS = [1, 2, 3, 4, 8]


def parameters(rng: np.random.Generator, c: int, r: int) -> tuple[Any, Any]:
    bias = rng.uniform(-1, 1, c * r * r).astype(np.float32)
    return bias, rng.uniform(-0.2, 0.6, c).astype(np.float32)


@pytest.mark.parametrize("r", FACTORS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("threads", [1, 3])
def test_equals_reference(r: int, dtype: Any, threads: int, rng: np.random.Generator) -> None:
    bias, slope = parameters(rng, 3, r)
    for batch in [(), (2,), (0,)]:
        x = rng.standard_normal((*batch, 3 * r * r, 9, 17)).astype(dtype)
        for given_bias in (bias, None):
            for given_slope in (slope, slope[:1]):
                expected = reference.pixel_shuffle_prelu(x, r, given_bias, given_slope)
                got = _kernels.pixel_shuffle_prelu(x, r, given_bias, given_slope, threads=threads)
                assert got.dtype == dtype
                np.testing.assert_array_equal(got, expected)


def test_reference_equals_torch(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    x = rng.standard_normal((2, 12, 5, 6)).astype(np.float32)
    bias, slope = parameters(rng, 3, 2)
    biased = torch.from_numpy(x) + torch.from_numpy(bias)[:, None, None]
    expected = functional.prelu(functional.pixel_shuffle(biased, 2), torch.from_numpy(slope))
    np.testing.assert_array_equal(reference.pixel_shuffle_prelu(x, 2, bias, slope), expected)


def test_halves_round_as_numpy_does() -> None:
    """Every half in, a slope that gives ties, subnormals, overflow: half to even as in NumPy."""
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16).reshape(1, 256, 256)
    x = np.where(np.isnan(x), np.float16(0), x)
    for slope, bias in [(0.5, 0), (1e-3, 0), (3.0, 0), (0.25, 1e-7), (-1.5, 40), (1, -65500)]:
        values = np.float32([bias]), np.float32([slope])
        expected = reference.pixel_shuffle_prelu(x, 1, *values)
        np.testing.assert_array_equal(_kernels.pixel_shuffle_prelu(x, 1, *values), expected)


def test_nan_stays() -> None:
    x = np.full((4, 2, 3), np.nan, np.float16)
    slope = np.ones(1, np.float32)
    assert np.isnan(_kernels.pixel_shuffle_prelu(x, 2, None, slope)).all()


def test_random_strides() -> None:
    """The vectors of the CUDA kernel, as far as the CPU's takes them."""
    done = 0
    for seed in range(120):
        case = pixel_shuffle_prelu(np.random.default_rng(seed))
        x, r, bias, slope = case.inputs
        if case.options["layout"] != "NCHW" or x.view.strides[-1] != x.view.itemsize:
            continue
        if case.dst.view.strides[-1] != x.view.itemsize:
            continue
        memory = case.dst.base.copy()
        dst = np.ndarray(
            case.dst.view.shape, x.view.dtype, memory.data, case.dst.offset, case.dst.view.strides
        )
        offsets = None if bias is None else bias.view
        _kernels.pixel_shuffle_prelu_into(dst, x.view, r, offsets, slope.view)
        case.check(memory)
        done += 1
    assert done > 30


def test_bad_arguments() -> None:
    x, bias, slope = np.zeros((12, 4, 5), np.float32), np.zeros(12, np.float32), np.ones(3)
    slope = slope.astype(np.float32)
    with pytest.raises(ValueError, match=r"bias must have shape \(12,\)"):
        _kernels.pixel_shuffle_prelu(x, 2, bias[:3], slope)
    with pytest.raises(ValueError, match=r"slope must have shape \(3,\)"):
        _kernels.pixel_shuffle_prelu(x, 2, bias, slope[:2])
    with pytest.raises(ValueError, match="slope must be float32, got float64"):
        _kernels.pixel_shuffle_prelu(x, 2, bias, slope.astype(np.float64))
    with pytest.raises(ValueError, match="bias must be contiguous"):
        _kernels.pixel_shuffle_prelu(x, 2, np.zeros(24, np.float32)[::2], slope)
    with pytest.raises(TypeError, match="slope must be a numpy array"):
        _kernels.pixel_shuffle_prelu(x, 2, bias, None)
    with pytest.raises(ValueError, match="r must be"):
        _kernels.pixel_shuffle_prelu(x, 5, bias, slope)
    with pytest.raises(ValueError, match="does not fit"):
        _kernels.pixel_shuffle_prelu(x[:11], 2, bias, slope)
    with pytest.raises(ValueError, match="overlaps x"):
        _kernels.pixel_shuffle_prelu_into(x.reshape(3, 8, 10), x, 2, bias, slope)
