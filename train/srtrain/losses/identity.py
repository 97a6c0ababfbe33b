"""Identity loss: how far the result is from the picture in the eyes of a face recogniser."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srtrain.models.descriptor import CHIP_SIDE, DescriptorNetwork

FFHQ_CHIP = (0.503, 0.607, 0.69)
"""Centre (x, y) and side of dlib's aligned chip in an FFHQ-aligned face, as shares of its side.

Means over 240 photographs and generated faces, as dlib's own 5-point predictor places the chip;
standard deviations 0.008, 0.007 and 0.027, and 2.6 degrees of turn, which is left out.
"""


class IdentityLoss(nn.Module):
    """Mean squared distance between the face descriptors of two batches.

    Args:
        descriptor: From `load_descriptor`.
        chip: Where the face's chip lies in the images; see `FFHQ_CHIP`.
    """

    def __init__(
        self, descriptor: DescriptorNetwork, chip: tuple[float, float, float] = FFHQ_CHIP
    ) -> None:
        super().__init__()
        self.descriptor, self.chip = descriptor, chip

    def describe(self, images: Tensor) -> Tensor:
        """Descriptors `(N, 128)` of `(N, 3, H, W)` RGB images in [0, 1]: aligned whole heads."""
        x, y, side = self.chip
        theta = torch.tensor([[side, 0.0, 2 * x - 1], [0.0, side, 2 * y - 1]])
        theta = theta.to(images.device).expand(len(images), 2, 3)
        grid = F.affine_grid(theta, [len(images), 3, CHIP_SIDE, CHIP_SIDE], align_corners=False)
        chips = F.grid_sample(
            images.float(), grid, mode="bicubic", padding_mode="border", align_corners=False
        )
        result: Tensor = self.descriptor(chips)
        return result

    def distances(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Euclidean distance `(N,)` of each pair; below about 0.6 it is the same person to dlib."""
        distances: Tensor = (self.describe(sr) - self.describe(hr)).norm(dim=1)
        return distances

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Scalar loss of `(N, 3, H, W)` images in [0, 1]; gradients flow to `sr` alone."""
        with torch.no_grad():
            wanted = self.describe(hr)
        loss: Tensor = (self.describe(sr) - wanted).square().sum(dim=1).mean()
        return loss
