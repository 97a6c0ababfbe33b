"""What all rooms of srsdk speak of: pixels, colour order, sizes and the future of a frame."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""An image `(H, W, 3)` or a batch `(N, H, W, 3)` of uint8 values."""

Color = Literal["bgr", "rgb"]
"""Channel order of an image."""

Size = tuple[int, int, int]
"""Batch, height, width."""


class Future(Protocol):
    """A frame or batch that was submitted and may still be in flight."""

    def result(self) -> Pixels:
        """Wait for the pixels; raises what upscaling raised. May be called again."""
        ...
