"""Where live frames come from: a camera, a file played in real time, a network stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from srsdk.errors import InputError, VideoError
from srsdk.types import Pixels

_BACK_OFF = (
    0.5,
    1.0,
    2.0,
    5.0,
    10.0,
)  # seconds before each attempt to connect again; then the last


class Source(Protocol):
    """Gives the frames of a camera or a stream, one after another.

    Attributes:
        name: What to call it.
        fps: Frames a second as the source states it; None where it does not.
        status: "" while it works; else what it is doing about a failure.
    """

    name: str
    fps: float | None
    status: str

    def read(self) -> Pixels | None:
        """Wait for the next frame: `(H, W, 3)` uint8 BGR; None at the end, or after `close`."""
        ...

    def close(self) -> None:
        """Stop; safe from any thread. A `read` that waits ends soon."""
        ...


class Connection(Protocol):
    """An open camera, file or stream.

    Attributes:
        fps: Frames a second as it states; None where it does not.
        is_finite: Its end is an end, not a failure.
    """

    fps: float | None
    is_finite: bool

    def read(self) -> Pixels | None:
        """The next frame; None at the end. Raises `VideoError` for a failure."""
        ...

    def close(self) -> None:
        """Let go of the device."""
        ...


def open_source(source: str | int | Path, *, loop: bool = False) -> Source:
    """Open a camera, a video file or a network stream.

    A camera that is unplugged or a stream that breaks off is opened again, with growing waits; a
    file plays at its own speed and ends, and so does a stream of known length.

    Args:
        source: Number of a camera ("0"), path of a video, or rtsp://, rtmp://, http:// or https://
            URL.
        loop: Play a file again when it ends.

    Raises:
        VideoError: There is no such camera or file, or it cannot be opened.
        InputError: The URL's protocol is not one of these.
    """
    from srsdk.live.network import NetworkStream, connect

    text = str(source)
    if text.isdigit():
        return ReconnectingSource(f"camera {text}", lambda: Camera(int(text)))
    if "://" in text:
        protocol = text.partition("://")[0].lower()
        if protocol not in ("rtsp", "rtsps", "rtmp", "http", "https", "udp", "srt"):
            raise InputError(
                f"{protocol}:// cannot be read; give rtsp, rtmp, http, https, udp or srt, "
                "a camera number or a file"
            )
        return ReconnectingSource(text, lambda: connect(text))
    if not Path(text).is_file():
        is_folder = text and Path(text).is_dir()
        what = f"{text} is a folder" if is_folder else f"there is no file {text or repr(text)}"
        raise VideoError(f"{what}; give a camera number such as 0, a video file or a URL")
    return ReconnectingSource(text, lambda: NetworkStream(text, paced=True), loop=loop)


class Camera:
    """A camera of this machine, through OpenCV.

    Args:
        number: As the system counts them, from 0.

    Raises:
        VideoError: There is none, or another program has it.
    """

    is_finite = False

    def __init__(self, number: int) -> None:
        self._name = f"camera {number}"
        with _quiet():
            self._capture: Any = cv2.VideoCapture(number)
        if not self._capture.isOpened():
            raise VideoError(
                f"cannot open {self._name}; check that it is plugged in and not in use"
            )
        # One frame in the driver's queue: a second one is 33 ms of delay.
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = rate if 1 <= rate <= 240 else None

    def read(self) -> Pixels | None:
        """The next frame."""
        more, frame = self._capture.read()
        if not more or frame is None:
            raise VideoError(f"{self._name} gives no frames")
        return np.asarray(frame, np.uint8)

    def close(self) -> None:
        """Let go of the camera."""
        self._capture.release()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the lines that OpenCV prints for each interface that has no such camera."""
    logging: Any = cv2.utils.logging
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)


class ReconnectingSource:
    """A source that opens its connection again when it fails.

    Args:
        name: What to call it.
        connect: Opens it; raises `VideoError` when that fails.
        loop: Open it again when it ends, too.
        back_off: Seconds to wait before each attempt; then always the last. A frame that comes
            starts them over.

    Raises:
        VideoError: The first attempt to open it failed.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Connection],
        *,
        loop: bool = False,
        back_off: tuple[float, ...] = _BACK_OFF,
    ) -> None:
        self.name, self.status = name, ""
        self._connect, self._loop, self._back_off = connect, loop, back_off
        self._closed = threading.Event()
        self._connection: Connection | None = connect()
        self.fps = self._connection.fps
        self._frames = self._read()

    def read(self) -> Pixels | None:
        """The next frame; waits while the connection is opened again."""
        return next(self._frames, None)

    def close(self) -> None:
        """Stop; the thread that reads lets go of the device."""
        self._closed.set()

    def _read(self) -> Iterator[Pixels]:
        attempt = 0
        try:
            while not self._closed.is_set():
                try:
                    if self._connection is None:
                        self._connection = self._connect()
                    frame = self._connection.read()
                    if frame is None and self._connection.is_finite and not self._loop:
                        return
                    if frame is None and not self._loop:
                        raise VideoError(f"{self.name} ended")
                except VideoError as error:
                    if self._connection is not None and self._connection.is_finite:
                        raise  # a damaged file does not get better
                    wait = self._back_off[min(attempt, len(self._back_off) - 1)]
                    attempt += 1
                    self.status = f"connecting again in {wait:g} s, attempt {attempt} ({error})"
                    self._disconnect()
                    self._closed.wait(wait)
                    continue
                if frame is None:
                    self._disconnect()
                    continue
                attempt, self.status = 0, ""
                yield frame
        finally:
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class Pace:
    """Waits until it is time for a frame.

    Args:
        sleep: Waits some seconds.
        clock: Seconds.
    """

    def __init__(
        self,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._sleep, self._clock = sleep, clock
        self._offset: float | None = None

    def wait(self, shown: float) -> None:
        """Return when a frame that is shown `shown` seconds after the first one is due."""
        now = self._clock()
        if self._offset is None:
            self._offset = now - shown
        if (early := self._offset + shown - now) > 0:
            self._sleep(early)
