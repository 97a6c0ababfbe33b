"""The loss of the spectrum, against NumPy's Fourier transform."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from srsdk.errors import InputError
from srtrain.config import LossConfig
from srtrain.losses import ContentLoss, SpectrumLoss


def test_spectrum_is_the_difference_of_local_powers() -> None:
    made, wanted = np.random.default_rng(3).uniform(0, 1, (2, 48, 64, 3))
    made = made * 0.3 + 0.2
    window = np.outer(np.hanning(32), np.hanning(32))
    frequency = np.fft.fftfreq(32) * 32
    ring = np.rint(np.hypot(*np.meshgrid(frequency, frequency))).astype(int)
    floor = (1 / 255) ** 2 / 12 * (window**2).sum()

    def powers(picture: NDArray[np.float64]) -> list[float]:
        grey = picture @ (0.299, 0.587, 0.114)
        found = []
        for top in (0, 16):
            for left in (0, 16, 32):
                place = grey[top : top + 32, left : left + 32]
                power = np.abs(np.fft.fft2((place - place.mean()) * window)) ** 2
                found += [power[ring == n].mean() + floor for n in range(1, 17)]
        return found

    expected = np.abs(np.log10(powers(made)) - np.log10(powers(wanted))).mean()
    tensors = [torch.from_numpy(x).permute(2, 0, 1)[None].float() for x in (made, wanted)]
    assert SpectrumLoss()(*tensors).item() == pytest.approx(expected, rel=1e-4)


def test_spectrum_sharpens_what_is_too_smooth() -> None:
    hr = torch.from_numpy(np.random.default_rng(4).uniform(0.2, 0.8, (1, 3, 64, 64))).float()
    smooth = F.avg_pool2d(hr, 3, 1, 1)
    loss = SpectrumLoss()
    gain = torch.ones((), requires_grad=True)
    loss(smooth.mean() + gain * (smooth - smooth.mean()), hr).backward()
    assert gain.grad is not None
    assert gain.grad < 0
    flat = torch.full((1, 3, 32, 32), 0.5, requires_grad=True)
    loss(flat, torch.full_like(flat, 0.7)).backward()
    assert flat.grad is not None
    assert flat.grad.isfinite().all()
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(loss(smooth, hr), SpectrumLoss()(smooth, hr))
    with pytest.raises(InputError, match="32 pixels"):
        loss(hr[..., :31], hr[..., :31])


def test_the_content_loss_weighs_the_spectrum_of_first_frames() -> None:
    hr = torch.from_numpy(np.random.default_rng(5).uniform(0, 1, (4, 3, 32, 32))).float()
    sr = F.avg_pool2d(hr, 3, 1, 1)
    content = ContentLoss(LossConfig(l1=1.0, spectrum=0.5))
    expected = (sr - hr).abs().mean() + 0.5 * SpectrumLoss()(sr[:2], hr[:2])
    torch.testing.assert_close(content(sr, hr, clips=2), expected)
    second = (sr - hr).abs().mean() + 0.5 * SpectrumLoss()(sr[1:2], hr[1:2])
    torch.testing.assert_close(content(sr, hr, 2, plain=torch.tensor([False, True])), second)
    none = content(sr, hr, 2, plain=torch.tensor([False, False]))
    torch.testing.assert_close(none, (sr - hr).abs().mean())
