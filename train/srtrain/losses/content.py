"""Pixel losses."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from srtrain.config import LossConfig


class ContentLoss(nn.Module):
    """Weighted sum of the mean absolute and the mean squared error (report: "content loss")."""

    def __init__(self, config: LossConfig) -> None:
        super().__init__()
        self.config = config
        if not config.l1 and not config.mse:
            raise ValueError("the recipe's [loss] table has no weight above 0")

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Scalar loss of `(N, 3, H, W)` images in [0, 1]."""
        terms = []
        if self.config.l1:
            terms.append(self.config.l1 * F.l1_loss(sr, hr))
        if self.config.mse:
            terms.append(self.config.mse * F.mse_loss(sr, hr))
        return sum(terms[1:], terms[0])
