"""Encodes the picture, in chunks that do not depend on one another."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import av.error

from srsdk.video.colour import Colour, Converter
from srsdk.video.samples import PLAIN, Samples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from srsdk.video.encoding import EncodeOptions
    from srsdk.video.samples import FrameBuffer

GLOBAL_HEADER = 1 << 22  # AV_CODEC_FLAGGLOBAL_HEADER
_BLOCK_ADDITIONAL = 15  # AV_PKT_DATA_MATROSKA_BLOCKADDITIONAL


@dataclass(frozen=True)
class PictureFormat:
    """How the picture is stored: all that an encoder must know.

    Attributes:
        width: Width of the picture.
        height: Height of the picture.
        time_base: Unit of timestamps, in seconds.
        rate: Nominal frames per second.
        colour: Matrix and range to convert to, and all tags.
        sample_aspect_ratio: Width of a pixel over its height.
        options: Codec, quality, pixel format.
        samples: What a pixel of the frames given holds.
    """

    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    colour: Colour
    sample_aspect_ratio: Fraction
    options: EncodeOptions
    samples: Samples = PLAIN

    @property
    def pixel_format(self) -> str:
        """FFmpeg's name of the stored pixel format."""
        return self.options.pixel_format or "yuv420p"

    def configure(self, context: Any) -> None:
        """Set up an encoder (PyAV codec context) that is not open yet."""
        context.width, context.height = self.width, self.height
        context.pix_fmt = self.pixel_format
        context.time_base = self.time_base
        context.framerate = self.rate
        context.thread_count = self.options.threads
        context.sample_aspect_ratio = self.sample_aspect_ratio
        context.colorspace = self.colour.matrix
        context.color_primaries = self.colour.primaries
        context.color_trc = self.colour.transfer
        context.color_range = 2 if self.colour.full_range else 1
        context.options = self.options.settings()


@dataclass(frozen=True)
class EncodedPacket:
    """One frame as the encoder made it.

    Attributes:
        data: The bytes.
        pts: When it is shown, in the time base.
        dts: When it is decoded.
        duration: How long it is shown.
        key: Whether decoding can begin here.
        after: Number of frames of its chunk that were given when it came out; one more than there
            are for what came out when the chunk ended.
        beside: What belongs beside the bytes: the transparency of VP9, empty for none.
    """

    data: bytes
    pts: int
    dts: int
    duration: int
    key: bool
    after: int
    beside: bytes = b""

    def to_packet(self) -> Any:
        """As FFmpeg's muxers take it (`av.Packet`), without a stream and a time base."""
        packet: Any = av.Packet(self.data)
        packet.pts, packet.dts = self.pts, self.dts
        packet.is_keyframe = self.key
        if self.beside:
            from av.packet import PacketSideData

            side_data: Any = PacketSideData  # PyAV's stubs lack its arguments
            held = side_data(_BLOCK_ADDITIONAL, len(self.beside))
            held.update(self.beside)
            packet.set_sidedata(held)
        return packet


class PictureEncoder:
    """Frames in, packets out; decoding times and durations run on from chunk to chunk.

    An encoder's own decoding times know nothing of the chunk before. Here a packet is decoded when
    the frame is shown that lies `delay` frames before it in the order of showing, for the whole
    video, which increases whatever the frames' distances are.

    MP4 takes the sum of the distances of decoding times for a track's length, and the latest end of
    a frame for how long it is shown. The last packet's decoding time is chosen so that both are
    right.

    Args:
        stored: How the picture is stored.
        frame_size: Width and height of the frames given.
        delay: Frames that an encoder of this kind may show before one that it encodes earlier.
        lead: Whether the first packets are decoded whole frames before the first is shown, as MP4
            has it. Else they are as little earlier as can be: Matroska has no negative times.
    """

    def __init__(
        self, stored: PictureFormat, frame_size: tuple[int, int], delay: int, *, lead: bool
    ) -> None:
        self._stored, self._delay, self._leads = stored, delay, lead
        size = (stored.width, stored.height)
        self._convert = Converter.from_bgr(
            *frame_size,
            stored.pixel_format,
            stored.colour,
            size=None if size == frame_size else size,
            layout=stored.samples.layout,
        )
        self._context: Any = None
        self._given = self._made = 0
        self._in_chunk = 0
        # Timestamps of frames in the order of showing whose turn as a decoding time has not come.
        self._shown: deque[int] = deque()
        self._first: list[int] = []  # timestamps of the first frames, one more than the delay
        self._durations: dict[int, int] = {}
        self._last: tuple[int, int] | None = None
        self._waiting: deque[Any] = deque()  # packets of frames whose duration is not known yet
        self._step = max(1, round(1 / (stored.rate * stored.time_base)))

    def note(self, pts: int, duration: int) -> None:
        """Count a frame that is not encoded since its packet exists already."""
        if self._last is not None:
            before, given = self._last
            gap = pts - before
            self._durations[before] = min(given, gap) if given else gap
        self._last = (pts, duration)
        self._shown.append(pts)
        if len(self._first) <= self._delay:
            self._first.append(pts)
        self._given += 1
        self._in_chunk += 1

    def skip(self, packet: EncodedPacket) -> None:
        """Count a packet that exists already."""
        self._take_dts()
        self._durations.pop(packet.pts, None)

    def encode(self, frame: FrameBuffer, pts: int, duration: int) -> Iterator[EncodedPacket]:
        """Encode one frame; yields the packets that are ready."""
        converted = self._convert(frame.frame)
        converted.pts = pts
        converted.time_base = self._stored.time_base
        self.note(pts, duration)
        if self._context is None:
            self._context = self._open()
        yield from self._packets(converted)

    def end_chunk(self, next_pts: int | None) -> Iterator[EncodedPacket]:
        """Drain the encoder; the next frame begins another chunk.

        Args:
            next_pts: When that frame is shown; None for the end of the video.
        """
        if self._last is not None:
            pts, given = self._last
            gap = self._step if next_pts is None else next_pts - pts
            self._durations[pts] = min(given, gap) if given and next_pts else given or gap
        if self._context is not None:
            packets = list(self._packets(None))
            self._context = None
            if next_pts is None and packets and self._leads:
                packets[-1] = self._last_packet(packets[-1])
            yield from packets
        if next_pts is not None:
            self._last = None  # its duration is known
        self._in_chunk = 0

    def _last_packet(self, packet: EncodedPacket) -> EncodedPacket:
        assert self._last is not None
        pts, given = self._last
        end, lead = pts + (given or self._step), self._first[0] - self._early(0)
        dts = max(packet.dts, packet.pts - lead)
        shown = end - pts if packet.pts == pts else 1
        return replace(packet, dts=dts, duration=max(shown, end - lead - dts))

    @property
    def lost(self) -> int:
        """Frames given that no packet was made of, once the last chunk has ended."""
        return self._given - self._made

    def _open(self) -> Any:
        context: Any = av.CodecContext.create(self._stored.options.codec, "w")
        self._stored.configure(context)
        context.flags |= GLOBAL_HEADER
        context.open()
        return context

    def _packets(self, frame: Any) -> Iterator[EncodedPacket]:
        self._waiting.extend(self._context.encode(frame))
        while self._waiting and (frame is None or self._waiting[0].pts in self._durations):
            packet = self._waiting.popleft()
            duration = self._durations.pop(packet.pts, self._step)
            after = self._in_chunk + (frame is None)
            key = bool(packet.is_keyframe)
            dts = self._take_dts()
            beside = b""
            if self._stored.samples.alpha:
                beside = bytes(packet.get_sidedata("matroska_block_additional"))
            yield EncodedPacket(bytes(packet), packet.pts, dts, duration, key, after, beside)

    def _take_dts(self) -> int:
        """When the next packet, in the order of decoding, is decoded."""
        index = self._made
        self._made += 1
        if index >= self._delay:
            return self._shown.popleft()
        return self._early(index)

    def _early(self, index: int) -> int:
        """When one of the first packets is decoded, before the first frame is shown."""
        first, delay = self._first, self._delay
        if not self._leads:
            return first[0] - (delay - index)
        if len(first) <= delay or index >= delay:
            return first[0] - (delay - index) * self._step
        return first[index] - (first[delay] - first[0])  # as x264 does


def reordering(context: Any) -> int:
    """Frames that an open encoder may show before one that it encodes earlier."""
    depth = getattr(context, "reorder_depth", None)  # PyAV 17
    if depth is None:
        depth = 2 if context.has_b_frames else 0
    if context.name in ("libx264", "libsvtav1", "libvpx-vp9"):
        return int(depth)
    return max(2, int(depth))  # x265 and hardware reorder and do not say so
