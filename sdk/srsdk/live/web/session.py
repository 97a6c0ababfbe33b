"""One visitor of the page: a camera comes in by WebRTC, upscaled pictures go back."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from srsdk.errors import InputError, SrsdkError
from srsdk.live.sources import Source
from srsdk.live.web.encoder import Codec, Encoder, Packet
from srsdk.live.web.models import Models
from srsdk.types import Pixels

MAX_INPUT = 1280 * 720
"""Pixels of the largest frame that is accepted."""

MAX_OUTPUT = 1920 * 1280
"""Pixels of the largest picture that is sent; an encoder on the CPU takes no more in time."""

_REPORT = 0.5  # seconds between two reports to the page
_MAX_MESSAGE = 1000  # characters

log = logging.getLogger(__name__)


class Session:
    """Upscales one visitor's camera, or shows a source to a visitor.

    Args:
        models: What the visitor may choose from.
        ended: Called once when the connection is over.
        open_source: Opens what is shown; None: the visitor's camera is upscaled.
    """

    def __init__(
        self,
        models: Models,
        ended: Callable[[], None],
        open_source: Callable[[], Source] | None = None,
    ) -> None:
        self._models, self._ended, self._open_source = models, ended, open_source
        self._source: Source | None = None
        self._source_ended = False
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        # One thread waits for pictures and converts them, one opens models.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="srsdk-web")
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._problem = ""
        self._encode = Encoder("VP8")
        self._packets: deque[Packet] = deque()
        self.model = next(iter(models.choices))
        self.live = models.live(self.model).__enter__()
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
            VideoError: The source cannot be opened.
        """
        _check_offer(sdp)
        try:
            self._peer.addTrack(_Pictures(self))
            self._peer.getTransceivers()[0].setCodecPreferences(_codecs())
            await self._peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
            await self._peer.setLocalDescription(await self._peer.createAnswer())
        except Exception as error:  # whatever aiortc's parser meets in what a stranger sent
            raise InputError(
                f"this offer cannot be used ({error or type(error).__name__})"
            ) from error
        if self._open_source is not None:
            loop = asyncio.get_running_loop()
            self._source = await loop.run_in_executor(self._threads, self._open_source)
            threading.Thread(target=self._read, args=(self._source,), daemon=True).start()
        answer = self._peer.localDescription.sdp
        self._encode = Encoder(_codec_of(answer))
        return answer

    async def next_packet(self) -> Packet:
        """Wait for the next picture, encoded.

        Raises:
            MediaStreamError: The session is over.
        """
        loop = asyncio.get_running_loop()
        while not self._closed:
            if self._packets:
                return self._packets.popleft()
            try:
                self._packets.extend(await loop.run_in_executor(self._threads, self._picture))
            except SrsdkError as error:
                self._problem = str(error)
                break
        raise MediaStreamError

    async def close(self) -> None:
        """Hang up."""
        if self._closed:
            return
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._source is not None:
            self._source.close()
        await self._peer.close()
        await asyncio.get_running_loop().run_in_executor(None, self.live.close)
        self._threads.shutdown(wait=False)
        self._ended()

    def _picture(self) -> list[Packet]:
        result = self.live.get(0.2)
        return [] if result is None else self._encode(result.pixels, result.captured)

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
            if self._fits(frame.width, frame.height):
                self.live.put(_to_bgr(frame))

    def _read(self, source: Source) -> None:
        """Hand the frames of a source on; `Live` takes the newest."""
        try:
            while not self._closed and (frame := source.read()) is not None:
                if self._fits(frame.shape[1], frame.shape[0]):
                    self.live.put(frame)
        except SrsdkError as error:
            self._problem = str(error)
        self._source_ended = True

    def _fits(self, width: int, height: int) -> bool:
        """Whether frames are small enough; says so if not."""
        scale = self._models.choices[self.model].scale
        if width * height <= MAX_INPUT and width * height * scale**2 <= MAX_OUTPUT:
            return True
        self._problem = f"frames of {width}x{height} are too large for x{scale}"
        return False

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
                        "state": "ended" if self._source_ended else stats.state,
                        "problem": self._problem or self._source_status() or stats.problem,
                    }
                )
            )
            await asyncio.sleep(_REPORT)

    def _source_status(self) -> str:
        return "" if self._source is None else self._source.status

    async def _control(self, message: object) -> None:
        """Apply the settings that the visitor changed."""
        try:
            wanted = _parse(message)
            if wanted.get("model", self.model) != self.model:
                await self._use(str(wanted["model"]))
            if "faces" in wanted:
                self.live.faces = bool(wanted["faces"])
            if "strength" in wanted:
                self.live.strength = float(wanted["strength"])
            self._problem = ""
        except SrsdkError as error:
            self._problem = str(error)

    async def _use(self, model: str) -> None:
        """Go on with another model."""
        loop = asyncio.get_running_loop()
        live = await loop.run_in_executor(self._threads, self._models.live, model)
        before, after = self.live, live.__enter__()
        after.faces, after.strength = before.faces, before.strength
        self.model, self.live = model, after
        await loop.run_in_executor(None, before.close)


class _Pictures(MediaStreamTrack):
    """The track that goes back."""

    kind = "video"

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    async def recv(self) -> Packet:  # aiortc sends packets as they are
        return await self._session.next_packet()


def _to_bgr(frame: Any) -> Pixels:
    if frame.format.name == "yuv420p" and frame.width % 2 == frame.height % 2 == 0:
        # FFmpeg's scaler would start threads for each frame, which takes longer than the frame.
        return np.asarray(cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2BGR_I420), np.uint8)
    return np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def _codecs() -> list[Any]:
    """What aiortc can send, H.264 first: its encoder is the fastest."""
    codecs = RTCRtpSender.getCapabilities("video").codecs
    return sorted(codecs, key=lambda codec: codec.mimeType != "video/H264")


def _codec_of(sdp: str) -> Codec:
    """The codec that an answer names first."""
    line = next(line for line in sdp.splitlines() if line.startswith("m=video"))
    payload = line.split()[3]
    return "H264" if f"a=rtpmap:{payload} H264/" in sdp else "VP8"


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
