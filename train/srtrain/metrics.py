"""Scores, as the protocol defines them.

HR is the picture at `side` pixels (`degrade.to_hr`), LR its antialiased bicubic reduction in
Pillow, both u8 RGB. PSNR is taken over all pixels and channels of the u8 result without cutting
the border, an image at a time, then averaged over images. For x4 and 128 pixels, bicubic
enlargement scores 27.20 dB on `dev-real192` and 26.58 dB on `dev-synthetic256`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from srtrain.data import Pairs
from srtrain.degrade import Pixels, bicubic

Upscale = Callable[[Pixels], Pixels]
"""`(N, H, W, 3)` u8 RGB to `(N, scale*H, scale*W, 3)` u8 RGB."""


def psnr(sr: Pixels, hr: Pixels) -> float:
    """PSNR in dB of one u8 image; infinite where the two are equal."""
    error = np.mean((sr.astype(np.float64) - hr.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255.0**2 / error))


def mean_psnr(upscale: Upscale, pairs: Pairs, batch: int = 8) -> float:
    """Mean over the images of a set."""
    scores: list[float] = []
    for start in range(0, len(pairs), batch):
        sr = upscale(pairs.lr[start : start + batch])
        scores.extend(map(psnr, sr, pairs.hr[start : start + batch]))
    return float(np.mean(scores))


def bicubic_psnr(pairs: Pairs) -> float:
    """The baseline's score on a set."""
    return mean_psnr(lambda lr: np.stack([bicubic(one, pairs.scale) for one in lr]), pairs)
