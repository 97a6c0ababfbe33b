"""What cameras hand in, brought to a frame that can be upscaled."""

from __future__ import annotations

from collections import deque
from typing import Any

import cv2
import numpy as np

from srsdk.errors import InputError
from srsdk.types import Pixels

_USUAL = 1 / 30  # seconds; what webcams give
_GAPS = 64  # between frames, about two seconds


def to_frame(image: Any) -> Pixels:
    """A frame of three channels, in memory that the caller may not change.

    Args:
        image: uint8, `(H, W, 3)`, `(H, W, 4)` (the fourth channel is dropped), `(H, W)` or
            `(H, W, 1)` gray; any size from 1x1, any strides.

    Returns:
        A new contiguous `(H, W, 3)` array.

    Raises:
        InputError: It is something else, such as the None that OpenCV gives for a frame that it
            could not read.
    """
    if image is None:
        raise InputError("the camera gave None in place of a frame; it may be unplugged or in use")
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"the frame is {kind}, expected a uint8 array")
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or image.size == 0:
        raise InputError(f"the frame has shape {image.shape}, expected (H, W, 3), gray or BGRA")
    if image.shape[2] == 1:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_GRAY2BGR), np.uint8)
    return np.array(image[:, :, :3], order="C")


class Cadence:
    """Measures the time from one frame to the next.

    Args:
        fps: Frames a second where they are known; None: measured.
    """

    def __init__(self, fps: float | None) -> None:
        self._given = None if fps is None else 1 / fps
        self._gaps: deque[float] = deque(maxlen=_GAPS)
        self._last: float | None = None
        self._interval = self._given or _USUAL

    def arrived(self, now: float) -> None:
        """A frame came at `now`, in seconds."""
        if self._last is not None:
            self._gaps.append(now - self._last)
        self._last = now
        if self._given is None and len(self._gaps) > 3:
            # The median of the last second: a stall of the camera does not make it a slow one.
            # The mean of two seconds without their longest gap: a network stream whose frames come
            # in bursts is no fast one.
            recent = sorted(list(self._gaps)[-_GAPS // 2 :])
            mean = (sum(self._gaps) - max(self._gaps)) / (len(self._gaps) - 1)
            self._interval = min(max(recent[len(recent) // 2], mean, 1 / 240), 1.0)

    @property
    def interval(self) -> float:
        """Seconds between two frames."""
        return self._interval
