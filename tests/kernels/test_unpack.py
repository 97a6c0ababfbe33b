from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from srsdk import _kernels, reference

SIZES = [(1, 1), (1, 31), (3, 32), (2, 33), (5, 64), (67, 129)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("swap_rb", [False, True])
@pytest.mark.usefixtures("isa")
def test_equals_reference(size: Any, dtype: Any, swap_rb: bool, rng: np.random.Generator) -> None:
    for shape in [(*size, 3), (2, *size, 3), (0, *size, 3)]:
        frame = rng.integers(0, 256, shape, np.uint8)
        expected = reference.unpack(frame, swap_rb=swap_rb, dtype=dtype)
        got = _kernels.unpack(frame, swap_rb=swap_rb, dtype=dtype)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, expected)


@pytest.mark.usefixtures("isa")
def test_every_level() -> None:
    ramp = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 256, 3)
    half = _kernels.unpack(ramp, dtype=np.float16)
    np.testing.assert_array_equal(half, reference.unpack(ramp, dtype=np.float16))
    full = _kernels.unpack(ramp)
    assert full[0, 0, 0] == 0
    assert full[0, 0, -1] == 1
    np.testing.assert_allclose(full[0, 0], np.arange(256) / 255, rtol=1e-7)


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[::-1],
        lambda a: a[:, ::-1],
        lambda a: a[..., ::-1],
        lambda a: a[:, 3:50],
        lambda a: a[::2, ::3],
        lambda a: a.transpose(1, 0, 2),
        lambda a: np.moveaxis(np.ascontiguousarray(np.moveaxis(a, -1, 0)), 0, -1),
        lambda a: np.broadcast_to(a[:1, :1], a.shape),
        lambda a: np.stack([a, a])[::-1, :, 1:],
        lambda a: np.dstack([a, a[..., :1]])[..., :3],
    ],
    ids=[
        "flipped", "mirrored", "reversed", "cropped", "stepped",
        "transposed", "planar", "broadcast", "batch", "bgra",
    ],
)  # fmt: skip
@pytest.mark.parametrize("swap_rb", [False, True])
@pytest.mark.usefixtures("isa")
def test_strided_frames(view: Any, swap_rb: bool, rng: np.random.Generator) -> None:
    frame = view(rng.integers(0, 256, (41, 70, 3), np.uint8))
    frame.flags.writeable = False
    expected = reference.unpack(frame, swap_rb=swap_rb)
    np.testing.assert_array_equal(_kernels.unpack(frame, swap_rb=swap_rb), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.usefixtures("isa")
def test_into_strided_touches_nothing_else(dtype: Any, rng: np.random.Generator) -> None:
    frame = rng.integers(0, 256, (2, 19, 37, 3), np.uint8)
    canvas = np.full((2, 5, 25, 50), 7, dtype)
    expected = canvas.copy()
    region = (slice(None), slice(1, 4), slice(2, 21), slice(5, 42))
    expected[region] = reference.unpack(frame, dtype=dtype)
    _kernels.unpack_into(canvas[region], frame)
    np.testing.assert_array_equal(canvas, expected)


def test_bad_arguments() -> None:
    frame = np.zeros((4, 5, 3), np.uint8)
    with pytest.raises(ValueError, match="frame must be uint8, got float32"):
        _kernels.unpack(frame.astype(np.float32))
    with pytest.raises(ValueError, match=r"frame must be .* got shape \(4, 5\)"):
        _kernels.unpack(frame[..., 0])
    with pytest.raises(ValueError, match="3 channels"):
        _kernels.unpack(np.zeros((4, 5, 4), np.uint8))
    with pytest.raises(TypeError, match="frame must be a numpy array, got list"):
        _kernels.unpack(frame.tolist())
    with pytest.raises(ValueError, match="dtype must be float32 or float16, got float64"):
        _kernels.unpack(frame, dtype=np.float64)
    with pytest.raises(ValueError, match="threads"):
        _kernels.unpack(frame, threads=-1)
    dst = np.zeros((3, 4, 5), np.float32)
    with pytest.raises(ValueError, match="dst of shape"):
        _kernels.unpack_into(dst[:, :3], frame)
    with pytest.raises(ValueError, match="dst must be float32 or float16, got >f4"):
        _kernels.unpack_into(dst.astype(">f4"), frame)
    with pytest.raises(ValueError, match="contiguous along its last axis"):
        _kernels.unpack_into(np.zeros((3, 4, 10), np.float32)[..., ::2], frame)
    shared = np.lib.stride_tricks.as_strided(dst, (3, 4, 5), (0, 20, 4))
    with pytest.raises(ValueError, match="overlap each other"):
        _kernels.unpack_into(shared, frame)
    raw = np.zeros(3 * 4 * 5 * 4 + 1, np.uint8)
    with pytest.raises(ValueError, match="not aligned"):
        _kernels.unpack_into(raw[1:].view(np.float32).reshape(3, 4, 5), frame)
    with pytest.raises(ValueError, match="overlaps frame"):
        _kernels.unpack_into(dst, dst.view(np.uint8).ravel()[:60].reshape(4, 5, 3))
    dst.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        _kernels.unpack_into(dst, frame)
