"""What all rooms of srsdk speak of: pixels, colour order, sizes and the future of a frame."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""An image `(H, W, 3)` or a batch `(N, H, W, 3)` of uint8 values."""

Color = Literal["bgr", "rgb"]
"""Channel order of an image."""

ComputePrecision = Literal["auto", "fp32", "int8"]
"""Arithmetic that is asked for; "auto": the fastest that is proven for the model."""

Size = tuple[int, int, int]
"""Batch, height, width."""


class Future(Protocol):
    """A frame or batch that was submitted and may still be in flight."""

    def result(self) -> Pixels:
        """Wait for the pixels; raises what upscaling raised. May be called again."""
        ...
