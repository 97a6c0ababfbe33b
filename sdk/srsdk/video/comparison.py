"""The side-by-side video: bicubic on the left, the result on the right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from srsdk.video.samples import FrameBuffer

if TYPE_CHECKING:
    from srsdk.types import Pixels
    from srsdk.video.source import FrameOutput


class SideBySide:
    """Composes the frames of the comparison.

    Args:
        writer: Where they go; its frames are twice as wide as the result.
    """

    def __init__(self, writer: FrameOutput) -> None:
        self.writer = writer
        width, height = writer.frame_size
        self._buffer = FrameBuffer.empty(width, height)
        self._half = width // 2

    def compose(self, before: Pixels, after: Pixels) -> FrameBuffer:
        """A frame of the comparison; the next call overwrites it.

        Args:
            before: `(h, w, 3)` uint8 BGR, the input.
            after: `(H, W, 3)` uint8 BGR, the result.
        """
        pixels = self._buffer.pixels
        size = (self._half, pixels.shape[0])
        np.copyto(pixels[:, : self._half], cv2.resize(before, size, interpolation=cv2.INTER_CUBIC))
        np.copyto(pixels[:, self._half :], after)
        return self._buffer
