"""What an adversarial objective is; one objective a file."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn


class Objective(Protocol):
    """Trains a critic (or discriminator) against a generator.

    `critic` maps `(N, 3, H, W)` images in [0, 1] to `(N,)` scores, unbounded, high for real ones.
    Losses are scalars to be minimised.
    """

    def critic_loss(
        self, critic: nn.Module, real: Tensor, fake: Tensor, random: torch.Generator
    ) -> Tensor:
        """Loss of the critic; `fake` carries no gradient, `random` is a CPU generator."""
        ...

    def generator_loss(self, critic: nn.Module, fake: Tensor) -> Tensor:
        """Loss of the generator that made `fake`."""
        ...
