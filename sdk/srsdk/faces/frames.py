"""What detection and tracking look at: a checked frame, and a small copy of it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from srsdk.errors import InputError
from srsdk.types import Pixels

Vector = NDArray[np.float64]


def check_frame(frame: Pixels, name: str = "frame") -> tuple[int, int]:
    """Height and width of a frame.

    Args:
        frame: `(H, W, 3)` uint8, any strides.
        name: What to call it in an error.

    Raises:
        InputError: It is something else, or empty.
    """
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
        kind = frame.dtype if isinstance(frame, np.ndarray) else type(frame).__name__
        raise InputError(f"{name} is {kind}, expected a uint8 array of shape (H, W, 3)")
    if frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        raise InputError(
            f"{name} has shape {frame.shape}, expected (H, W, 3); convert gray or BGRA first"
        )
    return frame.shape[0], frame.shape[1]


def shrink(frame: Pixels, side: int, max_zoom: float = 1.0) -> tuple[Pixels, float, float]:
    """A small copy of a frame, its longer side at `side` pixels.

    Args:
        frame: `(H, W, 3)` uint8, any strides (a view with reversed channels included).
        side: Longer side of the copy.
        max_zoom: How much a frame smaller than that may be enlarged.

    Returns:
        The contiguous copy, and the factors that take its x and y to those of the frame.
    """
    height, width = frame.shape[:2]
    zoom = min(side / max(height, width), max_zoom)
    size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
    # OpenCV wants channels in memory order; turn a reversed view round, and turn the copy back.
    flipped = frame.strides[2] < 0
    source = np.ascontiguousarray(frame[..., ::-1] if flipped else frame)
    interpolation = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(source, size, interpolation=interpolation), np.uint8)
    if flipped:
        small = np.ascontiguousarray(small[..., ::-1])
    return small, width / size[0], height / size[1]
