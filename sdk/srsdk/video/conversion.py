"""Tracks that the output cannot hold as they are: sound to AAC, text subtitles to the format's own.

A converted packet still names the track of the input that it came from, so that writers treat it
as they treat a copied one, and several writers can share it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import av
import av.error
import av.filter

from srsdk.errors import InputError, VideoError
from srsdk.video.opening import reason

if TYPE_CHECKING:
    from collections.abc import Iterator

Audio = Literal["copy", "aac", "none"]
Subtitles = Literal["copy", "convert", "none"]
Data = Literal["copy", "none"]

_TEXT = {"mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text"}
_TEXT_OF = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_AAC_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
_AAC_BITS_PER_CHANNEL = 80_000
_MILLISECOND = Fraction(1, 1000)
# Parameters go into the file's header, not into each packet (AV_CODEC_FLAG_GLOBAL_HEADER).
_GLOBAL_HEADER = 1 << 22


@dataclass(frozen=True)
class TrackOptions:
    """What happens to the tracks beside the picture.

    Attributes:
        audio: "copy" packets untouched; "aac" re-encodes what is not AAC; "none" leaves all out.
        subtitles: "copy"; "convert" re-writes text subtitles that the output cannot hold as they
            are, to mov_text, SRT or WebVTT; "none".
        data: "copy" what the output can hold, and report the rest; "none".
    """

    audio: Audio = "copy"
    subtitles: Subtitles = "copy"
    data: Data = "copy"

    def __post_init__(self) -> None:
        """Raise `InputError` for a choice that does not exist."""
        for name, choices in (("audio", Audio), ("subtitles", Subtitles), ("data", Data)):
            if getattr(self, name) not in get_args(choices):
                known = ", ".join(get_args(choices))
                raise InputError(f"{name} is {getattr(self, name)!r}; choose one of {known}")


class Conversion(Protocol):
    """Re-encodes the packets of one track."""

    def add_to(self, container: Any) -> Any:
        """Add a track for the result to an output container; returns the PyAV stream."""
        ...

    def convert(self, packet: Any) -> Iterator[Any]:
        """Packets (`av.Packet`) that became ready with this one, in order."""
        ...

    def finish(self) -> Iterator[Any]:
        """The packets that were held back."""
        ...


def conversion_of(
    stream: Any, options: TrackOptions, kind: str, *, fits: bool
) -> Conversion | None:
    """The conversion that a track needs; None for one that is copied or left out.

    Args:
        stream: PyAV stream of the input.
        options: What the user chose.
        kind: FFmpeg's name of the output's format.
        fits: Whether the output can hold the track as it is.
    """
    codec = stream.codec_context.name if stream.codec_context else ""
    if stream.type == "audio" and options.audio == "aac" and codec not in ("aac", ""):
        return AacConversion(stream)
    if stream.type == "subtitle" and options.subtitles == "convert" and not fits:
        return TextConversion(stream, _TEXT_OF[kind]) if codec in _TEXT else None
    return None


class AacConversion:
    """Sound in any codec that FFmpeg decodes, to AAC of the same rate and channels.

    Gaps in the sound become silence, so that what follows stays where it was.

    Args:
        stream: PyAV stream of the input.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        context = stream.codec_context
        rate = context.sample_rate or 48000
        self._rate = rate if rate in _AAC_RATES else 48000
        channels = len(context.layout.channels) if context.layout else 2
        self._channels = channels if channels in _AAC_LAYOUTS else 2
        self._encoder = self._context()
        self._encoder.flags |= _GLOBAL_HEADER
        self._graph: Any = None

    def _context(self) -> Any:
        context: Any = av.CodecContext.create("aac", "w")
        self._configure(context)
        return context

    def _configure(self, context: Any) -> None:
        context.format = "fltp"
        context.layout = _AAC_LAYOUTS[self._channels]
        context.sample_rate = self._rate
        context.time_base = Fraction(1, self._rate)
        context.bit_rate = _AAC_BITS_PER_CHANNEL * self._channels

    def add_to(self, container: Any) -> Any:
        target = container.add_stream("aac", rate=self._rate)
        self._configure(target.codec_context)
        target.codec_context.flags |= _GLOBAL_HEADER
        return target

    def convert(self, packet: Any) -> Iterator[Any]:
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            return  # a damaged packet: the gap becomes silence
        for frame in frames:
            if frame.pts is None or frame.time_base is None:
                continue
            yield from self._filtered(frame)

    def _filtered(self, frame: Any) -> Iterator[Any]:
        if self._graph is None:
            self._graph = self._make_graph(frame)
        self._graph.push(frame)
        yield from self._encoded()

    def _make_graph(self, frame: Any) -> Any:
        graph = av.filter.Graph()
        layout, rate = _AAC_LAYOUTS[self._channels], self._rate
        settings = f"sample_rates={rate}:sample_fmts=fltp:channel_layouts={layout}"
        chain = [
            graph.add_abuffer(
                sample_rate=frame.sample_rate,
                format=frame.format.name,
                layout=frame.layout.name,
                time_base=frame.time_base,
            ),
            graph.add("aresample", f"async=1:min_hard_comp=0.1:osr={rate}"),
            graph.add("aformat", settings),
            graph.add("asetnsamples", "n=1024:p=0"),
            graph.add("abuffersink"),
        ]
        graph.link_nodes(*chain)
        graph.configure()
        return graph

    def _encoded(self) -> Iterator[Any]:
        while True:
            try:
                frame: Any = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            for packet in self._encoder.encode(frame):
                yield self._named(packet)

    def finish(self) -> Iterator[Any]:
        if self._graph is not None:
            self._graph.push(None)
            yield from self._encoded()
        for packet in self._encoder.encode(None):
            yield self._named(packet)

    def _named(self, packet: Any) -> Any:
        packet.stream = self._stream
        packet.time_base = Fraction(1, self._rate)
        return packet


class TextConversion:
    """Text subtitles of any kind, to one that the output's format has.

    Args:
        stream: PyAV stream of the input.
        codec: FFmpeg's name of the encoder.

    Raises:
        VideoError: This PyAV (before 15) cannot encode subtitles.
    """

    def __init__(self, stream: Any, codec: str) -> None:
        self._stream, self._codec = stream, codec
        context = stream.codec_context
        if not hasattr(context, "encode_subtitle"):
            raise VideoError(
                f"subtitles cannot be converted with PyAV {av.__version__}: "
                'run `pip install --upgrade av`, or give subtitles="none"'
            )
        context.open(strict=False)
        self._encoder: Any = av.CodecContext.create(codec, "w")
        self._configure(self._encoder)

    def _configure(self, context: Any) -> None:
        context.time_base = _MILLISECOND
        context.subtitle_header = self._stream.codec_context.subtitle_header

    def add_to(self, container: Any) -> Any:
        target = container.add_stream(self._codec)
        self._configure(target.codec_context)
        return target

    def convert(self, packet: Any) -> Iterator[Any]:
        """As `Conversion.convert`; empty text gives no packet."""
        try:
            decoded = self._stream.codec_context.decode2(packet)
            if not decoded or not len(decoded):
                return
            converted = self._encoder.encode_subtitle(decoded)
        except av.error.FFmpegError as error:
            raise VideoError(
                f"subtitle track {self._stream.index} cannot be converted ({reason(error)}); "
                'give subtitles="none"'
            ) from error
        converted.stream = self._stream
        converted.time_base = packet.time_base
        converted.pts = converted.dts = packet.pts
        converted.duration = packet.duration
        yield converted

    def finish(self) -> Iterator[Any]:
        return iter(())
