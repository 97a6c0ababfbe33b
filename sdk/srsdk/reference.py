"""What the native kernels compute, in NumPy: the specification of `srsdk._kernels`, bit for bit.

Each function has the name of its kernel; a kernel's `_into` form writes the same values into the
caller's memory. This is plain and slow on purpose: tests and the exporter's checks use it, the
runtime does not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from srsdk.spec import Base
from srsdk.types import Pixels

Planes = NDArray[np.floating[Any]]


def unpack(frame: Pixels, *, swap_rb: bool = False, dtype: DTypeLike = np.float32) -> Planes:
    """Turn interleaved u8 pixels into planes in [0, 1].

    Args:
        frame: `(..., H, W, 3)` uint8.
        swap_rb: Reverse the channel order.
        dtype: float32 or float16.

    Returns:
        `(..., 3, H, W)`: `frame * float32(1 / 255)`, computed in float32, then rounded to `dtype`.
    """
    pixels = frame[..., ::-1] if swap_rb else frame
    values = pixels.astype(np.float32) * np.float32(1 / 255)
    return np.ascontiguousarray(np.moveaxis(values, -1, -3).astype(dtype))


def pixel_shuffle(x: Planes, r: int) -> Planes:
    """Rearrange `(..., C*r*r, h, w)` to `(..., C, h*r, w*r)` in torch's order of channels.

    Args:
        x: Planes at low resolution.
        r: Factor, at least 1.

    Returns:
        `y[..., c, h*r + i, w*r + j] = x[..., (c*r + i)*r + j, h, w]`.
    """
    *batch, channels, h, w = x.shape
    split = x.reshape(*batch, channels // (r * r), r, r, h, w)
    axes = list(range(len(batch)))
    c = len(batch)
    moved = split.transpose(*axes, c, c + 3, c + 1, c + 4, c + 2)
    return np.ascontiguousarray(moved.reshape(*batch, channels // (r * r), h * r, w * r))


def pixel_shuffle_prelu(
    x: Planes, r: int, bias: NDArray[np.float32] | None, slope: NDArray[np.float32]
) -> Planes:
    """Add a bias, shuffle, and apply PReLU, as in a sub-pixel block.

    Args:
        x: `(..., C*r*r, h, w)` float32 or float16.
        r: Factor, at least 1.
        bias: `(C*r*r,)` float32, or None.
        slope: `(C,)` or `(1,)` float32, factor of negative values.

    Returns:
        `(..., C, h*r, w*r)`: computed in float32, then rounded to the dtype of `x`.
    """
    value = x.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        if bias is not None:
            value = value + bias[:, None, None]
        value = pixel_shuffle(value, r)
        activated = np.where(value > 0, value, value * slope[:, None, None])
        return activated.astype(x.dtype)


def pack(
    x: Planes,
    r: int,
    *,
    lr: Pixels | None = None,
    base: Base = "none",
    scale: int | None = None,
    origin: tuple[int, int] = (0, 0),
    swap_rb: bool = False,
) -> Pixels:
    """Shuffle a generator's output, add its base image, and write pixels.

    All in float32: `v = shuffled * 255 + base`, then clamped to [0, 255] (NaN gives 0), rounded
    half to even, converted to uint8. The base is `lr` enlarged by `scale` with half-pixel centres
    and clamped edges; bilinear weights are `(2k + 1) / (2 * scale)`, so the value is an integer
    times `float32(1 / (2 * scale)**2)`.

    Args:
        x: `(..., 3*r*r, h, w)` float32 or float16, channels in the model's order.
        r: Factor of the pixel shuffle.
        lr: `(..., H, W, 3)` uint8, channels in the frame's order; needed unless base is "none".
        base: How `lr` is enlarged.
        scale: Enlargement of `lr`, a multiple of r (default r).
        origin: The enlarged image's pixel (row, column) that the output begins at.
        swap_rb: The frame's channel order is the reverse of the model's.

    Returns:
        `(..., h*r, w*r, 3)` uint8, channels in the frame's order.
    """
    value = np.moveaxis(pixel_shuffle(x.astype(np.float32), r), -3, -1)
    if swap_rb:
        value = value[..., ::-1]
    with np.errstate(invalid="ignore", over="ignore"):
        value = value * np.float32(255)
        if base != "none":
            if lr is None:
                raise ValueError(f"base {base!r} needs the low-resolution frame lr")
            value = value + _base(lr, base, scale or r, origin, value.shape[-3:-1])
        value = np.clip(np.nan_to_num(value, nan=0.0, posinf=255.0, neginf=0.0), 0, 255)
    out: Pixels = np.rint(value).astype(np.uint8)
    return out


def blend(
    frame: Pixels,
    patch: Pixels,
    top: int,
    left: int,
    weight_y: NDArray[np.uint16],
    weight_x: NDArray[np.uint16],
) -> Pixels:
    """Lay a feathered patch over a rectangle of a frame.

    Args:
        frame: `(H, W, 3)` uint8; not modified.
        patch: `(h, w, 3)` uint8.
        top: Row of the frame where the patch begins; may be negative, the patch may stick out.
        left: Column where it begins.
        weight_y: `(h,)` uint16 in 0..256.
        weight_x: `(w,)` uint16 in 0..256.

    Returns:
        A copy of the frame in which, with `weight = (weight_y * weight_x + 128) >> 8`, the covered
        pixels are `(frame * (256 - weight) + patch * weight + 128) >> 8`.
    """
    out: Pixels = frame.copy()
    y0, x0 = max(top, 0), max(left, 0)
    y1 = min(top + patch.shape[0], frame.shape[0])
    x1 = min(left + patch.shape[1], frame.shape[1])
    if y0 >= y1 or x0 >= x1:
        return out
    wy = weight_y[y0 - top : y1 - top].astype(np.int64)[:, None, None]
    wx = weight_x[x0 - left : x1 - left].astype(np.int64)[None, :, None]
    weight = (wy * wx + 128) >> 8
    below = frame[y0:y1, x0:x1].astype(np.int64)
    above = patch[y0 - top : y1 - top, x0 - left : x1 - left].astype(np.int64)
    out[y0:y1, x0:x1] = (below * (256 - weight) + above * weight + 128) >> 8
    return out


def _base(
    lr: Pixels, base: Base, scale: int, origin: tuple[int, int], size: tuple[int, ...]
) -> NDArray[np.float32]:
    """The part of the enlarged `lr` that begins at `origin`, `(..., *size, 3)` float32."""
    rows, columns = (np.arange(start, start + n) for start, n in zip(origin, size, strict=True))
    image: NDArray[np.float32]
    if base == "nearest":
        image = lr[..., rows // scale, :, :][..., columns // scale, :].astype(np.float32)
        return image
    if base != "bilinear":
        raise ValueError(f"base must be 'none', 'nearest' or 'bilinear', got {base!r}")
    pixels = lr.astype(np.int64)
    y0, y1, fy = _neighbours(rows, scale, lr.shape[-3])
    x0, x1, fx = _neighbours(columns, scale, lr.shape[-2])
    fy, fx = fy[:, None, None], fx[:, None]
    mixed = pixels[..., y0, :, :] * (2 * scale - fy) + pixels[..., y1, :, :] * fy
    total = mixed[..., x0, :] * (2 * scale - fx) + mixed[..., x1, :] * fx
    image = total.astype(np.float32) * np.float32(1 / (2 * scale) ** 2)
    return image


def _neighbours(
    at: NDArray[np.int64], scale: int, size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Indices before and after each enlarged position, and the latter's weight over 2 * scale."""
    position = 2 * at + 1 - scale
    before = position // (2 * scale)
    weight = position - before * 2 * scale
    return np.clip(before, 0, size - 1), np.clip(before + 1, 0, size - 1), weight
