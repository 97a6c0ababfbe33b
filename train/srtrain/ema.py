"""Exponential moving average of a network's weights."""

from __future__ import annotations

import copy
from itertools import chain

import torch
from torch import nn


class Ema:
    """Keeps `module`, a copy of a network whose state trails it.

    The decay is warmed up, `min(decay, (1 + step) / (10 + step))`, so that the first steps count.
    Integer buffers are copied.
    """

    def __init__(self, source: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(source).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, source: nn.Module, step: int) -> None:
        """Move the copy towards `source` after optimiser step number `step`."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        pairs = list(zip(_tensors(self.module), _tensors(source), strict=True))
        mine, theirs = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
        torch._foreach_lerp_(list(mine), list(theirs), share)  # few launches for all of them
        for counter, other in pairs:
            if not counter.is_floating_point():
                counter.copy_(other)


def _tensors(module: nn.Module) -> chain[torch.Tensor]:
    return chain(module.parameters(), module.buffers())
