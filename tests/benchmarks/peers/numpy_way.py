"""What everyone writes first around a network: NumPy before and after it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from worker import Pixels

Values = NDArray[np.float32]


def unpack(frames: Pixels) -> Values:
    """`(N, H, W, 3)` uint8 BGR to `(N, 3, H, W)` float32 RGB in 0 to 1."""
    rgb = frames[..., ::-1].astype(np.float32) / 255
    return np.ascontiguousarray(rgb.transpose(0, 3, 1, 2))


def pack(values: Values) -> Pixels:
    """The way back."""
    sr = np.clip(values.transpose(0, 2, 3, 1) * 255, 0, 255).round().astype(np.uint8)
    return np.ascontiguousarray(sr[..., ::-1])
