"""The side-by-side video: bicubic on the left, the result on the right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from srsdk.video.colour import FrameBuffer

if TYPE_CHECKING:
    from srsdk.types import Pixels
    from srsdk.video.writer import VideoWriter


class SideBySide:
    """Composes and writes comparison frames.

    Args:
        writer: Where they go; twice as wide as the result.
    """

    def __init__(self, writer: VideoWriter) -> None:
        self.writer = writer
        self._buffer = FrameBuffer.empty(writer.width, writer.height)
        self._half = writer.width // 2

    def write(self, before: Pixels, after: Pixels, pts: int, duration: int) -> None:
        """Add one frame.

        Args:
            before: `(h, w, 3)` uint8 BGR, the input.
            after: `(H, W, 3)` uint8 BGR, the result.
            pts: Timestamp.
            duration: Duration, 0 when unknown.
        """
        pixels = self._buffer.pixels
        size = (self._half, self.writer.height)
        np.copyto(pixels[:, : self._half], cv2.resize(before, size, interpolation=cv2.INTER_CUBIC))
        np.copyto(pixels[:, self._half :], after)
        self.writer.write(self._buffer, pts, duration)
