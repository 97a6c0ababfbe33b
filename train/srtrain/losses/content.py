"""Content losses: pixels, VGG19 features, and their mix."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srsdk.errors import InputError
from srtrain.config import LossConfig
from srtrain.losses.vgg import VggLoss


class ContentLoss(nn.Module):
    """Weighted sum of mean absolute, mean squared and VGG19 error (report: "content loss").

    The report's mix loss is `mse` and `vgg` together: VGG alone leaves a checkerboard, which the
    pixels' term removes.

    Args:
        config: The weights.
        vgg: Needed where the weight of `vgg` is not 0.
    """

    def __init__(self, config: LossConfig, vgg: VggLoss | None = None) -> None:
        super().__init__()
        self.config, self.vgg = config, vgg
        if not config.l1 and not config.mse and not config.vgg:
            raise InputError("the recipe's [loss] table has no l1, mse or vgg above 0")
        if config.vgg and vgg is None:
            raise InputError("loss.vgg needs VGG19 weights: set vgg.weights to their file")

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Scalar loss of `(N, 3, H, W)` images in [0, 1]."""
        terms = []
        if self.config.l1:
            terms.append(self.config.l1 * F.l1_loss(sr, hr))
        if self.config.mse:
            terms.append(self.config.mse * F.mse_loss(sr, hr))
        if self.config.vgg and self.vgg is not None:
            terms.append(self.config.vgg * self.vgg(*at_phases(sr, hr)))
        return sum(terms[1:], terms[0])


def at_phases(sr: Tensor, hr: Tensor) -> tuple[Tensor, Tensor]:
    """Cut up to three rows and columns off, at another offset for each image of the batch.

    VGG's pools see an image in steps of 2, 4, 8 pixels, which are the periods of sub-pixel
    convolution too: from a fixed offset a faint grid of that period costs nothing, and it was there
    after minutes of training. From all offsets it costs what it is.
    """
    height, width = sr.shape[2] - 3, sr.shape[3] - 3
    if min(height, width) < 16:
        return sr, hr

    def cut(images: Tensor) -> Tensor:
        parts = []
        for number, image in enumerate(images):
            top, left = number % 4, (number + number // 4) % 4
            parts.append(image[:, top : top + height, left : left + width])
        return torch.stack(parts)

    return cut(sr), cut(hr)
