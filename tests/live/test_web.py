"""The web server and its WebRTC session, without a browser; test_web_page.py has one."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from srsdk import InputError, Upscaler, VideoError
from tests.cli.conftest import clip, program

aiohttp = pytest.importorskip("aiohttp")
aiortc = pytest.importorskip("aiortc")

from srsdk.live import Source, open_source  # noqa: E402
from srsdk.live.web.models import Models  # noqa: E402
from srsdk.live.web.server import Server  # noqa: E402

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def models() -> Iterator[Models]:
    models = Models("bicubic-x2")
    yield models
    models.close()


@contextmanager
def served(
    models: Models,
    host: str = "127.0.0.1",
    token: str | None = None,
    source: Callable[[], Source] | None = None,
) -> Iterator[str]:
    """The address of a server that runs in a thread."""
    said: list[str] = []
    server = Server(models, host, token, said.append, source)
    loop = asyncio.new_event_loop()
    task = loop.create_task(server.serve(0))

    def run() -> None:
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    while not said and thread.is_alive():
        time.sleep(0.01)
    try:
        yield said[0].split()[1]
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(30)
        assert not thread.is_alive()


def ask(
    url: str,
    path: str = "",
    *,
    post: str | bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, str]:
    """Status and text of an answer."""

    async def call() -> tuple[int, str]:
        async with aiohttp.ClientSession() as client:
            address = url.partition("?")[0].rstrip("/") + path
            method = "GET" if post is None else "POST"
            async with client.request(method, address, data=post, headers=headers) as response:
                return response.status, await response.text()

    return asyncio.run(call())


class Camera(aiortc.MediaStreamTrack):  # type: ignore[misc, name-defined]
    """Frames of one colour after another, 30 a second."""

    kind = "video"

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self._size, self._index = size, 0

    async def recv(self) -> av.VideoFrame:
        await asyncio.sleep(1 / 30)
        pixels = np.full((self._size[1], self._size[0], 3), 40 + self._index % 150, np.uint8)
        frame = av.VideoFrame.from_ndarray(pixels, format="bgr24")
        frame.pts, frame.time_base = self._index * 3000, Fraction(1, 90_000)
        self._index += 1
        return frame


Talk = Callable[[Any, Any], Coroutine[Any, Any, Any]]


def visit(url: str, talk: Talk, size: tuple[int, int] = (160, 96)) -> Any:
    """Connect as the page does, and run `talk(track that comes back, control channel)`."""

    async def connect() -> Any:
        peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        tracks: asyncio.Queue[Any] = asyncio.Queue()
        peer.addTrack(Camera(size))
        channel = peer.createDataChannel("control")
        peer.on("track", tracks.put_nowait)
        try:
            await peer.setLocalDescription(await peer.createOffer())
            offer = {"type": "offer", "sdp": peer.localDescription.sdp}
            async with (
                aiohttp.ClientSession() as client,
                client.post(f"{url}/offer", json=offer) as response,
            ):
                assert response.status == 200, await response.text()
                answer = await response.json()
            await peer.setRemoteDescription(aiortc.RTCSessionDescription(**answer))
            return await asyncio.wait_for(talk(await tracks.get(), channel), 60)
        finally:
            await peer.close()

    return asyncio.run(connect())


async def frame_of_width(track: Any, width: int) -> av.VideoFrame:
    while (frame := await track.recv()).width != width:
        pass
    return frame


def test_pictures_come_back_twice_as_large_and_change(models: Models) -> None:
    async def talk(track: Any, _: Any) -> list[Any]:
        return [await track.recv() for _ in range(20)]

    with served(models) as url:
        frames = visit(url, talk)
    assert {(f.width, f.height) for f in frames} == {(320, 192)}
    means = [float(f.to_ndarray(format="bgr24").mean()) for f in frames]
    assert max(means) - min(means) > 5
    assert [f.pts for f in frames] == sorted({f.pts for f in frames})


def test_controls_switch_the_model_and_reports_come(models: Models) -> None:
    async def talk(track: Any, channel: Any) -> list[dict[str, Any]]:
        reports: asyncio.Queue[str] = asyncio.Queue()
        channel.on("message", reports.put_nowait)
        await frame_of_width(track, 320)
        seen = [json.loads(await reports.get())]
        for message in (
            "[]",
            "{",
            '{"strength": 7}',
            '{"model": 3}',
            '{"model": "no"}',
            "x" * 9999,
        ):
            channel.send(message)
        while not seen[-1]["problem"]:
            seen.append(json.loads(await reports.get()))
        channel.send(json.dumps({"model": "edge-x4", "faces": False}))
        await frame_of_width(track, 640)
        while seen[-1]["model"] != "edge-x4":
            seen.append(json.loads(await reports.get()))
        return seen

    with served(models) as url:
        seen = visit(url, talk)
    assert seen[0]["model"] == "bicubic-x2"
    assert any("not understood" in s["problem"] or "no model" in s["problem"] for s in seen)


def test_the_end_of_a_source_is_said(models: Models, tmp_path: Path) -> None:
    film = clip(tmp_path / "film.mp4", frames=20)

    async def talk(_: Any, channel: Any) -> None:
        reports: asyncio.Queue[str] = asyncio.Queue()
        channel.on("message", reports.put_nowait)
        while (report := json.loads(await reports.get()))["state"] != "ended":
            pass
        assert report["problem"] == ""

    with served(models, source=lambda: open_source(film)) as url:
        visit(url, talk)


def test_options_of_the_command_reach_every_model_of_the_page() -> None:
    opened: list[tuple[str, str | None]] = []

    def open_upscaler(name: str, faces: str | None) -> Upscaler:
        opened.append((name, faces))
        return Upscaler(name, faces=faces, precision="fp32")

    models = Models("bicubic-x2", open_upscaler=open_upscaler, deadline=0.5, strength=0.25)
    with closing(models), served(models) as url:
        assert json.loads(ask(url, "/config")[1])["strength"] == 0.25
        with models.live("edge-x2") as live:
            assert live.strength == 0.25
        assert models.get("edge-x2").info.frames.arithmetic == "fp32"
    assert opened == [
        ("bicubic-x2", None),
        ("bicubic-x2", "portrait-x2"),
        ("edge-x2", "portrait-x2"),
    ]


def test_one_visitor_at_a_time_and_the_next_one_after(models: Models) -> None:
    async def talk(track: Any, _: Any) -> None:
        await track.recv()
        with pytest.raises(AssertionError, match="somebody else is connected"):
            await asyncio.to_thread(visit, url, talk)

    async def wave(track: Any, _: Any) -> None:
        await track.recv()

    with served(models) as url:
        visit(url, talk)
        time.sleep(1)  # the other side hears of the end
        visit(url, wave)


def test_frames_that_are_too_large_are_refused(models: Models) -> None:
    async def talk(_: Any, channel: Any) -> str:
        reports: asyncio.Queue[str] = asyncio.Queue()
        channel.on("message", reports.put_nowait)
        while not (problem := json.loads(await reports.get())["problem"]):
            pass
        return str(problem)

    with served(models) as url:
        assert "too large" in visit(url, talk, size=(1920, 1088))


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ("{}", JSON, 400),
        ("[]", JSON, 400),
        ("no json", JSON, 400),
        ("[" * 5000, JSON, 400),
        ('{"type": "answer", "sdp": "v=0"}', JSON, 400),
        ('{"type": "offer", "sdp": 3}', JSON, 400),
        ('{"type": "offer", "sdp": "v=0"}', JSON, 400),
        ('{"type": "offer", "sdp": "m=video 9 x 0\\nm=application 9 x 0\\n"}', JSON, 400),
        ('{"type": "offer", "sdp": "' + "x" * 100_000 + '"}', JSON, 413),
        ("type=offer", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_bad_offers_are_refused_and_leave_nothing_behind(
    models: Models, body: str, headers: dict[str, str], status: int
) -> None:
    with served(models) as url:
        before = threading.active_count()
        assert ask(url, "/offer", post=body, headers=headers)[0] == status
        assert ask(url, "/offer", post=body, headers=headers)[0] == status  # not "somebody else"
        time.sleep(0.1)
        assert threading.active_count() <= before + 2  # the loop's own pool


def test_the_page_asks_for_nothing_from_outside(models: Models) -> None:
    with served(models) as url:
        for name in ("/", "/page.js", "/frames.js", "/glass.js", "/page.css", "/config"):
            status, text = ask(url, name)
            assert status == 200
            assert "//" not in text.replace("https only", "").replace("// ", "")
        assert ask(url, "/server.py")[0] == 404
        assert ask(url, "/..%2Fserver.py")[0] == 404


def test_another_sites_name_for_this_machine_is_refused(models: Models) -> None:
    with served(models) as url:
        assert ask(url, headers={"Host": "evil.example"})[0] == 403
        assert ask(url, headers={"Host": "localhost"})[0] == 200


def test_on_other_addresses_a_token_is_needed(models: Models) -> None:
    with pytest.raises(InputError, match="token="):
        Server(models, "0.0.0.0", None, print)
    with served(models, "0.0.0.0", "se cret") as url:
        here = url.replace("0.0.0.0", "127.0.0.1").partition("/?")[0]
        assert "token=se%20cret" in url
        assert ask(here)[0] == 403
        assert ask(here, "/config")[0] == 403
        assert ask(here, "/offer", post="{}", headers=JSON)[0] == 403
        assert ask(here, "/config", headers={"X-Token": "wrong"})[0] == 403
        assert ask(here, "/config", headers={"X-Token": "se cret"})[0] == 200
        assert ask(here, "/page.js")[0] == 200


def test_a_port_that_is_taken(models: Models) -> None:
    with served(models) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(VideoError, match="give another port"):
            asyncio.run(Server(models, "127.0.0.1", None, print).serve(port))


def test_the_command_serves_until_ctrl_c(tmp_path: Path) -> None:
    process = program("live", "--web", "--port", "0", "--model", "bicubic-x2")
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("open http://127.0.0.1:"), line
    assert ask(line.split()[1])[0] == 200
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert err == ""
