"""Losses against the grid that sub-pixel convolution leaves, and against flicker."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from srtrain.grids import grid_of, smoothness

_SMOOTH = 2 / 255  # detail of HR at which an area counts half as smooth
_ELSEWHERE = 0.1  # weight of cells that are not smooth: a grid on hair is a grid


def grid_loss(sr: Tensor, hr: Tensor, scale: int) -> Tensor:
    """Mean absolute error that repeats with the period of the scale, where HR is smooth.

    A perceptual loss does not see a grid of one or two grey levels, and in a pixel loss it drowns
    in the error of the edges. See `srtrain.grids`.

    Args:
        sr: `(N, 3, H, W)` in [0, 1].
        hr: The same.
        scale: Period of the grid in pixels.

    Returns:
        A scalar, 0 where the mean errors of a cell's pixels are equal or differ by a ramp.
    """
    smooth = smoothness(hr, scale, _SMOOTH) + _ELSEWHERE
    grid = grid_of(sr - hr, smooth, scale).abs().mean(dim=1, keepdim=True)
    loss: Tensor = (grid * smooth).sum() / smooth.sum()
    return loss


def flicker_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute error of the change from the first to the second frame of each clip.

    Args:
        sr: `(2*N, 3, H, W)` in [0, 1]: all first frames, then all second ones.
        hr: The same.
    """
    made, wanted = (second - first for first, second in (torch.chunk(x, 2) for x in (sr, hr)))
    return F.l1_loss(made, wanted)
