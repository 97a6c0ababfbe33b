"""Weights that fade a patch out at its edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def feather_weights(
    size: int, margin: int, *, at_start: bool = True, at_end: bool = True
) -> NDArray[np.uint16]:
    """Weights for `blend` along one axis, which rise from its start and fall to its end.

    The ramp is a raised cosine, so the product of two such vectors has round corners and no visible
    kink: a patch fades out, and no rectangle shows.

    Args:
        size: Length of the axis, in pixels.
        margin: Length of a ramp; at most `size`, half of it where there are two.
        at_start: Whether to fade at the start.
        at_end: Whether to fade at the end.

    Returns:
        `(size,)` uint16 in 0..256; the ramp is `(1 - cos(pi * t)) / 2` at pixel centres, computed
        in float64, rounded half to even.

    Raises:
        ValueError: A negative size or margin.
    """
    if size < 0 or margin < 0:
        raise ValueError(f"size and margin must not be negative, got {size} and {margin}")
    margin = min(margin, size // 2 if at_start and at_end else size)
    weights: NDArray[np.uint16] = np.full(size, 256, np.uint16)
    if margin:
        ramp = 0.5 - 0.5 * np.cos(np.pi / margin * (np.arange(margin) + 0.5))
        steps = np.rint(256 * ramp).astype(np.uint16)
        if at_start:
            weights[:margin] = steps
        if at_end:
            weights[size - margin :] = steps[::-1]
    return weights
