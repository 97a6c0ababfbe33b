"""The grid that sub-pixel convolution may leave: how it is isolated, and how it is scored.

Each of the `scale**2` pixels of a low-resolution cell is made by filters that no other pixel
shares. What they differ in on average is a pattern that repeats from cell to cell: lines or dots in
smooth skin, or on the slopes of a defocused face alone, light on one side and dark on the other.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from srtrain.degrade import Pixels
from srtrain.images import LUMINANCE

_NEAR = 5  # side of the square of cells over which a grid is averaged
_SMOOTH = 2.0  # grey levels of detail at which an area counts half as smooth
_SEEN = 0.25  # grey levels; a grid far below that is one to an instrument, not to an eye


def grid_of(images: Tensor, smooth: Tensor, scale: int) -> Tensor:
    """The part of images that repeats from cell to cell, as it is around each cell.

    Args:
        images: `(N, C, H, W)`, multiples of the scale.
        smooth: `(N, 1, H/scale, W/scale)` weight of each cell in the averages, above 0.
        scale: Period in pixels.

    Returns:
        `(N, C * scale**2, H/scale, W/scale)`: for each pixel of a cell its mean over the cells
        around, without what is smooth: 0 for a constant and for a ramp.
    """
    n, channels, height, width = images.shape
    cells = _without_smooth(images, scale).reshape(
        n, channels, height // scale, scale, width // scale, scale
    )
    by_place = cells.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)
    return _near_mean(by_place * smooth) / _near_mean(smooth)


def smoothness(images: Tensor, scale: int, half: float) -> Tensor:
    """`(N, 1, H/scale, W/scale)`: 1 where there is no detail finer than a cell, falling to 0.

    Args:
        images: `(N, C, H, W)`.
        scale: Side of a cell in pixels.
        half: Root mean square of the detail at which it is a half.
    """
    detail = _without_smooth(images, scale).square().mean(dim=1, keepdim=True)
    cells = F.avg_pool2d(detail, scale)
    spread = F.avg_pool2d(cells, 3, stride=1, padding=1, count_include_pad=False)
    return half**2 / (half**2 + spread)


def _without_smooth(images: Tensor, scale: int) -> Tensor:
    """What a box of one period takes away from images: all that repeats with it, and no ramp."""
    padded = F.pad(images, (scale // 2,) * 4, mode="replicate")
    box = F.avg_pool2d(padded, scale, stride=1)
    if scale % 2 == 0:  # an even box lies half a pixel to one side
        box = F.avg_pool2d(box, 2, stride=1)
    return images - box


@torch.inference_mode()
def grid_ratio(sr: Pixels, hr: Pixels, scale: int) -> float:
    """Power of the grid in smooth areas of results over that in the high resolution.

    Texture leaves a little of such a pattern in any picture, so the high resolution is the measure;
    where it has less than a quarter of a grey level, that quarter is.

    Args:
        sr: `(N, S, S, 3)` u8 RGB, S a multiple of the scale.
        hr: The same, as it should be.
        scale: Period of the grid in pixels.

    Returns:
        1 for no more of a grid than in the high resolution, below 1 for a smoother picture.
    """
    powers = [0.0, 0.0]
    for images in zip(sr, hr, strict=True):
        ours, wanted = (_luminance(image) for image in images)
        smooth = smoothness(wanted, scale, _SMOOTH)
        weight = smooth / smooth.sum()
        for side, image in enumerate((ours, wanted)):
            power = grid_of(image, smooth, scale).square().mean(dim=1, keepdim=True)
            powers[side] += float((power * weight).sum()) / len(sr)
    return (powers[0] + _SEEN**2) / (powers[1] + _SEEN**2)


def _near_mean(cells: Tensor) -> Tensor:
    return F.avg_pool2d(cells, _NEAR, stride=1, padding=_NEAR // 2, count_include_pad=False)


def _luminance(image: Pixels) -> Tensor:
    values = image.astype(np.float32) @ np.array(LUMINANCE, np.float32)
    return torch.from_numpy(values)[None, None]
