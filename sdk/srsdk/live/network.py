"""Files and network streams through PyAV, with as little delay as it can."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import av

from srsdk.errors import VideoError
from srsdk.live.sources import Pace
from srsdk.types import Pixels
from srsdk.video.colour import Colour, Converter
from srsdk.video.opening import orientation_of, reason
from srsdk.video.orientation import Orientation
from srsdk.video.samples import FrameBuffer

_LOW_DELAY = {"analyzeduration": "500000"}  # microseconds of a stream that are read to know it
_RTSP = {"rtsp_transport": "tcp"}  # UDP loses packets in most home networks
_OPEN_TIMEOUT, _READ_TIMEOUT = 10.0, 5.0  # seconds
_POLL = 0.02  # seconds


def connect(address: str) -> NetworkStream:
    """Open a network stream; Ctrl-C ends the wait for a host that does not answer.

    Raises:
        VideoError: As `NetworkStream`.
    """
    opened: Future[NetworkStream] = Future()

    def work() -> None:
        try:
            opened.set_result(NetworkStream(address))
        except BaseException as error:
            opened.set_exception(error)

    # FFmpeg holds its thread for as long as it waits, and Python hears of Ctrl-C in the main one.
    threading.Thread(target=work, name="srsdk-connect", daemon=True).start()
    while not opened.done():
        time.sleep(_POLL)
    return opened.result()


class NetworkStream:
    """A file or a network stream.

    Args:
        address: Path or URL.
        paced: Give frames at the speed at which they are shown, as a file needs; what a network
            sends of known length is a file too.

    Raises:
        VideoError: It cannot be opened, or holds no video.
    """

    def __init__(self, address: str, *, paced: bool = False) -> None:
        self._address = address
        options = {} if paced else dict(_LOW_DELAY)
        if address.lower().startswith("rtsp"):
            options |= _RTSP
        started = time.monotonic()
        try:
            # An absolute path, since "a:b.mp4" would be read as protocol a.
            self._container: Any = av.open(
                str(Path(address).absolute()) if paced else address,
                options=options,
                timeout=(_OPEN_TIMEOUT, _READ_TIMEOUT),
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            silent = time.monotonic() - started > 0.9 * _OPEN_TIMEOUT
            what = f"no answer within {_OPEN_TIMEOUT:g} s" if silent else reason(error)
            hint = "" if paced else "; check the address and the network"
            raise VideoError(f"cannot open {address} ({what}){hint}") from error
        if not self._container.streams.video:
            self._container.close()
            raise VideoError(f"{address} has no video track")
        self._stream = self._container.streams.video[0]
        if not paced:
            self._stream.thread_type = "SLICE"  # threads over frames would hold some back
            self._stream.codec_context.flags |= av.codec.context.Flags.low_delay
        rate = self._stream.average_rate
        self.fps = float(rate) if rate else None
        self.is_finite = paced or bool(self._container.duration)
        self._pace = Pace() if self.is_finite else None
        self._orientation: Orientation | None = None
        self._shape: tuple[int, int, str] | None = None
        self._convert: Converter | None = None
        self._frames = self._decode()

    def read(self) -> Pixels | None:
        """The next frame; None at the end."""
        try:
            return next(self._frames, None)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise VideoError(f"{self._address} broke off ({reason(error)})") from error

    def close(self) -> None:
        """Close the file or connection."""
        self._frames.close()
        self._container.close()

    def _decode(self) -> Generator[Pixels, None, None]:
        for frame in self._container.decode(self._stream):
            if self._pace is not None and frame.time is not None:
                self._pace.wait(frame.time)
            yield self._to_bgr(frame)

    def _to_bgr(self, frame: Any) -> Pixels:
        shape = (frame.width, frame.height, frame.format.name)
        if shape != self._shape or self._convert is None:
            colour = Colour.of(frame, self._stream.codec_context, source=self._address)
            self._convert, self._shape = Converter.to_bgr(frame, colour), shape
        if self._orientation is None:
            self._orientation = orientation_of(frame, self._stream, Path(self._address))
        return self._orientation.apply(FrameBuffer(self._convert(frame)).pixels)
