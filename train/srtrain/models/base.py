"""What all generators have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srsdk.spec import Base


class Generator(nn.Module, ABC):
    """Maps low-resolution RGB faces to high-resolution ones.

    Attributes:
        architecture: Family name, as written into the `ModelSpec`.
        scale: Upscaling factor.
        shuffle: Factor of the pixel shuffle that is left to do after `graph`; 1 for none.
        base: Interpolation of the input that the output is added to.
    """

    architecture: str
    scale: int
    shuffle: int
    base: Base

    @property
    @abstractmethod
    def halo(self) -> int:
        """Radius of the receptive field in low-resolution pixels, base included."""

    @abstractmethod
    def graph(self, lr: Tensor) -> Tensor:
        """The network without its last pixel shuffle and base.

        Args:
            lr: `(N, 3, H, W)` RGB in [0, 1].

        Returns:
            `(N, 3*r*r, scale*H/r, scale*W/r)` with r = `shuffle`.
        """

    def forward(self, lr: Tensor) -> Tensor:
        """Upscale `(N, 3, H, W)` RGB in [0, 1] to `(N, 3, scale*H, scale*W)`, not clamped."""
        sr = F.pixel_shuffle(self.graph(lr), self.shuffle)
        if self.base == "none":
            return sr
        mode = "nearest-exact" if self.base == "nearest" else self.base
        return sr + F.interpolate(lr, scale_factor=self.scale, mode=mode)


def icnr_(weight: Tensor, factor: int) -> Tensor:
    """Initialise a sub-pixel convolution so that it starts as nearest-neighbour upscaling.

    The `factor**2` filters that make up one output channel start equal, so the shuffle has no
    checkerboard at step 0 (Aitken et al., "Checkerboard artifact free sub-pixel convolution",
    2017).

    Args:
        weight: `(C*factor**2, in, k, k)`, changed in place.
        factor: Factor of the pixel shuffle behind the convolution.
    """
    with torch.no_grad():
        seed = torch.empty_like(weight[:: factor * factor])
        nn.init.kaiming_normal_(seed)
        weight.copy_(seed.repeat_interleave(factor * factor, dim=0))
    return weight
