"""Lays out what is beside the picture in the output: sound, subtitles, attachments, metadata."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from srsdk.errors import VideoError
from srsdk.video.conversion import Conversion, TrackOptions, conversion_of
from srsdk.video.muxing import takes
from srsdk.video.opening import is_cover

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from srsdk.video.reader import VideoReader

# What the old container and the old encoder said of themselves; untrue of the new ones.
_STALE = {"major_brand", "minor_version", "compatible_brands", "encoder", "vendor_id", "rotate"}
_STALE_PREFIXES = ("_STATISTICS_", "BPS", "NUMBER_OF_", "DURATION")
_QUICKTIME = ("mp4", "mov")


def clean_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """`metadata` without what describes the old file's encoding."""
    return {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _STALE
        and not key.startswith(_STALE_PREFIXES)
        and key.lower() != "alpha_mode"
    }


class TrackPlan:
    """What becomes of each track beside the picture, decided before any work is done.

    Sound and subtitles are copied, converted, or left out because the user said so; else they are
    refused. Data tracks and attachments that the output's format has no place for, and further
    video tracks, are left out.

    Args:
        reader: Where the tracks come from.
        path: The output's name, for messages.
        kind: The output's format, as FFmpeg calls it.
        options: What the user chose.

    Attributes:
        copied: Streams (PyAV) whose packets go along untouched.
        conversions: By index of the input's stream, what re-encodes it.
        timecode: The time code of the first frame, which the QuickTime formats have a track for.
        dropped: One description per track left out.
        converted: One description per converted track.
        through_tee: Whether a copied track gets into the file in a roundabout way only, see
            `srsdk.video.muxing`.

    Raises:
        VideoError: A sound or subtitle track does not fit into this kind of file.
    """

    def __init__(self, reader: VideoReader, path: Path, kind: str, options: TrackOptions) -> None:
        self._path, self._kind, self._options = path, kind, options
        self.copied: list[Any] = []
        self.conversions: dict[int, Conversion] = {}
        self.timecode: str | None = None
        self.dropped: list[str] = []
        self.converted: list[str] = []
        self.through_tee = False
        self._kinds: list[str] = []
        for stream in reader.container.streams:
            if stream.index != reader.video_stream.index:
                self._decide(stream)
        if self.through_tee and _chapters(reader):
            self.dropped.append("the chapters, which cannot be written beside such sound")

    def _decide(self, stream: Any) -> None:
        label = _label(stream)
        chosen = {"audio": self._options.audio, "subtitle": self._options.subtitles}
        if chosen.get(stream.type, self._options.data) == "none":
            self.dropped.append(f"{label}, as asked")
            return
        if stream.type == "data" and stream.metadata.get("timecode"):
            # FFmpeg writes this track itself; in other formats the time code is a tag.
            self.timecode = self.timecode or stream.metadata["timecode"]
            self._kinds.append("data")
            return
        fits = _fits(stream, self._kind)
        through_tee = not fits and _fits(stream, self._kind, through_tee=True)
        fits = fits or through_tee
        conversion = conversion_of(stream, self._options, self._kind, fits=fits)
        if conversion is not None:
            self._check_conversion(conversion, label)
            self.conversions[stream.index] = conversion
            self.converted.append(label)
            self._kinds.append(stream.type)
        elif fits:
            self.copied.append(stream)
            self._kinds.append(stream.type)
            self.through_tee |= through_tee
        elif stream.type in ("audio", "subtitle"):
            suffix, advice = self._path.suffix, self._advice(stream)
            raise VideoError(f"{suffix} files cannot hold {label} of the input; {advice}")
        else:
            self.dropped.append(f"{label}, which {self._path.suffix} files have no place for")

    @property
    def audio(self) -> int:
        """Sound tracks in the output."""
        return self._kinds.count("audio")

    @property
    def subtitles(self) -> int:
        """Subtitle tracks in the output."""
        return self._kinds.count("subtitle")

    @property
    def data(self) -> int:
        """Data tracks, time codes, attachments and covers in the output."""
        return len(self._kinds) - self.audio - self.subtitles

    def _check_conversion(self, conversion: Conversion, label: str) -> None:
        if not takes(self._kind, conversion.add_to):
            raise VideoError(
                f"{self._path.suffix} files cannot hold {label} of the input, converted or not; "
                "give an output named .mkv"
            )

    def _advice(self, stream: Any) -> str:
        """What would work for a track that does not fit, tried out."""
        advice = []
        kinds = {".mkv": "matroska", ".mp4": "mp4", ".mov": "mov"}
        others = [
            name
            for name, kind in kinds.items()
            if _fits(stream, kind) or _fits(stream, kind, through_tee=True)
        ]
        if others:
            advice.append(f"give an output named {' or '.join(others)}")
        name = "audio" if stream.type == "audio" else "subtitles"
        change = TrackOptions(audio="aac", subtitles="convert")
        possible = conversion_of(stream, change, self._kind, fits=False)
        if (possible is not None and self._kind != "webm") or (possible and name == "subtitles"):
            advice.append(f'convert it with {name}="{getattr(change, name)}"')
        advice.append(f'leave it out with {name}="none"')
        return ", or ".join(advice)

    def convert(self, packet: Any) -> Iterator[Any]:
        """The packets that one packet of the reader becomes."""
        conversion = self.conversions.get(packet.stream.index)
        return iter((packet,)) if conversion is None else conversion.convert(packet)

    def finish(self) -> Iterator[Any]:
        """The packets that conversions held back."""
        for conversion in self.conversions.values():
            yield from conversion.finish()


class OutputTracks:
    """The tracks of a plan in one output container; moves packets across.

    Args:
        container: PyAV output container, whose video track is there already.
        video: That track.
        reader: Where the tracks come from.
        plan: What becomes of them.
        kind: The output's format, as FFmpeg calls it.
    """

    def __init__(
        self, container: Any, video: Any, reader: VideoReader, plan: TrackPlan, kind: str
    ) -> None:
        self._container = container
        self._strict = kind in _QUICKTIME
        self._targets: dict[int, Any] = {}
        self._last: dict[int, int] = {}
        container.metadata.update(clean_metadata(reader.container.metadata))
        if hasattr(container, "set_chapters") and not plan.through_tee:
            container.set_chapters(_chapters(reader))
        source = reader.video_stream
        video.metadata.update(clean_metadata(source.metadata))
        if plan.timecode is not None:
            video.metadata.setdefault("timecode", plan.timecode)
        if hasattr(source, "disposition"):
            video.disposition = source.disposition
        copied = {stream.index for stream in plan.copied}
        for stream in reader.container.streams:
            if stream.index in copied:
                self._add(stream, add_like(container, stream))
            elif stream.index in plan.conversions:
                self._add(stream, plan.conversions[stream.index].add_to(container))

    def _add(self, stream: Any, target: Any) -> None:
        target.metadata.update(clean_metadata(stream.metadata))
        if hasattr(stream, "disposition"):
            target.disposition = stream.disposition
        self._targets[stream.index] = target

    def mux(self, packet: Any) -> None:
        """Write one packet of the plan, byte for byte, at its own time.

        A timestamp that is missing or not after the one before is put right, as FFmpeg does. The
        packet is left as it was, so that it can be written to a second file.
        """
        source, target = packet.stream, self._targets.get(packet.stream.index)
        if target is None:
            return
        before = packet.pts, packet.dts, packet.duration, packet.time_base
        packet.stream = target
        try:
            self._order(packet, source.index, Fraction(target.time_base))
            self._container.mux_one(packet)
        finally:
            packet.stream = source
            if set_duration(packet, before[2]):
                packet.pts, packet.dts, _, packet.time_base = before

    def _order(self, packet: Any, index: int, base: Fraction) -> None:
        """Rescale to the output's clock, and make decoding times increase."""
        ratio = Fraction(packet.time_base) / base
        last = self._last.get(index)
        stamp = packet.dts if packet.dts is not None else packet.pts
        dts = round(stamp * ratio) if stamp is not None else (0 if last is None else last + 1)
        pts = round(packet.pts * ratio) if packet.pts is not None else dts
        duration = round((packet.duration or 0) * ratio)
        if last is not None and dts < last + self._strict:
            dts = last + self._strict
        packet.time_base = base
        packet.dts, packet.pts = dts, max(pts, dts)
        set_duration(packet, duration)
        self._last[index] = dts


def set_duration(packet: Any, duration: int) -> bool:
    """Set a packet's duration; False where this PyAV (before 14) cannot."""
    try:
        packet.duration = duration
    except AttributeError:
        return False
    return True


def _label(stream: Any) -> str:
    codec = stream.codec_context.name if stream.codec_context else "no codec"
    if stream.type == "attachment":
        codec = stream.metadata.get("filename", "no name")
    kind = "cover" if is_cover(stream) else f"{stream.type} track"
    return f"{kind} {stream.index} ({codec})"


def _fits(stream: Any, kind: str, *, through_tee: bool = False) -> bool:
    """Whether a file of this kind can hold this track, found out by starting one."""
    if through_tee and (stream.type != "audio" or kind != "matroska"):
        return False
    if stream.type == "attachment":  # a file of its own, which only Matroska has room for
        return kind == "matroska" and hasattr(stream, "mimetype")
    if stream.type == "video" and not (is_cover(stream) and kind in _QUICKTIME):
        return False
    return takes(kind, lambda container: add_like(container, stream), through_tee=through_tee)


def add_like(container: Any, stream: Any) -> Any:
    """Add a track for the packets of `stream`, of another container, as they are."""
    if not hasattr(container, "add_stream_from_template"):  # before PyAV 14
        return container.add_stream(template=stream)
    if stream.type == "video":
        return container.add_stream_from_template(stream, opaque=True)
    return container.add_stream_from_template(stream)


def _chapters(reader: VideoReader) -> list[Any]:
    """The chapters of the part that is read, on its timeline."""
    chapters = reader.container.chapters()
    start, duration = reader.section
    if not start and duration is None:
        return list(chapters)
    kept = []
    for chapter in chapters:
        base = Fraction(chapter["time_base"])
        begin = max(0, chapter["start"] - round(Fraction(start) / base))
        end = chapter["end"] - round(Fraction(start) / base)
        if duration is not None:
            end = min(end, round(Fraction(duration) / base))
        if end > begin:
            kept.append({**chapter, "start": begin, "end": end})
    return kept
