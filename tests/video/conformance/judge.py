"""Judges a result by FFmpeg's command line tools, which know nothing of srsdk."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_BROADCAST = (".ts", ".mpg", ".vob")
TOLERANCE = 0.0011
"""Seconds: Matroska counts milliseconds."""


@dataclass(frozen=True)
class Seen:
    """What FFprobe sees in a file.

    Attributes:
        times: When each frame of the picture is shown, in seconds from the file's start.
        tracks: By kind and number, the MD5 of each packet of the other tracks.
        starts: When these begin, after the picture.
    """

    times: list[float]
    tracks: dict[str, list[str]]
    starts: dict[str, float]


def look(path: Path) -> Seen:
    """Read a file with FFprobe."""
    shown = _probe(
        path, "-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp_time"
    )
    # FFprobe finds no time for some last frames of formats that have few.
    times = [float(frame.get("best_effort_timestamp_time", "nan")) for frame in shown["frames"]]
    first = min(times, default=0.0)
    packets = _probe(
        path,
        *("-show_data_hash", "md5", "-show_entries"),
        "packet=stream_index,codec_type,pts_time,data_hash,size",
    )
    tracks: dict[str, list[str]] = {}
    starts: dict[str, float] = {}
    numbers: dict[int, str] = {}
    for packet in sorted(packets["packets"], key=lambda packet: int(packet["stream_index"])):
        if packet.get("codec_type") not in ("audio", "subtitle") or int(packet["size"]) < 3:
            continue
        index = int(packet["stream_index"])
        kind = packet["codec_type"]
        name = numbers.setdefault(
            index, f"{kind} {sum(value.startswith(kind) for value in numbers.values())}"
        )
        tracks.setdefault(name, []).append(packet["data_hash"])
        starts.setdefault(name, float(packet.get("pts_time", "nan")) - first)
    start = first if path.suffix in _BROADCAST else 0.0
    return Seen([time - start for time in times], tracks, starts)


def _probe(path: Path, *options: str) -> Any:
    command = ["ffprobe", "-v", "quiet", "-of", "json", *options, str(path)]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout or "{}")


def judge(
    source: Path, result: Path, *, scale: int, colour: bool, bits: int = 8, alpha: bool = False
) -> dict[str, bool]:
    """What of a clip is right in its result.

    Args:
        source: The clip.
        result: What became of it.
        scale: Size of the result over that of the clip.
        colour: Whether to compare samples.
        bits: Bits of a component that the result must have, in which samples are compared.
        alpha: Whether to compare the transparency.

    Returns:
        For "frames", "times", "tracks", "sync", "colour" and so on whether it is right.
    """
    before, after = look(source), look(result)
    marks = {"frames": len(before.times) == len(after.times) > 0}
    marks["times"] = marks["frames"] and _same_times(before.times, after.times)
    marks["tracks"] = before.tracks == after.tracks
    gaps = [
        abs(before.starts[name] - after.starts.get(name, 1e9))
        for name in before.starts
        if before.starts[name] == before.starts[name]
    ]
    marks["sync"] = max(gaps, default=0.0) < 2 * TOLERANCE
    if colour:
        marks["colour"] = _error(source, result, scale, f"yuv420p{'10le' * (bits > 8)}") <= 1.0
    if bits > 8:
        stored = _probe(result, "-select_streams", "v:0", "-show_entries", "stream=pix_fmt")
        marks["bits"] = f"p{bits}" in stored["streams"][0]["pix_fmt"]
    if alpha:
        marks["alpha"] = _error(source, result, scale, "gray") <= 1.0
    return marks


def _same_times(before: list[float], after: list[float]) -> bool:
    # One shift for all is allowed: Matroska has no times before zero, where sound may begin.
    shift = after[0] - before[0]
    errors = np.abs(np.array(after) - np.array(before) - shift)
    return bool(np.nanmax(errors) < TOLERANCE) and abs(shift) < 0.1


def _samples(path: Path, scale: int, pixel_format: str) -> Any:
    """The first frames' samples as stored, made smaller by averages; "gray": the transparency."""
    command = ["ffmpeg", "-v", "error", "-noautorotate"]
    if pixel_format == "gray" and path.suffix == ".webm":
        command += ["-c:v", {"vp8": "libvpx", "vp9": "libvpx-vp9"}[_codec(path)]]
    command += ["-i", str(path), "-frames:v", "5"]
    if pixel_format == "gray":
        command += ["-vf", "alphaextract"]
    command += ["-f", "rawvideo", "-pix_fmt", pixel_format, "-"]
    raw: Any = subprocess.run(command, capture_output=True, check=True).stdout
    raw = np.frombuffer(raw, "<u2" if pixel_format.endswith("le") else np.uint8)
    width, height = 64 * scale, 48 * scale
    sizes = [(width, height)]
    if pixel_format != "gray":
        sizes += [(width // 2, height // 2)] * 2
    planes = []
    for frame in raw.reshape(-1, sum(w * h for w, h in sizes)):
        ends = np.cumsum([w * h for w, h in sizes])[:-1]
        for plane, (w, h) in zip(np.split(frame, ends), sizes, strict=True):
            blocks = plane.reshape(h // scale, scale, w // scale, scale).astype(float)
            planes.append(blocks.mean(axis=(1, 3)).ravel())
    return np.concatenate(planes)


def _codec(path: Path) -> str:
    shown = _probe(path, "-select_streams", "v:0", "-show_entries", "stream=codec_name")
    return str(shown["streams"][0]["codec_name"])


def _error(source: Path, result: Path, scale: int, pixel_format: str) -> float:
    """Mean difference of samples in levels."""
    before = _samples(source, 1, pixel_format)
    after = _samples(result, scale, pixel_format)
    count = min(len(before), len(after))
    return float(np.abs(before[:count] - after[:count]).mean()) if count else 255.0
