"""Scores srsdk and others on the conformance clips: `python -m tests.video.conformance.score`.

The others are the OpenCV script that people write, and FFmpeg's own scale filter as the ceiling.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

from srsdk.errors import SrsdkError
from srsdk.video import EncodeOptions, enhance_video
from tests.video.conformance.clips import CLIPS, Clip
from tests.video.conformance.judge import judge, look
from tests.video.conformance.test_conformance import Doubler

MARKS = ("frames", "times", "tracks", "sync", "colour", "bits", "alpha")


def by_srsdk(source: Path, result: Path) -> None:
    """`enhance_video` with bicubic."""
    options = None if result.suffix == ".webm" else EncodeOptions(crf=4, preset="ultrafast")
    enhance_video(source, result, Doubler(), encode=options)


def by_opencv(source: Path, result: Path) -> None:
    """What tutorials show: VideoCapture, resize, VideoWriter."""
    capture = cv2.VideoCapture(str(source))
    rate = capture.get(cv2.CAP_PROP_FPS) or 25
    code = cv2.VideoWriter.fourcc(*("VP90" if result.suffix == ".webm" else "mp4v"))
    writer: Any = None
    while True:
        done, frame = capture.read()
        if not done:
            break
        large = cv2.resize(frame, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        if writer is None:
            size = (large.shape[1], large.shape[0])
            writer = cv2.VideoWriter(str(result), code, rate, size)
        writer.write(large)
    if writer is None:
        raise ValueError("nothing was read")
    writer.release()


def by_ffmpeg(source: Path, result: Path) -> None:
    """ffmpeg -vf scale, everything else copied."""
    codec = ["-c:v", "libvpx-vp9", "-crf", "10", "-b:v", "0", "-deadline", "realtime"]
    if result.suffix != ".webm":
        codec = ["-c:v", "libx264", "-crf", "4", "-preset", "ultrafast"]
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(source), "-map", "0", "-c", "copy"]
    command += [*codec, "-vf", "scale=2*iw:2*ih:flags=bicubic", "-fps_mode", "passthrough"]
    subprocess.run([*command, str(result)], check=True, capture_output=True, timeout=60)


TOOLS: dict[str, Callable[[Path, Path], None]] = {
    "srsdk": by_srsdk,
    "opencv": by_opencv,
    "ffmpeg": by_ffmpeg,
}


def score(clip: Clip, source: Path, result: Path, tool: Callable[[Path, Path], None]) -> str:
    """What a tool makes of a clip: "right", what is wrong, or "not judged".

    What others make of a clip that srsdk refuses, as it says, is a matter of taste: not judged.
    """
    try:
        tool(source, result)
    except (SrsdkError, ValueError, OSError, subprocess.SubprocessError) as error:
        if clip.refused:
            return "refuses" if clip.refused in str(error) else "not judged"
        return "fails"
    if clip.refused:
        return "not judged"
    if not clip.exact:
        return "right" if len(look(result).times) > 20 else "frames"
    marks = judge(source, result, scale=2, colour=clip.colour, bits=clip.bits, alpha=clip.alpha)
    return ", ".join(name for name in MARKS if not marks.get(name, True)) or "right"


def main(names: list[str]) -> None:
    """Print a table in Markdown, a line a clip; a line with the counts last."""
    tools = {name: TOOLS[name] for name in names} if names else TOOLS
    right = dict.fromkeys(tools, 0)
    sys.stdout.write(f"| clip | {' | '.join(tools)} |\n|---|{'---|' * len(tools)}\n")
    count = 0
    for clip in CLIPS:
        if clip.refused == "even":
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                source = clip.make(Path(folder))
            except subprocess.CalledProcessError as error:
                sys.stdout.write(f"{clip.name} cannot be made: {error.stderr!r}\n")
                continue
            count += not clip.refused
            cells = []
            for name, tool in tools.items():
                cell = score(clip, source, Path(folder) / f"{name}{clip.target}", tool)
                right[name] += cell == "right"
                cells.append(cell.replace(str(folder), ""))
        sys.stdout.write(f"| {clip.name} | {' | '.join(cells)} |\n")
        sys.stdout.flush()
    counts = " | ".join(f"**{right[name]} of {count}**" for name in tools)
    sys.stdout.write(f"| **right** | {counts} |\n")


if __name__ == "__main__":
    main(sys.argv[1:])
