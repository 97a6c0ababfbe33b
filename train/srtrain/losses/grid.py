"""Loss against the grid that sub-pixel convolution leaves in flat areas."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_SMOOTH = 2 / 255
"""Root mean square of HR's detail finer than a cell at which an area counts half as smooth."""

_ELSEWHERE = 0.1  # weight of cells that are not smooth: a grid on hair is a grid

_NEAR = 5  # side of the square of cells over which a grid is averaged


def grid_loss(sr: Tensor, hr: Tensor, scale: int) -> Tensor:
    """Mean absolute error that repeats with the period of the scale, where HR is smooth.

    Each of the `scale**2` pixels of a low-resolution cell is made by filters that no other pixel
    shares, so their errors may have different means: a grid. A perceptual loss does not see a
    grid of one or two grey levels, and in a pixel loss it drowns in the error of the edges. Here
    the error of each pixel of the cell is averaged over the same pixel of the smooth cells around,
    which leaves the grid and little else. The average is a local one, because a generator may draw
    its grid on the slopes of a defocused face alone, light on one side and dark on the other.

    Args:
        sr: `(N, 3, H, W)` in [0, 1].
        hr: The same.
        scale: Period of the grid in pixels.

    Returns:
        A scalar, 0 where the mean errors of a cell's pixels are equal or differ by a ramp.
    """
    n, channels, height, width = hr.shape
    cells = (n, channels, height // scale, scale, width // scale, scale)
    detail = _without_smooth(hr, scale).square().reshape(cells).mean(dim=(1, 3, 5))  # (N, h, w)
    spread = F.avg_pool2d(detail[:, None], 3, stride=1, padding=1, count_include_pad=False)
    weight = _SMOOTH**2 / (_SMOOTH**2 + spread) + _ELSEWHERE
    error = _without_smooth(sr - hr, scale).reshape(cells)
    by_place = error.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)  # (N, 3 * scale * scale, h, w)
    means = _near_mean(by_place * weight) / _near_mean(weight)
    loss: Tensor = means.abs().mean()
    return loss


def _near_mean(cells: Tensor) -> Tensor:
    return F.avg_pool2d(cells, _NEAR, stride=1, padding=_NEAR // 2, count_include_pad=False)


def _without_smooth(images: Tensor, scale: int) -> Tensor:
    """What a box of one period takes away: all that repeats with it, no constant and no ramp."""
    padded = F.pad(images, (scale // 2,) * 4, mode="replicate")
    box = F.avg_pool2d(padded, scale, stride=1)
    if scale % 2 == 0:  # an even box lies half a pixel to one side
        box = F.avg_pool2d(box, 2, stride=1)
    return images - box


def flicker_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute error of the change from the first to the second frame of each clip.

    Args:
        sr: `(2*N, 3, H, W)` in [0, 1]: all first frames, then all second ones.
        hr: The same.
    """
    made, wanted = (second - first for first, second in (torch.chunk(x, 2) for x in (sr, hr)))
    return F.l1_loss(made, wanted)
