"""Reads a video: upright BGR frames with their own timestamps, and the packets beside them."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error

from srsdk.errors import VideoError
from srsdk.video.colour import Colour, Converter, FrameBuffer, refuse_unsupported
from srsdk.video.opening import (
    check_file,
    duration_of,
    is_cover,
    open_container,
    orientation_of,
    reason,
    time_of,
    video_stream,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from types import TracebackType

    from srsdk.types import Pixels
    from srsdk.video.orientation import Orientation

_log = logging.getLogger(__name__)

# Stream clocks of these start anywhere, often hours in; everything is moved to start at zero.
_BROADCAST = {"mpegts", "mpeg"}
# Containers and codecs in which every packet is exactly one frame, so that frames can be counted.
_COUNTABLE = ({"mov", "mp4", "matroska"}, {"h264", "hevc"})


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds.

    Attributes:
        path: The file.
        width: Width in pixels, after turning upright.
        height: Height in pixels, after turning upright.
        time_base: Unit of every timestamp, in seconds.
        rate: Average frames per second; None where the file gives none.
        frames: Number of frames as the container has it, or estimated; None when unknown.
        duration: Seconds; None when unknown.
        codec: Name of the video codec.
        pixel_format: FFmpeg's name of the stored pixel format.
        colour: Colour tags, with what the file leaves open filled in.
        orientation: What was done to the stored pixels to turn them upright.
        sample_aspect_ratio: Width of a pixel over its height, after turning upright.
    """

    path: Path
    width: int
    height: int
    time_base: Fraction
    rate: Fraction | None
    frames: int | None
    duration: float | None
    codec: str
    pixel_format: str
    colour: Colour
    orientation: Orientation
    sample_aspect_ratio: Fraction


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        pixels: `(H, W, 3)` uint8 BGR, upright; rows may be padded.
        pts: When it is shown, in units of the stream's time base; strictly increasing.
        duration: How long, in the same unit; 0 where the file does not say.
    """

    pixels: Pixels
    pts: int
    duration: int = 0


class VideoReader:
    """Decodes one video, once, from its beginning.

    Iterating gives `Frame`s. `read()` gives them together with the packets of all other tracks, in
    the order of the file, for copying. A frame that cannot be decoded raises; none is concealed as
    far as the decoder can tell, none is skipped.

    Args:
        path: A file on disk.
        threads: Threads for decoding; one is ample for what is worth upscaling.

    Raises:
        VideoError: There is no such file, it is damaged or cut short, has no video, is HDR, has
            more than 8 bits per component, transparency, or interlaced fields.
    """

    def __init__(self, path: str | os.PathLike[str], *, threads: int = 1) -> None:
        self.path = Path(path)
        #: Seconds that are taken off every timestamp (streams cut from a broadcast only).
        self.origin = Fraction(0)
        #: Timestamps that were missing or did not increase and were put right.
        self.repaired_timestamps = 0
        check_file(self.path)
        self.container = open_container(self.path)
        try:
            self._video: Any = video_stream(self.container, self.path)
            names = set(self.container.format.name.split(","))
            if names & _BROADCAST and self.container.start_time:
                self.origin = Fraction(self.container.start_time, av.time_base)
            self._side = [
                stream
                for stream in self.container.streams
                if stream.type in ("audio", "subtitle", "data") or is_cover(stream)
            ]
            context = self._video.codec_context
            context.thread_count = threads
            context.options = {"err_detect": "explode"}
            self._set_up()
        except BaseException:
            self.container.close()
            raise

    @property
    def side_streams(self) -> list[Any]:
        """The tracks whose packets `read` gives: audio, subtitles, data and covers (PyAV)."""
        return list(self._side)

    @property
    def video_stream(self) -> Any:
        """The track that is decoded, as a PyAV stream."""
        return self._video

    def _set_up(self) -> None:
        """Decode up to the first frame: only that tells format, orientation and colour."""
        stream, context = self._video, self._video.codec_context
        self._durations: dict[int, int] = {}
        self._last_pts: int | None = None
        self._packets = self._frames = 0
        self._end = 0.0
        self._source = self._decode()
        self._ahead: deque[Any] = deque()
        for item in self._source:
            self._ahead.append(item)
            if isinstance(item, av.VideoFrame):
                break
        else:
            raise VideoError(f"{self.path} has a video track without a single frame in it")
        first = self._ahead[-1]
        refuse_unsupported(first, source=str(self.path))
        colour = Colour.of(first, context, source=str(self.path))
        self._shape = (first.width, first.height, first.format.name)
        self._convert = Converter.to_bgr(first, colour)
        orientation = orientation_of(first, stream, self.path)
        width, height = first.width, first.height
        aspect = Fraction(context.sample_aspect_ratio or 1)
        if orientation.swaps_axes:
            width, height, aspect = height, width, 1 / aspect
        rate = stream.average_rate or stream.guessed_rate or None
        duration = duration_of(stream, self.container)
        frames = stream.frames or (round(duration * rate) if duration and rate else None)
        self.info = VideoInfo(
            path=self.path,
            width=width,
            height=height,
            time_base=Fraction(stream.time_base),
            rate=rate,
            frames=frames,
            duration=duration,
            codec=context.name,
            pixel_format=first.format.name,
            colour=colour,
            orientation=orientation,
            sample_aspect_ratio=aspect,
        )
        self._step = max(1, round(1 / (rate * stream.time_base))) if rate else 1

    def __iter__(self) -> Iterator[Frame]:
        """The frames alone."""
        return (item for item in self.read() if isinstance(item, Frame))

    def read(self) -> Iterator[Frame | Any]:
        """Frames, and the packets (`av.Packet`) of `side_streams`, in the order of the file.

        Raises:
            VideoError: The file is damaged at this point.
        """
        while self._ahead:
            yield self._finish(self._ahead.popleft())
        for item in self._source:
            yield self._finish(item)
        self._check_count()

    def _decode(self) -> Iterator[Any]:
        """Packets of the side tracks as they are, packets of the video as decoded frames."""
        try:
            for packet in self.container.demux([self._video, *self._side]):
                self._note_end(packet)
                if packet.stream.index != self._video.index:
                    if packet.size:  # what has none only says that the file is at its end
                        yield packet
                    continue
                if packet.is_corrupt:
                    raise VideoError(f"{self.path} is damaged or cut short at {time_of(packet)}")
                if packet.size and not packet.is_discard:
                    self._packets += 1
                    if packet.pts is not None and packet.duration:
                        self._durations[packet.pts] = packet.duration
                for frame in packet.decode():
                    if frame.is_corrupt:
                        raise VideoError(f"{self.path} is damaged at {time_of(frame)}")
                    self._frames += 1
                    yield frame
        except (av.error.FFmpegError, OSError) as error:
            if isinstance(error, VideoError):
                raise
            raise VideoError(
                f"{self.path} cannot be decoded after frame {self._frames} ({reason(error)}); "
                "the file is damaged: copy or download it again"
            ) from error

    def _finish(self, item: Any) -> Any:
        return self._frame(item) if isinstance(item, av.VideoFrame) else self._packet(item)

    def _packet(self, packet: Any) -> Any:
        if packet.dts is None and is_cover(packet.stream):
            packet.pts = packet.dts = 0
            return packet
        if self.origin:
            shift = round(self.origin / Fraction(packet.time_base))
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
        return packet

    def _frame(self, frame: av.VideoFrame) -> Frame:
        """Convert, turn, and settle the timestamp."""
        if (frame.width, frame.height, frame.format.name) != self._shape:
            raise VideoError(
                f"{self.path} changes its picture size or pixel format at {time_of(frame)}; "
                "re-encode it first: ffmpeg -i IN -c:a copy OUT"
            )
        if frame.interlaced_frame:
            refuse_unsupported(frame, source=str(self.path))
        stored = frame.pts
        duration = self._durations.pop(stored, 0) if stored is not None else 0
        if len(self._durations) > 1024:  # a container whose packets and frames disagree
            self._durations.clear()
        pts = self._settle(stored)
        pixels = self.info.orientation.apply(FrameBuffer(self._convert(frame)).pixels)
        return Frame(pixels, pts, duration)

    def _settle(self, stored: int | None) -> int:
        """A timestamp after the last one: the file's own if it is one."""
        last = self._last_pts
        if stored is not None:
            pts = stored - round(self.origin / self.info.time_base)
        else:
            pts = 0 if last is None else last + self._step
        if stored is None or (last is not None and pts <= last):
            self.repaired_timestamps += 1
            if self.repaired_timestamps == 1:
                _log.warning("%s: missing or repeated timestamps, putting them right", self.path)
        if last is not None and pts <= last:
            pts = last + 1
        self._last_pts = pts
        return pts

    def _note_end(self, packet: Any) -> None:
        if packet.pts is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self._end = max(self._end, end)

    def _check_count(self) -> None:
        """Every packet must have given its frame, and the file must last as long as it says."""
        containers, codecs = _COUNTABLE
        names = set(self.container.format.name.split(","))
        if not names & containers:
            return
        # The Matroska demuxer skips what it cannot read, up to the end of the file if need be.
        says = (self.container.duration or 0) / av.time_base
        if "matroska" in names and self._end < 0.99 * says - 1:
            raise VideoError(
                f"{self.path} ends at {self._end:.1f} s although it says that it lasts "
                f"{says:.1f} s; the file is damaged: copy or download it again"
            )
        if self.info.codec in codecs and self._frames < self._packets:
            raise VideoError(
                f"{self.path}: {self._packets - self._frames} of {self._packets} frames could not "
                "be decoded; the file is damaged: copy or download it again"
            )

    def close(self) -> None:
        """Close the file; calling twice is fine."""
        self.container.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
