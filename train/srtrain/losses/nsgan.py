"""The minimax game of Goodfellow et al., "Generative Adversarial Nets", 2014 (report: SRGAN).

The discriminator's sigmoid is part of the loss: log sigmoid(x) = -softplus(-x) stays finite where a
sigmoid followed by a logarithm would not.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Minimax:
    """The objective as the report writes it.

    min over G, max over D of E log D(real) + E log(1 - D(fake)): both sides take the same value,
    with opposite signs.
    """

    def critic_loss(
        self, critic: nn.Module, real: Tensor, fake: Tensor, random: torch.Generator
    ) -> Tensor:
        """-E log D(real) - E log(1 - D(fake))."""
        return F.softplus(-critic(real)).mean() + F.softplus(critic(fake)).mean()

    def generator_loss(self, critic: nn.Module, fake: Tensor) -> Tensor:
        """E log(1 - D(fake)), which is flat where the discriminator wins."""
        return -F.softplus(critic(fake)).mean()


class NonSaturating(Minimax):
    """NSGAN: the generator maximises log D(fake) instead (Goodfellow, 2014, section 3; SRGAN).

    Same fixed point, but a steep gradient where the discriminator wins: the one to train with.
    """

    def generator_loss(self, critic: nn.Module, fake: Tensor) -> Tensor:
        """-E log D(fake)."""
        return F.softplus(-critic(fake)).mean()
