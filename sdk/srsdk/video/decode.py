"""Demuxes and decodes one file: decoded frames of the picture, packets of everything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import av
import av.error

from srsdk.errors import VideoError
from srsdk.video.opening import reason, time_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from srsdk.video.damage import DamageLog, OnDamage
    from srsdk.video.replay import PacketDecoder
    from srsdk.video.timeline import Timeline

# After this many errors in a row without a packet between them the rest of the file is given up.
_MOST_READ_ERRORS = 100
# Seconds by which sound may come later in a file than the picture of the same time.
_INTERLEAVING = 2.0
# Packets of these codecs are one frame each, so that lost frames can be counted.
_COUNTABLE = {"h264", "hevc"}


@dataclass(frozen=True)
class Section:
    """A part of a video whose first frame is at 0 on the timeline.

    Attributes:
        begins: Whether there may be something before it in the file, which is not wanted.
        duration: Seconds; None for all that follows.
    """

    begins: bool = False
    duration: float | None = None

    @property
    def is_limited(self) -> bool:
        """Whether the section is less than the whole file."""
        return self.begins or self.duration is not None

    def side_of(self, frame: Any) -> int:
        """-1, 0 or 1 for a frame before, in, or after the section."""
        time = _seconds(frame)
        if time is None:
            return 0
        if self.begins and time < -1e-6:
            return -1
        return 1 if self.duration is not None and time >= self.duration - 1e-6 else 0

    def has_packet(self, packet: Any) -> bool:
        """Whether some of what another track's packet holds is heard or seen in the section."""
        time = _seconds(packet)
        if time is None:
            return True
        end = time + float((packet.duration or 0) * packet.time_base)
        if self.begins and end <= 0:
            return False
        return self.duration is None or time < self.duration

    def is_past(self, packet: Any) -> bool:
        """Whether a packet of the video is so late that no other track needs what follows."""
        if self.duration is None or packet.dts is None:
            return False
        return float(packet.dts * packet.time_base) > self.duration + _INTERLEAVING


class Decoder:
    """Walks through a file once.

    Args:
        path: The file, for messages.
        container: PyAV's container.
        video: The stream to decode.
        side: Streams whose packets are passed on.
        timeline: Moves the timestamps of all packets.
        on_damage: See `srsdk.video.damage.OnDamage`.
        log: Where damage is noted.
        section: What part of the file is wanted, on the timeline.
        decoder: Decodes the picture.

    Attributes:
        frames: Frames decoded so far.
        packets: Packets of the video so far that should give a frame.
        end: Seconds at which the last packet so far ends.
        lead_in: Seconds before the first key frame, which cannot be shown.
        durations: By timestamp, the durations of frames not yet decoded.
    """

    def __init__(
        self,
        path: Path,
        container: Any,
        video: Any,
        side: list[Any],
        timeline: Timeline,
        on_damage: OnDamage,
        log: DamageLog,
        section: Section,
        decoder: PacketDecoder,
    ) -> None:
        self._path, self._container, self._video, self._side = path, container, video, side
        self._decoder = decoder
        self._timeline, self._stops, self._log = timeline, on_damage == "stop", log
        self._section = section
        self._complete = False  # all frames of the section are decoded
        self.frames = self.packets = 0
        self.end = self.lead_in = 0.0
        self.durations: dict[int, int] = {}
        self._keyed = False
        self._waiting: list[int] = []  # timestamps of packets before the first frame
        self._first: int | None = None
        self._last: float | None = None

    def __iter__(self) -> Iterator[Any]:
        """Yield packets (`av.Packet`) of the side streams and decoded frames (`av.VideoFrame`).

        Raises:
            VideoError: The file is damaged and damage stops.
        """
        streams = [self._video, *self._side]
        for packet in packets_of(self._container, streams, self._timeline, self._broken):
            if packet.pts is not None:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                self.end = max(self.end, end)
            if packet.stream.index == self._video.index:
                if self._section.is_past(packet):
                    return
                if not self._complete:
                    yield from self._wanted(self._decode(packet))
            elif packet.size and self._section.has_packet(packet):
                yield packet  # what has no size only says that the file is at its end
        if not self._section.is_limited:
            self._check_count()

    def _wanted(self, frames: Iterator[Any]) -> Iterator[Any]:
        for frame in frames:
            side = self._section.side_of(frame)
            if side == 0:
                yield frame
            elif side > 0:
                self._complete = True
                return

    def _broken(self, error: Exception) -> None:
        """Note a place that cannot be read, or raise where there is no going on."""
        if isinstance(error, av.error.FFmpegError):
            self._damaged(error)
        if not isinstance(error, (av.error.InvalidDataError, av.error.PatchWelcomeError)):
            raise self._unreadable(error) from error

    def _decode(self, packet: Any) -> Iterator[Any]:
        if packet.size and not packet.is_discard:
            self._count(packet)
        self._keyed = self._keyed or packet.is_keyframe
        if packet.is_corrupt:
            if self._stops:
                raise VideoError(f"{self._path} is damaged or cut short at {time_of(packet)}")
            self._log.add(_seconds(packet))
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError as error:
            if self._keyed or self.frames:
                self._damaged(error, _seconds(packet))
            return
        for frame in frames:
            yield self._checked(frame)

    def _count(self, packet: Any) -> None:
        """Note a packet that should give a frame."""
        pts = packet.pts
        if pts is not None and packet.duration:
            self.durations[pts] = packet.duration
        if not self.frames and pts is not None:
            self._waiting.append(pts)
        # What is shown before the first key frame refers to frames that are not in the file.
        if self._first is None or pts is None or pts >= self._first:
            self.packets += 1

    def _checked(self, frame: Any) -> Any:
        if frame.is_corrupt:
            if self._stops:
                raise VideoError(f"{self._path} is damaged at {time_of(frame)}")
            self._log.add(_seconds(frame), frames=1)
        if not self.frames and frame.pts is not None:
            self._first = frame.pts
            earlier = [pts for pts in self._waiting if pts < frame.pts]
            if earlier:
                self.packets -= len(earlier)
                self.lead_in = float((frame.pts - min(earlier)) * frame.time_base)
            self._waiting.clear()
        self.frames += 1
        time = _seconds(frame)
        self._last = time if time is not None else self._last
        return frame

    def _damaged(self, error: BaseException, time: float | None = None) -> None:
        if self._stops:
            raise VideoError(
                f"{self._path} cannot be decoded after frame {self.frames} ({reason(error)}); "
                "the file is damaged: copy or download it again, or let damage be concealed"
            ) from error
        self._log.add(self._last if time is None else time, lost=0)

    def _unreadable(self, error: BaseException) -> VideoError:
        return VideoError(
            f"{self._path} cannot be read after frame {self.frames} ({reason(error)}); "
            "check the disk or the connection that it lies on"
        )

    def _check_count(self) -> None:
        """Every packet must have given its frame, and the file must last as long as it says."""
        names = set(self._container.format.name.split(","))
        # The Matroska demuxer skips what it cannot read, up to the end of the file if need be.
        says = (self._container.duration or 0) / av.time_base
        if "matroska" in names and self.end < 0.99 * says - 1:
            text = f"ends at {self.end:.1f} s although it says that it lasts {says:.1f} s"
            self._missing(text, self.end, 0)
        lost = self.packets - self.frames
        if self._video.codec_context.name in _COUNTABLE and lost > 0:
            text = f"lacks {lost} of {self.packets} frames, which could not be decoded"
            self._missing(text, None, lost)

    def _missing(self, text: str, time: float | None, lost: int) -> None:
        if self._stops:
            raise VideoError(f"{self._path} {text}; the file is damaged: copy or download it again")
        self._log.add(time, lost=lost)


def packets_of(
    container: Any, streams: list[Any], timeline: Timeline, broken: Callable[[Exception], None]
) -> Iterator[Any]:
    """The packets of some streams, in the order of the file, on its timeline.

    Args:
        container: PyAV's container.
        streams: Its streams that are wanted.
        timeline: Moves the timestamps.
        broken: Called where the file cannot be read; raises if that is the end.
    """
    errors = 0
    while errors < _MOST_READ_ERRORS:
        try:
            for packet in container.demux(streams):
                errors = 0
                timeline.place(packet)
                # Without a size: the end, or Theora's way to say that the frame before stays.
                if packet.size or packet.pts is None:
                    yield packet
            return
        except (av.error.FFmpegError, OSError) as error:
            if isinstance(error, VideoError):
                raise
            broken(error)
            errors += 1


def _seconds(item: Any) -> float | None:
    stamp = item.pts if item.pts is not None else item.dts
    return None if stamp is None or not item.time_base else float(stamp * item.time_base)
