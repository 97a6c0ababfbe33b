"""What decides the result of a video job: two runs with the same identity may share their work."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import av

import srsdk

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from srsdk.video.conversion import TrackOptions
    from srsdk.video.encoding import EncodeOptions

_SAMPLE = 1 << 20


def identity_of(
    source: Path,
    process: Mapping[str, Any],
    encode: EncodeOptions,
    tracks: TrackOptions,
    size: tuple[int, int],
    section: tuple[float, float | None],
) -> dict[str, Any]:
    """Everything that the output depends on, of JSON's types.

    Args:
        source: The input, a file or a folder of pictures. A file's length, time of change,
            beginning and end stand for all of it.
        process: What the frames' processor depends on.
        encode: How the picture is encoded.
        tracks: What becomes of the tracks beside it.
        size: Width and height of the output.
        section: Where the part of the input begins, and how long it is.

    Raises:
        OSError: The input cannot be read.
    """
    return {
        "input": _folder(source) if source.is_dir() else _file(source),
        "section": list(section),
        "size": list(size),
        "encoding": asdict(encode),
        "tracks": asdict(tracks),
        "versions": {
            "srsdk": srsdk.__version__,
            "av": av.__version__,
            "ffmpeg": [".".join(map(str, version)) for version in av.library_versions.values()],
        },
        **process,
    }


def _file(path: Path) -> list[Any]:
    status = path.stat()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        digest.update(file.read(_SAMPLE))
        file.seek(max(0, status.st_size - _SAMPLE))
        digest.update(file.read(_SAMPLE))
    return [status.st_size, status.st_mtime_ns, digest.hexdigest()]


def _folder(path: Path) -> list[Any]:
    names = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    lines = [f"{entry.name} {entry.stat().st_size} {entry.stat().st_mtime_ns}" for entry in names]
    return [len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()]
