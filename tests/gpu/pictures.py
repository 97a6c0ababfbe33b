"""Frames for the tests on a GPU, with the range of values that a camera gives."""

from __future__ import annotations

import numpy as np

from srsdk.types import Pixels


def frames(seed: int, *shape: int) -> Pixels:
    """`(count, height, width, 3)`: gradients, and noise as strong as a camera's."""
    count, height, width = shape
    y, x = np.mgrid[0:height, 0:width]
    shades = np.stack([x * 200 // width, y * 200 // height, (x + y) % 200], axis=-1)
    noise = np.random.default_rng(seed).integers(0, 56, (count, height, width, 3))
    return (shades + noise).astype(np.uint8)
