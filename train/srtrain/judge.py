"""Scores beyond PSNR: what the report's comparison table is made of.

| score | meaning | better |
|---|---|---|
| `psnr` | as `srtrain.metrics` defines it, dB | higher |
| `ssim` | structural similarity (torchmetrics' defaults: Gaussian window, sigma 1.5) | higher |
| `vgg` | mean squared difference of VGG19 features: what an eye that knows objects sees | lower |
| `spectrum` | distance of radial power spectra in dB: over-smoothing shows here | lower |
| `lpips` | Zhang et al. 2018, as package `lpips` has it, where that is installed | lower |

All are taken of u8 results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srsdk.errors import BackendUnavailableError, InputError
from srtrain.candidates import Candidate
from srtrain.data import Pairs
from srtrain.degrade import Pixels
from srtrain.images import to_tensor
from srtrain.losses import VggLoss
from srtrain.metrics import psnr

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Scores:
    """One generator on one set; `vgg` and `lpips` are None without weights to take them with."""

    psnr: float
    ssim: float
    vgg: float | None
    spectrum: float
    lpips: float | None = None


Distance = Callable[[Tensor, Tensor], Tensor]
"""Of two `(1, 3, H, W)` images in [-1, 1]; one value."""


def judge(
    upscaler: Candidate,
    pairs: Pairs,
    vgg: VggLoss | None = None,
    lpips: Distance | None = None,
    batch: int = 8,
) -> Scores:
    """Score a generator on all pairs of a set.

    Args:
        upscaler: The generator.
        pairs: The set.
        vgg: Takes the VGG19 distance; None leaves it out.
        lpips: Takes LPIPS, see `open_lpips`; None leaves it out.
        batch: Faces that go through the generator together.

    Raises:
        InputError: Its scale is not that of the pairs.
        BackendUnavailableError: torchmetrics is not installed.
    """
    if upscaler.scale != pairs.scale:
        raise InputError(f"{upscaler.name} has scale {upscaler.scale}, the set {pairs.scale}")
    made: list[Pixels] = []
    psnrs: list[float] = []
    ssims: list[float] = []
    vggs: list[float] = []
    lpipses: list[float] = []
    for start in range(0, len(pairs), batch):
        sr = upscaler.upscale(pairs.lr[start : start + batch])
        hr = pairs.hr[start : start + batch]
        psnrs.extend(map(psnr, sr, hr))
        ssims.extend(ssim(sr, hr))
        with torch.inference_mode():
            for one, other in zip(to_tensor(sr, _CPU), to_tensor(hr, _CPU), strict=True):
                if vgg is not None:
                    vggs.append(float(vgg(one[None], other[None])))
                if lpips is not None:
                    lpipses.append(float(lpips(one[None] * 2 - 1, other[None] * 2 - 1)))
        made.append(sr)
    return Scores(
        psnr=float(np.mean(psnrs)),
        ssim=float(np.mean(ssims)),
        vgg=float(np.mean(vggs)) if vggs else None,
        spectrum=spectrum_distance(np.concatenate(made), pairs.hr),
        lpips=float(np.mean(lpipses)) if lpipses else None,
    )


def open_lpips(net: str) -> Distance:
    """LPIPS of package `lpips`.

    Args:
        net: Its backbone, "alex" (as the paper reports), "vgg" or "squeeze"; torchvision downloads
            its weights once.

    Raises:
        BackendUnavailableError: lpips or torchvision is not installed.
        InputError: There is no such backbone.
    """
    if net not in ("alex", "vgg", "squeeze"):
        raise InputError(f"LPIPS has no backbone {net!r}; choose alex, vgg or squeeze")
    try:
        import lpips
    except ImportError as error:
        raise BackendUnavailableError(
            f"LPIPS cannot be taken ({error}): pip install lpips torchvision"
        ) from error
    metric: Distance = lpips.LPIPS(net=net, verbose=False).eval()
    return metric


def score_sets(
    upscaler: Candidate, sets: Mapping[str, Pairs], vgg: VggLoss | None = None
) -> dict[str, float]:
    """All scores of a generator, as they are kept in its checkpoint and printed on its card.

    Returns:
        `psnr_rgb/SET`, `ssim/SET`, `vgg/SET` (with weights to take it with) and `spectrum/SET` to
        their values, for each set.
    """
    found: dict[str, float] = {}
    for name, pairs in sets.items():
        scores = judge(upscaler, pairs, vgg)
        found[f"psnr_rgb/{name}"] = scores.psnr
        found[f"ssim/{name}"] = scores.ssim
        if scores.vgg is not None:
            found[f"vgg/{name}"] = scores.vgg
        found[f"spectrum/{name}"] = scores.spectrum
    return found


def ssim(sr: Pixels, hr: Pixels) -> list[float]:
    """Structural similarity of each image of `(N, H, W, 3)` u8."""
    try:
        from torchmetrics.functional.image import structural_similarity_index_measure
    except ImportError as error:
        raise BackendUnavailableError(
            "SSIM needs torchmetrics: pip install 'srsdk[train]'"
        ) from error
    values = structural_similarity_index_measure(
        to_tensor(sr, _CPU), to_tensor(hr, _CPU), data_range=1.0, reduction="none"
    )
    return [float(value) for value in values.reshape(-1)]  # type: ignore[union-attr]


def spectrum_distance(sr: Pixels, hr: Pixels) -> float:
    """Mean absolute difference of the sets' radial power spectra, in dB, over all frequencies.

    A result that is too smooth lacks power at high frequencies; one that hallucinates texture of
    the right strength, at the wrong place, does not: what PSNR punishes, this does not see.
    """
    return float(np.mean(np.abs(radial_spectrum(sr) - radial_spectrum(hr))))


def radial_spectrum(images: Pixels) -> NDArray[np.float64]:
    """Mean power of the luminance by spatial frequency, in dB.

    Args:
        images: `(N, H, W, 3)` u8 RGB, square.

    Returns:
        `(W/2,)`: powers at 1, 2, ... W/2 cycles a picture, averaged over directions and images. A
        Hann window keeps the picture's edges out of it.
    """
    side = images.shape[1]
    window = np.outer(np.hanning(side), np.hanning(side))
    frequency = np.fft.fftfreq(side) * side
    radius = np.rint(np.hypot(frequency[:, None], frequency[None, :])).astype(int)
    ring = np.clip(radius, 0, side // 2 + 1).ravel()
    counts = np.bincount(ring, minlength=side // 2 + 2)
    total = np.zeros(side // 2 + 2)
    for image in images:
        luminance = image.astype(np.float64) @ (0.299, 0.587, 0.114)
        power = np.abs(np.fft.fft2((luminance - luminance.mean()) * window)) ** 2
        total += np.bincount(ring, power.ravel(), side // 2 + 2)
    mean = (total / counts / len(images))[1 : side // 2 + 1]
    floor = 1e-3 * window.sum()  # far below what rounding to u8 leaves, so that flat images count
    spectrum: NDArray[np.float64] = 10 * np.log10(mean + floor)
    return spectrum
