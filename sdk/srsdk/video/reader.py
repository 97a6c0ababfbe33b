"""Reads a video: upright BGR frames with their own timestamps, and the packets beside them."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import av
import av.error
import numpy as np

from srsdk.errors import InputError, VideoError
from srsdk.video.colour import Colour
from srsdk.video.damage import DamageLog, OnDamage, check_on_damage
from srsdk.video.decode import Decoder, Section, packets_of
from srsdk.video.info import Frame, VideoInfo
from srsdk.video.intact import CountingPipe, y4m_missing
from srsdk.video.opening import (
    check_file,
    duration_of,
    is_cover,
    open_container,
    orientation_of,
    picture_decoder,
    video_stream,
)
from srsdk.video.replay import PacketDecoder, PastFrame
from srsdk.video.samples import Parts
from srsdk.video.timeline import Timeline
from srsdk.video.upright import UprightFrames

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from srsdk.video.damage import Damage

_log = logging.getLogger(__name__)

# Stream clocks of these start anywhere, often hours in; everything is moved to start at zero.
_BROADCAST = {"mpegts", "mpeg"}
_ANIMATIONS = {"gif", "apng", "webp_anim"}

# Before a key frame there may be frames that are shown after it.
_SEEK_MARGIN = 0.5

_NO_PARTS = Parts(np.empty((0, 0, 3), np.uint8))


@dataclass(frozen=True)
class ReadOptions:
    """Which part of a video is read, and how.

    Attributes:
        on_damage: What to do where the file is damaged, see `srsdk.video.damage.OnDamage`.
        start: Seconds at which to begin; frames shown before are left out.
        duration: Seconds to read; None for all.
        progressive: Take frames for whole ones although the file says that they are interlaced.
        threads: Threads for decoding; one is ample for what is worth upscaling.
    """

    on_damage: OnDamage = "conceal"
    start: float = 0.0
    duration: float | None = None
    progressive: bool = False
    threads: int = 1

    def __post_init__(self) -> None:
        """Raise `InputError` for options that mean nothing."""
        check_on_damage(self.on_damage)
        if not 0 <= self.start < 1e9:
            raise InputError(f"start is {self.start} s, expected 0 or more")
        if self.duration is not None and not 0 < self.duration < 1e9:
            raise InputError(f"duration is {self.duration} s, expected more than 0")


class VideoReader:
    """Decodes one video, once, from its beginning or from `ReadOptions.start` on.

    Iterating gives `Frame`s. `read()` gives them together with the packets of all other tracks, in
    the order of the file, for copying.

    Args:
        path: A file on disk.
        options: Which part is read, and how; None for the defaults.
        file: Where to read the bytes of a stream that has no path, such as stdin; `path` is then
            its name in messages.

    Raises:
        VideoError: There is no such file, it is damaged or cut short, has no video, is HDR, or
            has interlaced fields.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        options: ReadOptions | None = None,
        file: BinaryIO | None = None,
    ) -> None:
        self._options = options = options or ReadOptions()
        self.path = Path(path)
        #: Seconds that are taken off every timestamp (streams cut from a broadcast only).
        self.origin = Fraction(0)
        #: Timestamps that were missing or did not increase and were put right.
        self.repaired_timestamps = 0
        #: Seconds at which the part that is read begins, and its length; None: to the end.
        self.section: tuple[float, float | None] = (options.start, options.duration)
        self._log = DamageLog()
        self._missing = 0
        if file is None:
            self._missing = check_file(self.path, whole=options.on_damage != "salvage")
        self._pipe: CountingPipe | None = None
        if file is not None and not file.seekable():
            self._pipe = CountingPipe(file)
        self.container = open_container(self.path, file if self._pipe is None else self._pipe)
        try:
            self._video: Any = video_stream(self.container, self.path)
            names = set(self.container.format.name.split(","))
            if names & _BROADCAST and self.container.start_time:
                self.origin = Fraction(self.container.start_time, av.time_base)
            self._is_file = file is None
            self._begin = float(self.origin) + options.start - _SEEK_MARGIN
            self._seek(self.container)
            self.origin += Fraction(options.start)
            self._continuous = bool(names & _BROADCAST)
            self._timeline = Timeline(self.origin, continuous=self._continuous)
            self._again: list[Any] = []  # containers opened for decoding from the beginning
            self._side = [
                stream
                for stream in self.container.streams
                if stream.type in ("audio", "subtitle", "data") or is_cover(stream)
            ]
            self._context = self._open_decoder(self._video)
            self._packets = PacketDecoder(self._context, self._open_again)
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

    @property
    def warnings(self) -> list[str]:
        """What a viewer of the frames read so far should know, one line each."""
        lines = []
        if self._missing:
            lines.append(f"cut short, {self._missing} bytes are missing at its end")
        if self._decoder.lead_in:
            lines.append(
                f"the first {self._decoder.lead_in:.2f} s, before the first key frame, "
                "cannot be shown"
            )
        jumps = self._timeline.jumps
        if jumps:
            more = f" and {len(jumps) - 1} more times" if len(jumps) > 1 else ""
            lines.append(f"the recording's clock jumps at {jumps[0]:.2f} s{more}; closed the gap")
        if self._upright.resized:
            lines.append(
                f"{self._upright.resized} frames from {self._upright.resized_at} on had another "
                "size or pixel format and were converted to that of the first"
            )
        return [*lines, *self._log.warnings()]

    @property
    def damage(self) -> list[Damage]:
        """The damaged spots found so far."""
        return list(self._log.spots)

    def _set_up(self) -> None:
        """Decode up to the first frame: only that tells format, orientation and colour."""
        stream, context = self._video, self._context
        self._last_pts: int | None = None
        self._skip = 0
        self._decoder = Decoder(
            self.path,
            self.container,
            stream,
            self._side,
            self._timeline,
            self._options.on_damage,
            self._log,
            Section(self._options.start > 0, self._options.duration),
            self._packets,
        )
        self._source = iter(self._decoder)
        self._ahead: deque[Any] = deque()
        first = self._first_frame()
        colour = Colour.of(first, context, source=str(self.path))
        orientation = orientation_of(first, stream, self.path)
        self._upright = UprightFrames(
            self.path,
            first,
            colour,
            orientation,
            animation=bool(set(self.container.format.name.split(",")) & _ANIMATIONS),
            progressive=self._options.progressive,
            stops=self._options.on_damage == "stop",
        )
        width, height = first.width, first.height
        aspect = Fraction(context.sample_aspect_ratio or 1)
        if orientation.swaps_axes:
            width, height, aspect = height, width, 1 / aspect
        rate = stream.average_rate or stream.guessed_rate or None
        duration = duration_of(stream, self.container)
        frames = stream.frames or (round(duration * rate) if duration and rate else None)
        if self._options.start or self._options.duration:
            left = None if duration is None else max(0.0, duration - self._options.start)
            given = [value for value in (left, self._options.duration) if value is not None]
            duration = min(given, default=None)
            frames = round(duration * rate) if duration and rate else None
        self.info = VideoInfo(
            path=self.path,
            width=width,
            height=height,
            time_base=Fraction(stream.time_base),
            rate=rate,
            frames=frames,
            duration=duration,
            codec=stream.codec_context.name,
            pixel_format=first.format.name,
            colour=colour,
            orientation=orientation,
            sample_aspect_ratio=aspect,
            samples=self._upright.samples,
        )
        self._step = max(1, round(1 / (rate * stream.time_base))) if rate else 1

    def _first_frame(self) -> av.VideoFrame:
        """Decode up to the first frame; it waits in `_ahead`, behind the packets before it."""
        for item in self._source:
            self._ahead.append(item)
            if isinstance(item, av.VideoFrame):
                return item
        raise self._empty()

    def _empty(self) -> VideoError:
        """The error for a video without a frame."""
        if self._options.start:
            duration = duration_of(self._video, self.container)
            lasts = "" if duration is None else f"; it lasts {duration:g} s"
            return VideoError(f"{self.path} has no frame after {self._options.start:g} s{lasts}")
        advice = "copy or download it again"
        if self._video.codec_context.name == "webp":
            advice = "FFmpeg cannot decode WebP that moves: give the animation as .png or .gif"
        if self._pipe is not None:
            advice = (
                "some MP4 files cannot be read from a pipe: give the file itself, or send "
                "Matroska, MPEG-TS or YUV4MPEG2"
            )
        return VideoError(
            f"{self.path} has a video track without a single frame that can be decoded; {advice}"
        )

    def _seek(self, container: Any) -> None:
        """Go to a key frame before the start, or stay at the beginning where that fails."""
        if self._options.start and self._is_file and self._begin > 0:
            with contextlib.suppress(av.error.FFmpegError, OSError):
                container.seek(int(self._begin * av.time_base))

    def _open_decoder(self, stream: Any) -> Any:
        context = picture_decoder(stream, self.path)
        context.thread_count = self._options.threads
        if self._options.on_damage == "stop":
            # The decoder then raises where it would repair.
            context.options = {"err_detect": "explode"}
        return context

    def _open_again(self) -> tuple[Any, Iterator[Any]]:
        """A decoder, and the packets that it gets, from the first one on."""
        container = open_container(self.path)
        self._again.append(container)
        self._seek(container)
        streams = [container.streams[s.index] for s in (self._video, *self._side)]
        timeline = Timeline(self.origin, continuous=self._continuous)
        packets = packets_of(container, streams, timeline, lambda _: None)
        mine = (packet for packet in packets if packet.stream.index == self._video.index)
        return self._open_decoder(streams[0]), mine

    def __iter__(self) -> Iterator[Frame]:
        """The frames alone."""
        return (item for item in self.read() if isinstance(item, Frame))

    def read(
        self, *, skip: int = 0, past: Sequence[Callable[[], bytes]] | None = None
    ) -> Iterator[Frame | Any]:
        """Frames, and the packets (`av.Packet`) of `side_streams`, in the order of the file.

        Args:
            skip: So many of the first frames come without pixels.
            past: What `take_notes` gave for the chunks that these frames are, by which they need
                not be decoded again; empty where notes are to be made, None for none.

        Raises:
            VideoError: The file is damaged at this point, and damage stops; or it cannot be read.
        """
        self._skip = skip
        self._packets.begin(past)
        while self._ahead:
            yield self._finish(self._ahead.popleft())
        for item in self._source:
            yield self._finish(item)
        if self._pipe is not None:
            self._missing = y4m_missing(self._pipe.head, self._pipe.size)
            if self._missing and self._options.on_damage == "stop":
                raise VideoError(f"{self.path} is cut short, its last frame is not whole")

    def take_notes(self) -> bytes | None:
        """What a later run needs to go on with the latest frame, since the last call.

        None where `read` was told to make none.
        """
        return self._packets.take_notes()

    @property
    def decoded_packets(self) -> int:
        """Packets of the picture that were decoded; fewer than there are where others did it."""
        return self._packets.decoded

    def _finish(self, item: Any) -> Any:
        if isinstance(item, (av.VideoFrame, PastFrame)):
            self._skip -= 1
            return self._frame(item, wanted=self._skip < 0)
        if item.dts is None and is_cover(item.stream):
            item.pts = item.dts = 0
        return item

    def _frame(self, frame: av.VideoFrame | PastFrame, *, wanted: bool) -> Frame:
        """Convert, turn, and settle the timestamp."""
        stored = frame.pts
        durations = self._decoder.durations
        duration = durations.pop(stored, 0) if stored is not None else 0
        if len(durations) > 1024:  # a container whose packets and frames disagree
            durations.clear()
        pts = self._settle(stored)
        parts = _NO_PARTS
        if isinstance(frame, PastFrame):
            self._upright.count(frame, frame.shape)
        elif wanted:
            parts = self._upright.parts(frame)
        else:
            self._upright.check(frame)
        key = bool(frame.key_frame)
        return Frame(parts.pixels, pts, duration, key, parts.deep, parts.alpha)

    def _settle(self, stored: int | None) -> int:
        """A timestamp after the last one: the file's own if it is one."""
        last = self._last_pts
        guess = 0 if last is None else last + self._step
        pts = guess if stored is None else stored
        if stored is None or (last is not None and pts <= last):
            self.repaired_timestamps += 1
            if self.repaired_timestamps == 1:
                _log.warning("%s: missing or repeated timestamps, putting them right", self.path)
        if last is not None and pts <= last:
            pts = last + 1
        self._last_pts = pts
        return pts

    def close(self) -> None:
        """Close the file; calling twice is fine."""
        for container in (self.container, *self._again):
            container.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
