"""Where live pictures go: a window, a virtual camera, a file, or nowhere."""

from __future__ import annotations

import itertools
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import cv2

from srsdk.errors import BackendUnavailableError, VideoError
from srsdk.live.live import LiveFrame
from srsdk.video import EncodeOptions
from srsdk.video.growing import GrowingWriter
from srsdk.video.target import check_target

log = logging.getLogger(__name__)

_TIME_BASE = Fraction(1, 90_000)
_ESCAPE, _Q = 27, ord("q")
_PATIENCE = 20  # seconds for a display to answer
_OTHERS = "use --output FILE, --virtual-camera, --web or --no-output"
_V4L2 = (
    "on Linux make a device first: sudo apt install v4l2loopback-dkms && "
    "sudo modprobe v4l2loopback devices=1 card_label=srsdk exclusive_caps=1"
)
_OBS = "install OBS Studio, whose virtual camera is used, and start that once"


class Sink(Protocol):
    """Takes the pictures of one `Live`."""

    def show(self, result: LiveFrame) -> bool:
        """Take the next picture; False when the user wants no more."""
        ...

    def close(self) -> None:
        """Finish."""
        ...


class NoSink:
    """Takes pictures and does nothing with them, for measuring."""

    def show(self, result: LiveFrame) -> bool:
        """Always wants more."""
        return True

    def close(self) -> None:
        """Nothing to do."""


class Window:
    """A window; Esc or q closes it.

    Args:
        title: Its title.

    Raises:
        BackendUnavailableError: OpenCV here has no windows, or there is no display.
    """

    def __init__(self, title: str = "srsdk") -> None:
        self._title = title
        if sys.platform == "linux" and not _display_works():
            raise BackendUnavailableError(f"there is no display here for a window; {_OTHERS}")
        # OpenCV's Qt comes without fonts and warns of that ten times; no text is drawn here.
        os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        except cv2.error as error:
            raise BackendUnavailableError(
                f"cannot open a window here ({_first_line(error)}); {_OTHERS}"
            ) from error

    def show(self, result: LiveFrame) -> bool:
        """Draw the picture; False after Esc, q, or when the window was closed."""
        cv2.imshow(self._title, result.pixels)
        if cv2.waitKey(1) & 0xFF in (_ESCAPE, _Q):
            return False
        return bool(cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1)

    def close(self) -> None:
        """Close the window."""
        cv2.destroyAllWindows()


class VirtualCamera:
    """A camera that other programs see, by pyvirtualcam (GPL 2: not part of srsdk).

    Args:
        fps: Frames a second that it announces.

    Raises:
        BackendUnavailableError: The package is not installed.
    """

    def __init__(self, fps: float) -> None:
        try:
            import pyvirtualcam
        except ImportError as error:
            raise BackendUnavailableError(
                "a virtual camera needs the package pyvirtualcam, which is under the GPL: run "
                "`pip install 'srsdk[virtual-camera]'` if that suits you"
            ) from error
        self._module: Any = pyvirtualcam
        self._fps = fps
        self._camera: Any = None
        self._size = (0, 0)

    def show(self, result: LiveFrame) -> bool:
        """Send the picture; the size of the first one stays.

        Raises:
            VideoError: This system has no virtual camera; the message says how to make one.
        """
        height, width = result.pixels.shape[:2]
        if self._camera is None:
            self._size = (width, height)
            try:
                self._camera = self._module.Camera(
                    width, height, self._fps, fmt=self._module.PixelFormat.BGR
                )
            except RuntimeError as error:
                remedy = _V4L2 if sys.platform == "linux" else _OBS
                raise VideoError(f"no virtual camera ({_first_line(error)}); {remedy}") from error
        self._camera.send(_fitted(result, self._size))
        return True

    def close(self) -> None:
        """Take the camera away."""
        if self._camera is not None:
            self._camera.close()

    @property
    def device(self) -> str:
        """Name of the device, once a picture was sent."""
        return "" if self._camera is None else str(self._camera.device)


class Recording:
    """A video file, each picture at the time at which its frame came.

    What was written stays, whatever happens: on a full disk the file gets its name as it is, and
    after a power failure it is there as NAME.unfinished.mp4, up to its last second.

    Args:
        path: Its name.
        overwrite: Replace a file that exists.

    Raises:
        VideoError: The file exists, its folder does not, or no such format is written.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        check_target(path, overwrite=overwrite)
        options = EncodeOptions(preset="ultrafast")
        if path.suffix.lower() == ".webm":
            options = EncodeOptions.for_format("webm", preset="8")
        self._open: Callable[[int, int], GrowingWriter] = lambda width, height: GrowingWriter(
            path,
            width,
            height,
            _TIME_BASE,
            options=options,
            overwrite=overwrite,
            temporary=_unfinished(path),
        )
        self._path = path
        self._writer: GrowingWriter | None = None
        self._ended = False
        self._started, self._last = 0.0, -1

    def show(self, result: LiveFrame) -> bool:
        """Encode the picture; the size of the first one stays.

        Raises:
            VideoError: Writing failed, for instance on a full disk. The file has ended with what
                was written before, and takes no more.
        """
        if self._ended:
            raise VideoError(f"the recording {self._path} has ended")
        try:
            if self._writer is None:
                height, width = result.pixels.shape[:2]
                self._writer = self._open(width, height)
                self._started = result.captured
            pts = int((result.captured - self._started) / _TIME_BASE)
            self._last = max(pts, self._last + 1)
            size = (self._writer.width, self._writer.height)
            self._writer.write(_fitted(result, size), self._last)
        except VideoError as error:
            self._ended = True
            raise self._kept(error) from error
        return True

    def close(self) -> None:
        """Complete the file and give it its name.

        Raises:
            VideoError: Writing failed; the file has what was written before.
        """
        if self._ended or self._writer is None:
            return
        self._ended = True
        try:
            self._writer.complete()
        except VideoError as error:
            raise self._kept(error) from error
        except BaseException:  # a second Ctrl-C
            self._writer.keep()
            raise

    def _kept(self, error: VideoError) -> VideoError:
        """Save what there is of the file; returns `error` with word of it."""
        if self._writer is None or not self._writer.keep():
            return VideoError(f"{error}; nothing was recorded")
        return VideoError(f"{error}; the file ends there, and can be played")


class WithRecording:
    """A sink whose pictures are recorded too; they are shown also when the recording has failed.

    Args:
        sink: Where the pictures go.
        recording: The file; both are closed by this.
    """

    def __init__(self, sink: Sink, recording: Recording) -> None:
        self._sink, self._recording = sink, recording
        self._failure: VideoError | None = None

    def show(self, result: LiveFrame) -> bool:
        """Show the picture and record it; warns once if that fails."""
        wanted = self._sink.show(result)
        if self._failure is None:
            try:
                self._recording.show(result)
            except VideoError as error:
                self._failure = error
                log.warning("%s", error)
        return wanted

    def close(self) -> None:
        """Close both.

        Raises:
            VideoError: The recording failed, now or before.
        """
        try:
            self._sink.close()
        finally:
            self._recording.close()
        if self._failure is not None:
            raise self._failure


def _unfinished(path: Path) -> Path:
    """An unused name for a recording that goes on; people are to see it when it was broken off."""
    for number in itertools.count(1):
        suffix = f"{'' if number == 1 else number}{path.suffix}"
        unfinished = path.with_name(f"{path.stem[:80]}.unfinished{suffix}")
        if not unfinished.exists():
            break
    return unfinished


def _display_works() -> bool:
    """Whether a window can be opened, tried in another process.

    Qt, behind OpenCV's windows on Linux, ends the process when it cannot reach the display.
    """
    if not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        return False
    command = [sys.executable, "-c", "import cv2; cv2.namedWindow('srsdk')"]
    try:
        return subprocess.run(command, capture_output=True, timeout=_PATIENCE).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _fitted(result: LiveFrame, size: tuple[int, int]) -> Any:
    """The picture at `size`; cameras change theirs, files and devices cannot."""
    height, width = result.pixels.shape[:2]
    if (width, height) == size:
        return result.pixels
    return cv2.resize(result.pixels, size, interpolation=cv2.INTER_AREA)


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
