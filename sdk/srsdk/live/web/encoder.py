"""Encodes the pictures that go back to the page.

aiortc has encoders of its own; these take a third of their time at 720p, and look better: x264's
fastest preset without any delay, or libvpx's fastest without its noise filter, which softens what
was just made sharp.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal

import av
import cv2
import numpy as np

from srsdk.types import Pixels

Codec = Literal["H264", "VP8"]

Packet = Any
"""`av.Packet`, which some versions of PyAV type as a generic class and some do not."""

TIME_BASE = Fraction(1, 90_000)
"""Of RTP's video clock."""

_BIT_RATE = 6_000_000
_KEY_EVERY = 60  # frames: after a lost packet the picture mends itself within two seconds

_OPTIONS: dict[Codec, tuple[str, dict[str, str]]] = {
    "H264": (
        "libx264",
        {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "profile": "baseline",
            "crf": "20",
            "maxrate": str(_BIT_RATE),
            "bufsize": str(_BIT_RATE // 4),
        },
    ),
    "VP8": (
        "libvpx",
        {"deadline": "realtime", "cpu-used": "-16", "lag-in-frames": "0", "static-thresh": "1"},
    ),
}


class Encoder:
    """One visitor's pictures, which may change their size; from one thread at a time.

    Args:
        codec: What the browser takes.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._context: Any = None
        self._last = -1

    def __call__(self, pixels: Pixels, seconds: float) -> list[Packet]:
        """Encode a picture.

        Args:
            pixels: uint8 `(H, W, 3)` BGR; an odd last row or column is left out.
            seconds: When its frame was taken; later than the one before.
        """
        height, width = (side // 2 * 2 for side in pixels.shape[:2])
        planes = cv2.cvtColor(np.ascontiguousarray(pixels[:height, :width]), cv2.COLOR_BGR2YUV_I420)
        frame = av.VideoFrame.from_ndarray(np.asarray(planes, np.uint8), format="yuv420p")
        if self._context is None or (self._context.width, self._context.height) != (width, height):
            self._context = self._open(width, height)
        self._last = max(int(seconds / TIME_BASE), self._last + 1)
        frame.pts, frame.time_base = self._last, TIME_BASE
        packets: list[Packet] = self._context.encode(frame)
        for packet in packets:
            packet.time_base = TIME_BASE
        return packets

    def _open(self, width: int, height: int) -> Any:
        name, options = _OPTIONS[self._codec]
        context: Any = av.CodecContext.create(name, "w")
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base, context.framerate = TIME_BASE, Fraction(30)
        context.bit_rate = _BIT_RATE if self._codec == "VP8" else 0
        context.gop_size = _KEY_EVERY
        # libvpx's threads wait for each other by spinning, for 200 ms when they lack a core.
        context.thread_count = 2 if self._codec == "H264" else 1
        context.options = options
        return context
