"""The score that is taken in the frequency domain: over-smoothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from srtrain.degrade import Pixels
from srtrain.images import LUMINANCE


def spectrum_distance(sr: Pixels, hr: Pixels) -> float:
    """Mean absolute difference of the sets' radial power spectra, in dB, over all frequencies.

    A result that is too smooth lacks power at high frequencies and scores badly. Texture of the
    right strength in the wrong place scores well, although PSNR punishes it.
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
        luminance = image.astype(np.float64) @ LUMINANCE
        power = np.abs(np.fft.fft2((luminance - luminance.mean()) * window)) ** 2
        total += np.bincount(ring, power.ravel(), side // 2 + 2)
    mean = (total / counts / len(images))[1 : side // 2 + 1]
    floor = 1e-3 * window.sum()  # far below what rounding to u8 leaves, so that flat images count
    spectrum: NDArray[np.float64] = 10 * np.log10(mean + floor)
    return spectrum
