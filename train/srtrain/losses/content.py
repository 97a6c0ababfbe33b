"""Content losses: pixels, VGG19, SSIMULACRA2, spectrum, identity, flicker, grid, and their mix."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srsdk.errors import InputError
from srtrain.config import LossConfig
from srtrain.losses.grid import flicker_loss, grid_loss
from srtrain.losses.identity import IdentityLoss
from srtrain.losses.spectrum import SpectrumLoss
from srtrain.losses.ssimulacra2 import Ssimulacra2Loss
from srtrain.losses.vgg import VggLoss


class ContentLoss(nn.Module):
    """Weighted sum of all losses that compare a result with its high resolution.

    The report's mix loss is `mse` and `vgg` together: VGG alone leaves a checkerboard, which the
    pixels' term removes.

    Args:
        config: The weights.
        vgg: Needed where the weight of `vgg` is not 0.
        identity: Needed where the weight of `identity` is not 0.
        scale: Upscaling factor, the period of the grid that `grid` is about.
        vgg_stride: VGG19 looks at one of so many images.
    """

    def __init__(
        self,
        config: LossConfig,
        vgg: VggLoss | None = None,
        identity: IdentityLoss | None = None,
        *,
        scale: int = 4,
        vgg_stride: int = 1,
    ) -> None:
        super().__init__()
        self.config, self.scale, self.vgg, self.identity = config, scale, vgg, identity
        self.ssimulacra2 = Ssimulacra2Loss() if config.ssimulacra2 else None
        self.spectrum = SpectrumLoss() if config.spectrum else None
        self.vgg_stride = vgg_stride
        if not config.l1 and not config.mse and not config.vgg:
            raise InputError("the recipe's [loss] table has no l1, mse or vgg above 0")
        if config.vgg and vgg is None:
            raise InputError("loss.vgg needs VGG19 weights: set vgg.weights to their file")
        if config.identity and identity is None:
            raise InputError("loss.identity needs a face descriptor: set identity.weights")

    def forward(
        self,
        sr: Tensor,
        hr: Tensor,
        clips: int = 0,
        whole: int = 0,
        plain: Tensor | None = None,
    ) -> Tensor:
        """Scalar loss.

        Args:
            sr: `(N, 3, H, W)` in [0, 1].
            hr: The same.
            clips: Clips of two frames that the images are: first all first frames, then all second
                ones; 0 for single images.
            whole: Images, from the first, that show a whole aligned face.
            plain: `(clips,)` bool, clips without a camera, which alone the spectrum is taken of:
                behind a camera and a codec nobody can tell where detail was, and a network that is
                asked for it nevertheless draws dots. None for all.
        """
        config = self.config
        first, first_hr = (sr[:clips], hr[:clips]) if clips else (sr, hr)
        terms = []
        if config.l1:
            terms.append(config.l1 * F.l1_loss(sr, hr))
        if config.mse:
            terms.append(config.mse * F.mse_loss(sr, hr))
        if config.vgg and self.vgg is not None:
            terms.append(
                config.vgg
                * self.vgg(*at_phases(*(x[:: self.vgg_stride] for x in (first, first_hr))))
            )
        if config.identity and self.identity is not None and whole:
            terms.append(config.identity * self.identity(first[:whole], first_hr[:whole]))
        if self.ssimulacra2 is not None:
            terms.append(config.ssimulacra2 * self.ssimulacra2(first, first_hr))
        if self.spectrum is not None:
            sharp = slice(None) if plain is None else plain
            if len(first[sharp]):
                terms.append(config.spectrum * self.spectrum(first[sharp], first_hr[sharp]))
        if config.flicker and clips:
            terms.append(config.flicker * flicker_loss(sr, hr))
        if config.grid:
            terms.append(config.grid * grid_loss(first, first_hr, self.scale))
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
