"""Loss against the grid that sub-pixel convolution leaves in flat areas."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_FLAT = 4 / 255
"""Standard deviation of a cell's pixels in HR at which it counts half as flat."""

_ELSEWHERE = 0.1  # weight of cells that are not flat: a grid on hair is a grid


def grid_loss(sr: Tensor, hr: Tensor, scale: int) -> Tensor:
    """Mean absolute error that repeats with the period of the scale, where HR is flat.

    Each of the `scale**2` pixels of a low-resolution cell is made by filters that no other pixel
    shares, so their errors may have different means: a grid. A perceptual loss does not see a
    grid of one or two grey levels, and in a pixel loss it drowns in the error of the edges. Here
    the error of each pixel of the cell is averaged over the flat cells of an image, which leaves
    the grid and nothing else.

    Args:
        sr: `(N, 3, H, W)` in [0, 1].
        hr: The same.
        scale: Period of the grid in pixels.

    Returns:
        A scalar, 0 where the mean errors of a cell's pixels are equal.
    """
    n, channels, height, width = hr.shape
    cells = (n, channels, height // scale, scale, width // scale, scale)
    wanted = hr.reshape(cells)
    variance = wanted.var(dim=(1, 3, 5), unbiased=False)  # (N, h, w)
    spread = F.avg_pool2d(variance[:, None], 3, stride=1, padding=1, count_include_pad=False)
    flat = _FLAT**2 / (_FLAT**2 + spread) + _ELSEWHERE
    share = flat / flat.sum(dim=(2, 3), keepdim=True).clamp_min(1e-6)
    error = sr.reshape(cells) - wanted
    means = (error * share[:, :, :, None, :, None]).sum(dim=(2, 4))  # (N, 3, scale, scale)
    grid = means - means.mean(dim=(2, 3), keepdim=True)
    loss: Tensor = grid.abs().mean()
    return loss


def flicker_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute error of the change from the first to the second frame of each clip.

    Args:
        sr: `(2*N, 3, H, W)` in [0, 1]: all first frames, then all second ones.
        hr: The same.
    """
    made, wanted = (second - first for first, second in (torch.chunk(x, 2) for x in (sr, hr)))
    return F.l1_loss(made, wanted)
