from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srsdk import _kernels, reference

FACTORS = [1, 2, 3, 4, 8]
BASES = ["none", "nearest", "bilinear"]
ISAS = ["portable", "avx2", "neon"]


def planes(rng: np.random.Generator, shape: Any, dtype: Any = np.float32) -> Any:
    """Mostly in and around [0, 1], and some of everything that a broken network may give."""
    x = rng.uniform(-0.3, 1.3, shape).astype(dtype)
    odd = rng.random(shape) < 0.05
    wild = np.array([np.nan, np.inf, -np.inf, 1e9, -1e9, 0, -0.0, 1e-40, 6e-8], np.float32)
    with np.errstate(over="ignore"):
        x[odd] = rng.choice(wild, odd.sum()).astype(dtype)
    return x


def half_levels(rng: np.random.Generator, shape: Any) -> Any:
    """x for which x * 255 is k + 1/2 in float32, so that the rounding of ties shows."""
    ties = np.arange(0, 255, dtype=np.float32) + np.float32(0.5)
    x = ties / np.float32(255)
    return rng.choice(x[x * np.float32(255) == ties], shape)


@pytest.mark.parametrize("r", FACTORS)
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.usefixtures("isa")
def test_equals_reference(r: int, base: Any, dtype: Any, rng: np.random.Generator) -> None:
    for h, w in [(1, 1), (1, 7), (2, 8), (3, 9), (4, 31), (3, 32), (2, 33), (7, 65)]:
        for batch, swap_rb in [((), False), ((2,), True)]:
            x = planes(rng, (*batch, 3 * r * r, h, w), dtype)
            lr = rng.integers(0, 256, (*batch, h, w, 3), np.uint8)
            given_lr = None if base == "none" else lr
            expected = reference.pack(x, r, lr=given_lr, base=base, swap_rb=swap_rb)
            got = _kernels.pack(x, r, lr=given_lr, base=base, swap_rb=swap_rb)
            np.testing.assert_array_equal(got, expected, err_msg=f"{h}x{w}")


@pytest.mark.parametrize("r", FACTORS)
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("size", [(67, 129), (129, 67)])
@pytest.mark.usefixtures("isa")
def test_equals_reference_at_size(r: int, base: Any, size: Any, rng: np.random.Generator) -> None:
    x = planes(rng, (3 * r * r, *size))
    lr = None if base == "none" else rng.integers(0, 256, (*size, 3), np.uint8)
    expected = reference.pack(x, r, lr=lr, base=base)
    np.testing.assert_array_equal(_kernels.pack(x, r, lr=lr, base=base), expected)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_region_of_any_scale(data: st.DataObject) -> None:
    """Tiles at any origin, graph output at k times the input, any strides; nothing else written."""
    draw = data.draw
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    r, k = draw(st.sampled_from(FACTORS)), draw(st.integers(1, 3))
    base = draw(st.sampled_from(["nearest", "bilinear"]))
    height, width = draw(st.integers(1, 20)), draw(st.integers(1, 40))
    h, w = draw(st.integers(1, height * k)), draw(st.integers(1, width * k))
    scale = r * k
    top = draw(st.integers(0, height * scale - h * r))
    left = draw(st.integers(0, width * scale - w * r))
    dtype = draw(st.sampled_from([np.float32, np.float16]))
    swap_rb, threads = draw(st.booleans()), draw(st.sampled_from([0, 1, 2, 7]))

    x = planes(rng, (3 * r * r, h + 2, w + 3), dtype)[:, 1:-1, 2:-1]
    lr = rng.integers(0, 256, (height, width + 5, 4), np.uint8)
    lr = draw(st.sampled_from([lr[:, 2:-3, :3], lr[::-1, 4:-1, 2::-1], lr[:, ::-1][:, 5:, 1:]]))
    canvas = rng.integers(0, 256, (h * r + 5, w * r + 7, 3), np.uint8)
    region = (slice(2, 2 + h * r), slice(3, 3 + w * r))
    expected = canvas.copy()
    expected[region] = reference.pack(
        x, r, lr=lr, base=base, scale=scale, origin=(top, left), swap_rb=swap_rb
    )
    before = _kernels.isa()
    for name in ISAS:
        try:
            _kernels.set_isa(name)
        except ValueError:
            continue
        got = canvas.copy()
        _kernels.pack_into(
            got[region], x, r, lr=lr, base=base, scale=scale, origin=(top, left), swap_rb=swap_rb,
            threads=threads,
        )  # fmt: skip
        np.testing.assert_array_equal(got, expected, err_msg=name)
    _kernels.set_isa(before)


@pytest.mark.parametrize("r", FACTORS)
@pytest.mark.usefixtures("isa")
def test_ties_go_to_even(r: int, rng: np.random.Generator) -> None:
    x = half_levels(rng, (3 * r * r, 5, 40))
    shuffled = np.moveaxis(reference.pixel_shuffle(x, r), 0, -1) * np.float32(255)
    got = _kernels.pack(x, r)
    assert (got % 2 == 0).all()
    assert (np.abs(got - shuffled) == 0.5).all()


@pytest.mark.usefixtures("isa")
def test_extremes() -> None:
    for value, expected in [
        (np.nan, 0), (np.inf, 255), (-np.inf, 0), (3e38, 255), (-3e38, 0), (1, 255), (0, 0),
    ]:  # fmt: skip
        for base in BASES:
            x = np.full((12, 2, 9), value, np.float32)
            lr = None if base == "none" else np.zeros((2, 9, 3), np.uint8)
            assert (_kernels.pack(x, 2, lr=lr, base=base) == expected).all(), (value, base)


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
@pytest.mark.usefixtures("isa")
def test_equals_torch_bit_for_bit(scale: int, rng: np.random.Generator) -> None:
    """Powers of two: every bilinear value is exact in float32, in whatever order it is computed."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    x = rng.uniform(-0.3, 0.3, (2, 3 * scale**2, 23, 37)).astype(np.float32)
    x[0] = half_levels(rng, x[0].shape) - np.float32(0.5)
    lr = rng.integers(0, 256, (2, 23, 37, 3), np.uint8)
    planar = torch.from_numpy(lr).permute(0, 3, 1, 2).float()
    base = functional.interpolate(planar, scale_factor=scale, mode="bilinear", align_corners=False)
    value = functional.pixel_shuffle(torch.from_numpy(x), scale) * 255 + base
    expected = value.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(reference.pack(x, scale, lr=lr, base="bilinear"), expected)
    np.testing.assert_array_equal(_kernels.pack(x, scale, lr=lr, base="bilinear"), expected)


def test_near_torch_at_three(rng: np.random.Generator) -> None:
    """Thirds are not exact: a value within rounding of a tie may fall the other way."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    x = rng.uniform(-0.3, 0.3, (1, 27, 23, 37)).astype(np.float32)
    lr = rng.integers(0, 256, (1, 23, 37, 3), np.uint8)
    planar = torch.from_numpy(lr).permute(0, 3, 1, 2).float()
    base = functional.interpolate(planar, scale_factor=3, mode="bilinear", align_corners=False)
    value = functional.pixel_shuffle(torch.from_numpy(x), 3) * 255 + base
    expected = value.clamp(0, 255).round().permute(0, 2, 3, 1).numpy()
    difference = np.abs(_kernels.pack(x, 3, lr=lr, base="bilinear") - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3


@pytest.mark.usefixtures("isa")
def test_tiles_make_the_whole(rng: np.random.Generator) -> None:
    x = rng.uniform(-0.2, 0.2, (48, 31, 45)).astype(np.float32)
    lr = rng.integers(0, 256, (31, 45, 3), np.uint8)
    whole = _kernels.pack(x, 4, lr=lr, base="bilinear")
    tiled = np.zeros_like(whole)
    for y in range(0, 31, 11):
        for left in range(0, 45, 17):
            part = x[:, y : y + 11, left : left + 17]
            h, w = part.shape[1] * 4, part.shape[2] * 4
            dst = tiled[4 * y : 4 * y + h, 4 * left : 4 * left + w]
            _kernels.pack_into(dst, part, 4, lr=lr, base="bilinear", origin=(4 * y, 4 * left))
    np.testing.assert_array_equal(tiled, whole)


def test_largest_scale_is_exact(isa: str) -> None:
    lr = np.full((2, 9, 3), 255, np.uint8)
    x = np.zeros((3 * 64, 2 * 8, 9 * 8), np.float32)
    got = _kernels.pack(x, 8, lr=lr, base="bilinear", scale=64)
    assert (got == 255).all(), isa


def test_side_by_side_on_one_canvas(rng: np.random.Generator) -> None:
    """Source and destination interleave in memory without sharing any of it: allowed."""
    canvas = rng.integers(0, 256, (20, 30, 3), np.uint8)
    lr, dst = canvas[:10, :10], canvas[:, 10:]
    x = np.zeros((12, 10, 10), np.float32)
    expected = reference.pack(x, 2, lr=lr, base="bilinear")
    _kernels.pack_into(dst, x, 2, lr=lr, base="bilinear")
    np.testing.assert_array_equal(dst, expected)


def test_flipped_destination(rng: np.random.Generator) -> None:
    x = rng.random((2, 12, 5, 6)).astype(np.float32)
    canvas = np.zeros((10, 2, 12, 3), np.uint8)  # frames beside each other, upside down
    dst = canvas[::-1].transpose(1, 0, 2, 3)
    _kernels.pack_into(dst, x, 2)
    np.testing.assert_array_equal(dst, reference.pack(x, 2))


def test_empty() -> None:
    assert _kernels.pack(np.zeros((12, 0, 4), np.float32), 2).shape == (0, 8, 3)
    assert _kernels.pack(np.zeros((0, 12, 2, 4), np.float32), 2).shape == (0, 4, 8, 3)
    x, lr = np.zeros((12, 3, 0), np.float32), np.zeros((3, 0, 3), np.uint8)
    assert _kernels.pack(x, 2, lr=lr, base="bilinear").shape == (6, 0, 3)


def test_bad_arguments() -> None:
    x, lr = np.zeros((12, 4, 5), np.float32), np.zeros((4, 5, 3), np.uint8)
    dst = np.zeros((8, 10, 3), np.uint8)
    for kwargs, message in [
        ({"base": "cubic", "lr": lr}, "base must be"),
        ({"base": "bilinear"}, "needs the low-resolution frame lr"),
        ({"lr": lr}, "base is 'none'"),
        ({"base": "nearest", "lr": lr, "scale": 3}, "multiple of r"),
        ({"base": "nearest", "lr": lr, "scale": 0}, "multiple of r"),
        ({"base": "nearest", "lr": lr, "scale": 66}, "in 1..64"),
        ({"base": "nearest", "lr": lr, "scale": 4}, "not the size of the output"),
        ({"base": "nearest", "lr": lr[:3]}, "not the size of the output"),
        ({"base": "nearest", "lr": lr[None]}, "lr of shape"),
        ({"base": "nearest", "lr": lr.astype(np.float32)}, "lr must be uint8"),
    ]:
        with pytest.raises(ValueError, match=message):
            _kernels.pack(x, 2, **kwargs)
    with pytest.raises(TypeError, match="lr must be a numpy array"):
        _kernels.pack(x, 2, base="nearest", lr="lr")
    with pytest.raises(ValueError, match="does not fit x"):
        _kernels.pack(x, 4)
    for origin in [(1, 0), (0, 1), (-1, 0), (2**63 - 1, 0), (-(2**63), 0)]:
        with pytest.raises(ValueError, match="not inside lr"):
            _kernels.pack_into(dst, x, 2, lr=lr, base="nearest", origin=origin)
    with pytest.raises(ValueError, match="contiguous pixels"):
        _kernels.pack_into(dst[:, ::-1], x, 2)
    with pytest.raises(ValueError, match="contiguous pixels"):
        _kernels.pack_into(np.zeros((8, 10, 4), np.uint8)[..., :3], x, 2)
    with pytest.raises(ValueError, match="overlap each other"):
        _kernels.pack_into(np.lib.stride_tricks.as_strided(dst, strides=(0, 3, 1)), x, 2)
    with pytest.raises(ValueError, match="overlaps lr"):
        _kernels.pack_into(dst, x, 2, lr=dst[2:6, 1:6], base="nearest")
    with pytest.raises(ValueError, match="overlaps x"):
        _kernels.pack_into(x.view(np.uint8).ravel()[:240].reshape(8, 10, 3), x, 2)
    dst.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        _kernels.pack_into(dst, x, 2)
