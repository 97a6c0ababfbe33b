"""One visitor of the page: a camera comes in by WebRTC, upscaled pictures go back."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.codecs import h264, vpx
from aiortc.mediastreams import MediaStreamError

from srsdk.errors import InputError, SrsdkError
from srsdk.live.live import Live, LiveFrame
from srsdk.live.web.models import Models

MAX_INPUT = 1280 * 720
"""Pixels of the largest frame that is accepted."""

MAX_OUTPUT = 1920 * 1280
"""Pixels of the largest picture that is sent; an encoder on the CPU takes no more in time."""

_CLOCK = 90_000  # units a second of RTP's video clock
_BIT_RATE = 8_000_000  # 720p of a face without visible loss; aiortc stops at 1.5 million
_REPORT = 0.5  # seconds between two reports to the page
_MAX_MESSAGE = 1000  # characters

log = logging.getLogger(__name__)

# aiortc has no other way to say this.
vpx.MAX_BITRATE = vpx.DEFAULT_BITRATE = _BIT_RATE
h264.MAX_BITRATE = h264.DEFAULT_BITRATE = _BIT_RATE


class Session:
    """Upscales one visitor's camera.

    Args:
        models: What the visitor may choose from.
        ended: Called once when the connection is over.
    """

    def __init__(self, models: Models, ended: Callable[[], None]) -> None:
        self._models, self._ended = models, ended
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        # One thread waits for pictures and converts them, one opens models.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="srsdk-web")
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._problem = ""
        self.model = next(iter(models.choices))
        self.live = Live(models.get(self.model)).__enter__()
        self._peer.on("track", self._on_track)
        self._peer.on("datachannel", self._on_channel)
        self._peer.on("connectionstatechange", self._on_state)

    async def answer(self, sdp: str) -> str:
        """Take the page's offer.

        Args:
            sdp: The offer: one video track, and the data channel of the controls.

        Returns:
            The answer.

        Raises:
            InputError: It is no such offer.
        """
        _check_offer(sdp)
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
            self._peer.addTrack(_Pictures(self))
            await self._peer.setLocalDescription(await self._peer.createAnswer())
        except Exception as error:  # whatever aiortc's parser meets in what a stranger sent
            raise InputError(
                f"this offer cannot be used ({error or type(error).__name__})"
            ) from error
        return self._peer.localDescription.sdp

    async def next_picture(self) -> av.VideoFrame:
        """Wait for the next picture, ready for the encoder.

        Raises:
            MediaStreamError: The session is over.
        """
        loop = asyncio.get_running_loop()
        while not self._closed:
            try:
                frame = await loop.run_in_executor(self._threads, self._picture)
            except SrsdkError as error:
                self._problem = str(error)
                break
            if frame is not None:
                return frame
        raise MediaStreamError

    async def close(self) -> None:
        """Hang up."""
        if self._closed:
            return
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await self._peer.close()
        await asyncio.get_running_loop().run_in_executor(None, self.live.close)
        self._threads.shutdown(wait=False)
        self._ended()

    def _picture(self) -> av.VideoFrame | None:
        result = self.live.get(0.2)
        return None if result is None else _to_video(result)

    def _start(self, task: Any) -> None:
        running = asyncio.ensure_future(task)
        self._tasks.add(running)
        running.add_done_callback(self._tasks.discard)

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "video":
            self._start(self._receive(track))

    def _on_channel(self, channel: Any) -> None:
        def received(message: object) -> None:
            self._start(self._control(message))

        channel.on("message", received)
        self._start(self._report(channel))

    async def _on_state(self) -> None:
        if self._peer.connectionState in ("failed", "closed"):
            await self.close()

    async def _receive(self, track: MediaStreamTrack) -> None:
        """Hand the camera's frames on; `Live` takes the newest."""
        while True:
            try:
                frame: Any = await track.recv()
            except MediaStreamError:
                return
            scale = self._models.choices[self.model].scale
            pixels = frame.width * frame.height
            if pixels > MAX_INPUT or pixels * scale**2 > MAX_OUTPUT:
                self._problem = f"frames of {frame.width}x{frame.height} are too large for x{scale}"
                continue
            self.live.put(frame.to_ndarray(format="bgr24"))

    async def _report(self, channel: Any) -> None:
        """Tell the page how it goes."""
        while channel.readyState == "open":
            stats = self.live.stats
            channel.send(
                json.dumps(
                    {
                        "model": self.model,
                        "level": stats.level,
                        "fps": round(stats.fps, 1),
                        "age": round(1e3 * stats.p50, 1),
                        "faces": stats.faces,
                        "dropped": stats.dropped,
                        "state": stats.state,
                        "problem": self._problem or stats.problem,
                    }
                )
            )
            await asyncio.sleep(_REPORT)

    async def _control(self, message: object) -> None:
        """What the visitor switches."""
        try:
            wanted = _parse(message)
            if wanted.get("model", self.model) != self.model:
                await self._use(str(wanted["model"]))
            if "faces" in wanted:
                self.live.faces = bool(wanted["faces"])
            self._problem = ""
        except SrsdkError as error:
            self._problem = str(error)

    async def _use(self, model: str) -> None:
        """Go on with another model."""
        loop = asyncio.get_running_loop()
        upscaler = await loop.run_in_executor(self._threads, self._models.get, model)
        before, after = self.live, Live(upscaler).__enter__()
        after.faces = before.faces
        self.model, self.live = model, after
        await loop.run_in_executor(None, before.close)


class _Pictures(MediaStreamTrack):
    """The track that goes back."""

    kind = "video"

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._last = -1

    async def recv(self) -> av.VideoFrame:
        frame = await self._session.next_picture()
        frame.pts = self._last = max(frame.pts or 0, self._last + 1)
        return frame


def _to_video(result: LiveFrame) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(result.pixels, format="bgr24").reformat(format="yuv420p")
    frame.pts, frame.time_base = int(result.captured * _CLOCK), Fraction(1, _CLOCK)
    return frame


def _check_offer(sdp: str) -> None:
    media = [line.split()[0] for line in sdp.splitlines() if line.startswith("m=")]
    if sorted(media) != ["m=application", "m=video"]:
        raise InputError("expected an offer of one video track and one data channel")


def _parse(message: object) -> dict[str, Any]:
    """A message of the controls.

    Raises:
        InputError: It is not of the form {"model": str, "faces": bool, "strength": 0 to 1}.
    """
    types: dict[str, tuple[type, ...]] = {
        "model": (str,),
        "faces": (bool,),
        "strength": (int, float),
    }
    try:
        if not isinstance(message, str) or len(message) > _MAX_MESSAGE:
            raise ValueError
        wanted: dict[str, Any] = json.loads(message)
        if not all(isinstance(wanted[name], types[name]) for name in wanted):
            raise ValueError
        if not 0 <= wanted.get("strength", 0) <= 1:
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError("this message of the page is not understood") from error
    return wanted
