from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srsdk import _kernels, reference


def weights(rng: np.random.Generator, size: int) -> Any:
    return rng.integers(0, 257, size).astype(np.uint16)


@pytest.mark.parametrize("at", [(0, 0), (5, 9), (-4, -11), (30, 50), (-4, 50), (-100, 3), (40, 3)])
@pytest.mark.usefixtures("isa")
def test_equals_reference(at: tuple[int, int], rng: np.random.Generator) -> None:
    frame = rng.integers(0, 256, (40, 67, 3), np.uint8)
    patch = rng.integers(0, 256, (17, 33, 3), np.uint8)
    wy, wx = weights(rng, 17), weights(rng, 33)
    top, left = at
    before = frame.copy()
    expected = reference.blend(frame, patch, top, left, wy, wx)
    np.testing.assert_array_equal(_kernels.blend(frame, patch, top, left, wy, wx), expected)
    np.testing.assert_array_equal(frame, before)
    _kernels.blend_into(frame, patch, top, left, wy, wx)
    np.testing.assert_array_equal(frame, expected)


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_touches_its_rectangle_only(data: st.DataObject) -> None:
    draw = data.draw
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    height, width = draw(st.integers(0, 12)), draw(st.integers(0, 40))
    h, w = draw(st.integers(0, 12)), draw(st.integers(0, 40))
    top, left = draw(st.integers(-15, 15)), draw(st.integers(-45, 45))
    canvas = rng.integers(0, 256, (height + 4, width + 6, 3), np.uint8)
    patch = rng.integers(0, 256, (h, w, 4), np.uint8)
    patch = draw(st.sampled_from([patch[..., :3], patch[::-1, ::-1, :3], patch[..., :0:-1]]))
    wy, wx = weights(rng, h), weights(rng, w)
    region = (slice(2, 2 + height), slice(3, 3 + width))
    expected = canvas.copy()
    expected[region] = reference.blend(canvas[region], patch, top, left, wy, wx)
    _kernels.blend_into(canvas[region], patch, top, left, wy, wx)
    np.testing.assert_array_equal(canvas, expected)


@pytest.mark.usefixtures("isa")
def test_every_pair_of_levels_at_every_weight() -> None:
    dst, patch = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    dst, patch = (np.ascontiguousarray(np.dstack([a] * 3)) for a in (dst, patch))
    wx = np.full(256, 256, np.uint16)
    for weight in range(0, 257, 4):
        wy = np.full(256, weight, np.uint16)
        expected = reference.blend(dst, patch, 0, 0, wy, wx)
        np.testing.assert_array_equal(_kernels.blend(dst, patch, 0, 0, wy, wx), expected)
    np.testing.assert_array_equal(expected, patch)  # the last weight is 256


def test_far_away_is_nothing(rng: np.random.Generator) -> None:
    frame = rng.integers(0, 256, (4, 5, 3), np.uint8)
    one = np.full(1, 256, np.uint16)
    patch = np.zeros((1, 1, 3), np.uint8)
    for far in (2**63 - 1, -(2**63)):
        np.testing.assert_array_equal(_kernels.blend(frame, patch, far, 0, one, one), frame)
        np.testing.assert_array_equal(_kernels.blend(frame, patch, 0, far, one, one), frame)


def test_bad_arguments() -> None:
    frame, patch = np.zeros((9, 9, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)
    wy, wx = np.zeros(4, np.uint16), np.zeros(5, np.uint16)
    with pytest.raises(ValueError, match="weight_y must have shape \\(4,\\)"):
        _kernels.blend(frame, patch, 0, 0, wx, wx)
    with pytest.raises(ValueError, match=r"weight_x must be in 0\.\.256, got 257"):
        _kernels.blend(frame, patch, 0, 0, wy, wx + 257)
    with pytest.raises(ValueError, match="weight_x must be uint16"):
        _kernels.blend(frame, patch, 0, 0, wy, wx.astype(np.float32))
    with pytest.raises(ValueError, match="dst must be \\(H, W, 3\\)"):
        _kernels.blend_into(frame[None], patch, 0, 0, wy, wx)
    with pytest.raises(ValueError, match="overlaps patch"):
        _kernels.blend_into(frame, frame[2:6, 1:6], 0, 0, wy, wx)
    with pytest.raises(ValueError, match="contiguous pixels"):
        _kernels.blend_into(frame[..., ::-1], patch, 0, 0, wy, wx)
    frame.flags.writeable = False
    _kernels.blend(frame, patch, 0, 0, wy, wx)
    with pytest.raises(ValueError, match="read-only"):
        _kernels.blend_into(frame, patch, 0, 0, wy, wx)
