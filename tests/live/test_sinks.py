"""Where pictures go."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from srsdk import BackendUnavailableError, VideoError
from srsdk.live import Level, LiveFrame
from srsdk.live.sinks import NoSink, Recording, VirtualCamera, Window


def result(index: int, size: tuple[int, int] = (48, 64), gap: float = 0.04) -> LiveFrame:
    pixels = np.full((*size, 3), 10 * index, np.uint8)
    return LiveFrame(pixels, index, 100 + index * gap, 100.0, Level("frame"), 0)


@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm"])
def test_a_recording_keeps_the_times_of_its_frames(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"out.{kind}"
    sink = Recording(path)
    for index in (0, 1, 2, 5, 6):  # 3 and 4 were dropped
        assert sink.show(result(index))
    assert not path.exists()
    sink.close()
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert [round(f.time or 0, 3) for f in frames] == [0, 0.04, 0.08, 0.2, 0.24]
    assert abs(int(frames[3].to_ndarray(format="bgr24").mean()) - 50) <= 2


def test_a_recording_keeps_its_size_when_the_camera_changes(tmp_path: Path) -> None:
    sink = Recording(tmp_path / "out.mp4")
    sink.show(result(0))
    sink.show(result(1, (96, 128)))
    sink.close()
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [(f.width, f.height) for f in container.decode(video=0)] == [(64, 48)] * 2


def test_a_recording_replaces_nothing_unasked(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"precious")
    with pytest.raises(VideoError, match="exists"):
        Recording(path)
    Recording(path, overwrite=True).close()
    assert path.read_bytes() == b"precious"  # nothing was shown, so nothing was recorded


def test_a_recording_that_cannot_be_written_is_refused_before_the_camera_runs(
    tmp_path: Path,
) -> None:
    with pytest.raises(VideoError, match="is not a folder"):
        Recording(tmp_path / "nowhere" / "out.mp4")
    with pytest.raises(VideoError, match=r"cannot write \.xyz"):
        Recording(tmp_path / "out.xyz")


def test_no_sink_takes_all() -> None:
    assert NoSink().show(result(0))


@pytest.mark.skipif(sys.platform != "linux", reason="display variables")
def test_without_a_display_there_is_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(BackendUnavailableError, match="no display"):
        Window()


@pytest.mark.skipif(sys.platform != "linux", reason="X11 and Wayland")
@pytest.mark.parametrize("variable", ["DISPLAY", "WAYLAND_DISPLAY"])
def test_a_display_that_is_not_there_does_not_end_the_process(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv(variable, ":4711")
    with pytest.raises(BackendUnavailableError, match="no display"):
        Window()


SHOW = """
import sys
import numpy as np
from srsdk.live import Level, LiveFrame
from srsdk.live.sinks import Window

window = Window()
pixels = np.zeros((240, 320, 3), np.uint8)
pixels[:] = 10, 200, 90
while window.show(LiveFrame(pixels, 0, 0.0, 0.0, Level("frame"), 0)):
    pass
"""


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A display without a screen: its name, and the file that holds its pixels."""
    xvfb = shutil.which("Xvfb")
    if xvfb is None:
        pytest.skip("Xvfb is not installed")
    read, write = os.pipe()
    # Without -noreset it starts anew when its last client leaves, as the one that `Window` tries
    # first does, and the window that came next was never seen.
    command = [xvfb, "-noreset", "-displayfd", str(write), "-screen", "0", "640x480x24"]
    command += ["-fbdir", str(tmp_path)]
    with subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL) as server:
        os.close(write)
        with os.fdopen(read, "rb") as told:
            number = told.readline().decode().strip()
        yield f":{number}", tmp_path / "Xvfb_screen0"
        server.terminate()


def test_a_window_shows_the_picture(screen: tuple[str, Path]) -> None:
    display, memory = screen
    environment = {**os.environ, "DISPLAY": display}
    command = [sys.executable, "-c", SHOW]
    colour = bytes((10, 200, 90))
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 100  # of a machine that has other things to do
        seen = 0
        while seen < 1000 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
            seen = memory.read_bytes().count(colour)
        process.terminate()
        assert process.stderr is not None
        said = process.stderr.read()
    assert seen >= 1000, said
    assert said == ""


def test_a_virtual_camera_says_what_it_needs() -> None:
    try:
        import pyvirtualcam  # noqa: F401
    except ImportError:
        with pytest.raises(BackendUnavailableError, match="GPL"):
            VirtualCamera(30)
        return
    if list(Path("/dev").glob("video*")):
        pytest.skip("there may be a virtual camera here")
    camera = VirtualCamera(30)
    with pytest.raises(VideoError, match="modprobe v4l2loopback"):
        camera.show(result(0))
    camera.close()
