"""Loss against over-smoothing: power by spatial frequency, place by place."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srsdk.errors import InputError
from srtrain.images import LUMINANCE

_WINDOW = 32  # side of a place in pixels: an eye or a strand of hair, not the whole face
_ROUNDING = (1 / 255) ** 2 / 12  # variance that rounding to u8 leaves: less does not count


class SpectrumLoss(nn.Module):
    """Mean absolute difference of local radial power spectra, in bels (10 dB).

    A pixel loss takes the mean of all details that are possible, which is smooth. This one asks for
    as much detail as the high resolution has, at each place and each spatial frequency, and leaves
    to the other losses where an edge lies. Beside them it takes a discriminator's part, without a
    second network to train.

    Squares of 32 pixels, half overlapping, under a Hann window; powers of the luminance are
    averaged over rings of one cycle a square, as in `srtrain.spectra` (which takes whole pictures).
    """

    def __init__(self) -> None:
        super().__init__()
        side = _WINDOW
        window = torch.hann_window(side, periodic=False)
        rows, columns = torch.meshgrid(
            torch.fft.fftfreq(side) * side, torch.fft.rfftfreq(side) * side, indexing="ij"
        )
        ring = torch.hypot(rows, columns).round().long()
        wanted = torch.arange(1, side // 2 + 1)
        # A real picture's spectrum is symmetric: inner columns stand for two.
        count = torch.where((columns > 0) & (columns < side // 2), 2.0, 1.0)
        rings = (ring[None] == wanted[:, None, None]) * count
        self.window: Tensor
        self.rings: Tensor
        self.register_buffer("window", torch.outer(window, window))
        self.register_buffer("rings", (rings / rings.sum((1, 2), keepdim=True)).flatten(1))
        self.floor = _ROUNDING * float(self.window.square().sum())

    def powers(self, images: Tensor) -> Tensor:
        """Logarithms to base 10 `(N, places, 16)` of local powers of RGB `(N, 3, H, W)`, [0, 1].

        Raises:
            InputError: They have less than 32 rows or columns.
        """
        if min(images.shape[2:]) < _WINDOW:
            raise InputError(f"loss.spectrum needs pictures of {_WINDOW} pixels or more a side")
        with torch.autocast(images.device.type, enabled=False):
            weights = torch.tensor(LUMINANCE, device=images.device)
            luminance = torch.einsum("nchw,c->nhw", images.float(), weights)
            places = luminance.unfold(1, _WINDOW, _WINDOW // 2).unfold(2, _WINDOW, _WINDOW // 2)
            places = places.flatten(1, 2)
            centred = places - places.mean(dim=(2, 3), keepdim=True)
            found = torch.fft.rfft2(centred * self.window)
            power = (found.real.square() + found.imag.square()).flatten(2) @ self.rings.T
            logarithms: Tensor = (power + self.floor).log10()
            return logarithms

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Scalar loss of RGB images `(N, 3, H, W)` in [0, 1]."""
        return F.l1_loss(self.powers(sr), self.powers(hr))
