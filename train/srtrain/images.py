"""Between pictures in memory and tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from srtrain.degrade import Pixels

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a picture's luminance (ITU-R BT.601)."""


def to_tensor(pixels: Pixels | Tensor, device: torch.device) -> Tensor:
    """`(N, H, W, 3)` u8 to `(N, 3, H, W)` float32 in [0, 1], channels last in memory."""
    images = pixels if isinstance(pixels, Tensor) else torch.from_numpy(pixels)
    return images.to(device).permute(0, 3, 1, 2).float().div_(255)


def to_pixels(images: Tensor) -> Pixels:
    """`(N, 3, H, W)` in [0, 1] to `(N, H, W, 3)` u8, rounded half to even as the runtime does."""
    scaled = images.float().mul(255).clamp_(0, 255).round_().to(torch.uint8)
    return np.ascontiguousarray(scaled.permute(0, 2, 3, 1).cpu().numpy())


def reduce(images: Tensor, factor: int) -> Tensor:
    """`(N, 3, H, W)` to `(N, 3, H/factor, W/factor)`, box averages as in `degrade.to_hr`."""
    return images if factor == 1 else F.avg_pool2d(images, factor)


def fade(images: Tensor, alpha: float) -> Tensor:
    """What a critic that is growing sees of real images (PGGAN, appendix A).

    The same mix of the image and its half resolution, enlarged, as the generator makes.
    """
    if alpha == 1:
        return images
    small = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2, mode="nearest")
    return alpha * images + (1 - alpha) * small
