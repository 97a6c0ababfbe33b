"""Files and streams as live sources: pace, ends, broken connections."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from srsdk import InputError, Upscaler, VideoError
from srsdk.live import Live, network, open_source
from srsdk.live.network import NetworkStream
from srsdk.live.sources import Camera, ReconnectingSource
from tests.cli.conftest import clip, program


def frames_of(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_file_plays_at_its_own_speed_and_ends(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", frames=13)
    source = open_source(path)
    assert source.fps == 25
    started, frames = time.perf_counter(), []
    while (frame := source.read()) is not None:
        frames.append(frame)
    assert len(frames) == 13
    assert frames[0].shape == (48, 64, 3)
    assert time.perf_counter() - started >= 12 / 25 - 0.01
    assert source.read() is None


def test_a_file_can_play_again_and_again(tmp_path: Path) -> None:
    source = open_source(clip(tmp_path / "a.mp4", frames=4), loop=True)
    assert all(source.read() is not None for _ in range(11))
    source.close()
    assert source.read() is None


def test_a_source_is_followed_to_its_end(tmp_path: Path) -> None:
    with Upscaler("bicubic-x2") as upscaler, Live(upscaler, deadline=60) as live:
        results = list(live.follow(open_source(clip(tmp_path / "a.mp4", frames=8))))
    assert results[-1].index == 7
    assert results[-1].pixels.shape == (96, 128, 3)
    assert live.stats.state == "ended"


def test_a_damaged_file_is_an_error_after_the_last_picture(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.avi", frames=8, sound=False)
    source = open_source(path)
    source.close()
    assert source.read() is None
    (tmp_path / "b.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"b\.mp4"):
        open_source(tmp_path / "b.mp4")


@pytest.mark.parametrize(
    ("source", "kind", "text"),
    [
        ("nothing.mp4", VideoError, "no file nothing.mp4"),
        ("", VideoError, "no file '';"),
        (".", VideoError, ". is a folder"),
        ("gopher://host/x", InputError, "gopher://"),
        ("rtsp://127.0.0.1:9/x", VideoError, "cannot open rtsp"),
        ("99", VideoError, "cannot open camera 99"),
    ],
)
def test_what_cannot_be_opened(source: str, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        open_source(source)


def test_a_camera_that_is_not_there_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(VideoError):
        Camera(98)
    assert capfd.readouterr() == ("", "")


class Unplugged:
    """A camera that gives two frames and is then pulled out; twice it cannot be opened again."""

    is_finite = False
    fps = None
    opened = 0

    def __init__(self) -> None:
        type(self).opened += 1
        if type(self).opened in (2, 3):
            raise VideoError("no such camera")
        self._left = 2
        self.closed = False

    def read(self) -> np.ndarray | None:
        self._left -= 1
        if self._left < 0:
            raise VideoError("the camera gives no frames")
        return np.full((4, 4, 3), type(self).opened, np.uint8)

    def close(self) -> None:
        self.closed = True


def test_a_camera_that_was_unplugged_is_opened_again() -> None:
    Unplugged.opened = 0
    source = ReconnectingSource("camera", Unplugged, back_off=(0.01, 0.02))
    started = time.perf_counter()
    frames = [source.read() for _ in range(4)]
    assert [int(f[0, 0, 0]) for f in frames if f is not None] == [1, 1, 4, 4]
    assert time.perf_counter() - started >= 0.01 + 0.02 + 0.02 - 0.005
    assert source.status == ""


def test_what_a_source_does_about_a_failure_is_said() -> None:
    Unplugged.opened = 0
    source = ReconnectingSource("camera", Unplugged, back_off=(60,))
    reader = threading.Thread(target=lambda: [source.read() for _ in range(3)])
    reader.start()
    while not source.status:
        time.sleep(0.01)
    assert "connecting again in 60 s, attempt 1" in source.status
    assert "gives no frames" in source.status
    source.close()
    reader.join(5)
    assert not reader.is_alive()


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[str]:
    """The address of a transport stream over HTTP that ends after each second, as if cut off."""
    data = clip(tmp_path / "a.ts", frames=25).read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/camera.ts"
    server.shutdown()


def test_a_network_stream_that_breaks_off_is_opened_again(stream: str) -> None:
    source = ReconnectingSource("stream", lambda: NetworkStream(stream), back_off=(0.05,))
    frames = [source.read() for _ in range(40)]
    assert all(frame is not None and frame.shape == (48, 64, 3) for frame in frames)
    source.close()


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A host that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


def address_of(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}/camera.ts"


@pytest.mark.parametrize(
    ("number", "ended"),
    [(signal.SIGINT, (130, "error: interrupted\n")), (signal.SIGTERM, (143, ""))],
)
def test_a_signal_ends_the_wait_for_a_host_that_does_not_answer(
    silent: socket.socket, number: int, ended: tuple[int, str]
) -> None:
    process = program("live", address_of(silent), "--no-output", "--model", "bicubic-x2")
    connection, _ = silent.accept()  # now it waits for what never comes
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    connection.close()
    # After FFmpeg's own ten seconds it would be that nobody answered.
    assert (process.returncode, err) == ended


def test_a_host_that_does_not_answer_is_named(
    silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "_OPEN_TIMEOUT", 0.5)
    with pytest.raises(VideoError, match=r"camera\.ts \(no answer within 0\.5 s\); check"):
        open_source(address_of(silent))


def test_a_file_on_a_server_plays_at_its_own_speed_and_ends(tmp_path: Path) -> None:
    clip(tmp_path / "a.mp4", frames=13)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = open_source(f"http://127.0.0.1:{server.server_port}/a.mp4")
        started = time.perf_counter()
        frames = 0
        while source.read() is not None:
            frames += 1
        assert frames == 13
        assert time.perf_counter() - started >= 12 / 25 - 0.01
        server.shutdown()
