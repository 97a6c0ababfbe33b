"""Copies what is beside the picture: sound, subtitles, attachments, chapters and metadata."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any

import av

from srsdk.errors import VideoError
from srsdk.video.opening import is_cover

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from srsdk.video.reader import VideoReader

_log = logging.getLogger(__name__)

# What the old container and the old encoder said of themselves; untrue of the new ones.
_STALE = {"major_brand", "minor_version", "compatible_brands", "encoder", "vendor_id", "rotate"}
_STALE_PREFIXES = ("_STATISTICS_", "BPS", "NUMBER_OF_", "DURATION")


def clean_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """`metadata` without what describes the old file's encoding."""
    return {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _STALE and not key.startswith(_STALE_PREFIXES)
    }


class CopiedTracks:
    """The tracks of a reader, laid out in an output container; moves their packets across.

    Sound and subtitles are copied or refused, never dropped. Data tracks and attachments that the
    output's format has no place for, and further video tracks, are left out; `dropped` lists them.

    Attributes:
        audio: Number of audio tracks copied.
        subtitles: Number of subtitle tracks copied.
        data: Number of data tracks, attachments and covers copied.
        dropped: One short description per track left out.
    """

    def __init__(self, container: Any, reader: VideoReader, path: Path, kind: str) -> None:
        """Add the tracks to `container`, whose video track is there already.

        Args:
            container: PyAV output container.
            reader: Where the tracks come from.
            path: The output's name.
            kind: The output's format, as FFmpeg calls it.

        Raises:
            VideoError: A sound or subtitle track does not fit into this kind of file.
        """
        self._container = container
        self._targets: dict[int, Any] = {}
        self.audio = self.subtitles = self.data = 0
        self.dropped: list[str] = []
        container.metadata.update(clean_metadata(reader.container.metadata))
        if hasattr(container, "set_chapters"):
            container.set_chapters(reader.container.chapters())
        for stream in reader.container.streams:
            if stream.index != reader.video_stream.index:
                self._add(stream, path, kind)

    def _add(self, stream: Any, path: Path, kind: str) -> None:
        codec = stream.codec_context.name if stream.codec_context else "no codec"
        label = f"{stream.type} track {stream.index} ({codec})"
        if not _fits(stream, kind):
            if stream.type in ("audio", "subtitle"):
                raise VideoError(
                    f"{path.suffix} files cannot hold {label} of the input; "
                    f"give an output named {_alternative(path)}"
                )
            self.dropped.append(label)
            _log.warning("%s is not copied to %s", label, path)
            return
        target = _from_template(self._container, stream)
        target.metadata.update(clean_metadata(stream.metadata))
        if hasattr(stream, "disposition"):
            target.disposition = stream.disposition
        self._targets[stream.index] = target
        self.audio += stream.type == "audio"
        self.subtitles += stream.type == "subtitle"
        self.data += stream.type not in ("audio", "subtitle")

    def mux(self, packet: Any) -> None:
        """Write one packet of the reader, byte for byte, at its own time.

        The packet is left as it was, so that it can be written to a second file.
        """
        source, target = packet.stream, self._targets.get(packet.stream.index)
        if target is None:
            return
        before = packet.pts, packet.dts, packet.duration, packet.time_base
        packet.stream = target
        try:
            self._container.mux_one(packet)
        finally:
            packet.stream = source
            if set_duration(packet, before[2]):
                packet.pts, packet.dts, _, packet.time_base = before


def set_duration(packet: Any, duration: int) -> bool:
    """Set a packet's duration; False where this PyAV (before 14) cannot."""
    try:
        packet.duration = duration
    except AttributeError:
        return False
    return True


def _fits(stream: Any, kind: str) -> bool:
    """Whether a file of this kind can hold this track, found out by starting one in memory."""
    if stream.type == "attachment":  # a file of its own, which only Matroska has room for
        return kind == "matroska" and hasattr(stream, "mimetype")
    if stream.type == "video" and not (is_cover(stream) and kind in ("mp4", "mov")):
        return False
    try:
        with av.open(io.BytesIO(), "w", format=kind) as trial:
            _from_template(trial, stream)
            trial.start_encoding()
    except (ValueError, OSError, TypeError, AttributeError, RuntimeError):
        return False
    return True


def _from_template(container: Any, stream: Any) -> Any:
    if stream.type == "video":
        return container.add_stream_from_template(stream, opaque=True)
    if hasattr(container, "add_stream_from_template"):  # PyAV 14
        return container.add_stream_from_template(stream)
    return container.add_stream(template=stream)


def _alternative(path: Path) -> str:
    return ".mp4 or .mov" if path.suffix.lower() == ".mkv" else ".mkv"
