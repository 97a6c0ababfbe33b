"""A camera on the network: RTSP from a real server, GStreamer's."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from srsdk import Upscaler, VideoError
from srsdk.live import Live, open_source
from tests.cli.conftest import clip

SERVER = """
import sys
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(sys.argv[2])
server.get_mount_points().add_factory("/camera", factory)
server.attach(None)
GLib.MainLoop().run()
"""

CAMERA = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=64,height=48,framerate=25/1 ! "
    "vp8enc deadline=1 keyframe-max-dist=5 ! rtpvp8pay name=pay0 pt=96 )"
)
"""A camera that never ends."""


@contextmanager
def served(port: int, pipeline: str) -> Iterator[str]:
    """The address of what a pipeline of GStreamer gives."""
    command = ["/usr/bin/python3", "-c", SERVER, str(port), pipeline]
    environment = {"PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as server:
        try:
            until = time.monotonic() + 30
            while server.poll() is None and time.monotonic() < until:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            else:
                pytest.skip("gir1.2-gst-rtsp-server-1.0 is not installed")
            yield f"rtsp://127.0.0.1:{port}/camera"
        finally:
            server.kill()


@pytest.fixture
def port() -> int:
    if sys.platform != "linux" or not Path("/usr/bin/python3").exists():
        pytest.skip("needs GStreamer and the system's Python")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
    return number


def test_a_film_is_shown_to_its_end(port: int, tmp_path: Path) -> None:
    film = clip(tmp_path / "a.mp4", frames=50, sound=False)
    pipeline = f"( filesrc location={film} ! qtdemux ! rtph264pay name=pay0 pt=96 )"
    with served(port, pipeline) as address, Upscaler("bicubic-x2") as upscaler:
        with Live(upscaler) as live:
            results = list(live.follow(open_source(address)))
        with pytest.raises(VideoError, match="404 Not Found"):
            open_source(address.replace("camera", "nothing"))
    assert live.stats.state == "ended"
    assert live.stats.received >= 45
    assert results[-1].pixels.shape == (96, 128, 3)


def test_a_camera_that_dies_is_opened_again_when_it_is_back(port: int) -> None:
    with served(port, CAMERA) as address:
        source = open_source(address)
        assert source.fps is None or source.fps > 0
        assert [source.read() is not None for _ in range(10)] == [True] * 10
    with served(port, CAMERA):
        frames = [source.read() for _ in range(100)]
    assert all(frame is not None and frame.shape == (48, 64, 3) for frame in frames)
    assert source.status == ""
    source.close()
    assert source.read() is None
