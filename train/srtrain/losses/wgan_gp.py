"""WGAN with gradient penalty (Gulrajani et al., 2017; report: SRWGAN-GP): no sigmoid, no log."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WassersteinGP:
    """E C(fake) - E C(real) + penalty * E (|grad C(between)| - 1)^2.

    The norm is taken for each sample over its whole flattened gradient, between real and fake
    images, in float32 even under autocast. The penalty constrains each sample alone, so the critic
    must not mix samples: no batch norm (Gulrajani et al., section 4).

    Attributes:
        penalty: Weight of the gradient penalty; the report's lambda = 10.
        drift: Weight of E C(real)^2, which keeps scores near zero; PGGAN takes 1e-3.
    """

    def __init__(self, penalty: float = 10.0, drift: float = 0.0) -> None:
        self.penalty, self.drift = penalty, drift

    def critic_loss(
        self, critic: nn.Module, real: Tensor, fake: Tensor, random: torch.Generator
    ) -> Tensor:
        """The negative distance between the two, with its penalties."""
        real_score, fake_score = critic(real), critic(fake)
        share = torch.rand(len(real), generator=random).to(real.device)
        loss: Tensor = fake_score.mean() - real_score.mean()
        if self.penalty:
            loss = loss + self.penalty * gradient_penalty(critic, real, fake, share)
        if self.drift:
            loss = loss + self.drift * real_score.square().mean()
        return loss

    def generator_loss(self, critic: nn.Module, fake: Tensor) -> Tensor:
        """-E C(fake)."""
        loss: Tensor = -critic(fake).mean()
        return loss


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """E (|grad C(x)| - 1)^2 at x = share * real + (1 - share) * fake.

    Args:
        critic: Maps `(N, 3, H, W)` to `(N,)`.
        real: `(N, 3, H, W)` images.
        fake: The same of the generator.
        share: `(N,)` in [0, 1], one for each sample.

    Returns:
        A scalar in float32 that can be differentiated by the critic's parameters.
    """
    with torch.autocast(real.device.type, enabled=False):
        share = share.float()[:, None, None, None]
        between = (share * real.float() + (1 - share) * fake.float()).detach().requires_grad_()
        score = critic(between)
        (gradient,) = torch.autograd.grad(score.sum(), between, create_graph=True)
        norm = gradient.flatten(1).norm(dim=1)
        penalty: Tensor = (norm - 1).square().mean()
        return penalty
