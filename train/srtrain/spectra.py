"""Scores that are taken in the frequency domain: over-smoothing, and the grid of sub-pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from srtrain.degrade import Pixels

_PERIODS = (2, 4, 8)


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
        luminance = image.astype(np.float64) @ (0.299, 0.587, 0.114)
        power = np.abs(np.fft.fft2((luminance - luminance.mean()) * window)) ** 2
        total += np.bincount(ring, power.ravel(), side // 2 + 2)
    mean = (total / counts / len(images))[1 : side // 2 + 1]
    floor = 1e-3 * window.sum()  # far below what rounding to u8 leaves, so that flat images count
    spectrum: NDArray[np.float64] = 10 * np.log10(mean + floor)
    return spectrum


def grid_ratio(sr: Pixels, hr: Pixels) -> float:
    """Power of a grid in the results over that in the high resolution; 1 for none.

    A generator that ends in a sub-pixel convolution may leave a pattern that repeats every 2, 4 or
    8 pixels. It shows as peaks at these periods, along rows, columns and diagonals. Each peak is
    measured against the frequencies around it, and so is the same frequency of the high resolution.

    Args:
        sr: `(N, S, S, 3)` u8 RGB, S a multiple of 8.
        hr: The same.

    Returns:
        The largest of the three periods' ratios. With N faces its standard deviation is about
        `0.6 / sqrt(N)` where there is no grid.
    """
    ours, wanted = _peaks(sr), _peaks(hr)
    return float(np.max(ours / wanted))


def _peaks(images: Pixels) -> NDArray[np.float64]:
    """For each period the power at its peaks over the power around them, mean over images."""
    side = images.shape[1]
    window = np.outer(np.hanning(side), np.hanning(side))
    power = np.zeros((side, side))
    for image in images:
        luminance = image.astype(np.float64) @ (0.299, 0.587, 0.114)
        one = np.abs(np.fft.fft2((luminance - luminance.mean()) * window)) ** 2
        power += one / one.sum()
    ratios = []
    for period in _PERIODS:
        k = side // period
        peaks = [(0, k), (k, 0), (k, k), (k, -k)]
        ratios.append(np.mean([_over_neighbours(power, row, column) for row, column in peaks]))
    return np.array(ratios)


def _over_neighbours(power: NDArray[np.float64], row: int, column: int) -> float:
    """Power at a frequency over the mean of those 3 to 4 away; Hann's window reaches 1 away.

    Along an axis of the spectrum, where the picture's own edges lie, only the axis counts.
    """
    side = len(power)
    near = range(-4, 5)
    offsets = [(y, x) for y in near for x in near if max(abs(y), abs(x)) >= 3]
    if row == 0:
        offsets = [(0, x) for x in near if abs(x) >= 3]
    elif column == 0:
        offsets = [(y, 0) for y in near if abs(y) >= 3]
    around = [power[(row + y) % side, (column + x) % side] for y, x in offsets]
    return float(power[row % side, column % side] / np.mean(around))
