"""Where pictures go."""

from __future__ import annotations

import sys
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


def test_a_recording_keeps_the_times_of_its_frames(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
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


def test_no_sink_takes_all() -> None:
    assert NoSink().show(result(0))


@pytest.mark.skipif(sys.platform != "linux", reason="display variables")
def test_without_a_display_there_is_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(BackendUnavailableError, match="no display"):
        Window()


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
