"""Mutated files of every kind: no crash, no hang, no file left, no message of a bug."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, features

from tests.cli.conftest import picture

# By name: codecs of picture and sound, pixel format.
_VIDEOS = {
    "a.mp4": ("libx264", "aac", "yuv420p"),
    "a.mkv": ("libx264", "aac", "yuv420p"),
    "a.mov": ("mpeg4", "aac", "yuv420p"),
    "a.avi": ("mpeg4", "mp2", "yuv420p"),
    "a.ts": ("libx264", "mp2", "yuv420p"),
    "a.flv": ("libx264", "aac", "yuv420p"),
    "a.webm": ("libvpx-vp9", "libopus", "yuv420p"),
    "a.mpg": ("mpeg2video", "mp2", "yuv420p"),
    "a.nut": ("libx264", "mp2", "yuv420p"),
    "deep.mp4": ("libx265", "aac", "yuv420p10le"),
    "clear.webm": ("libvpx-vp9", "libopus", "yuva420p"),
    "adpcm.avi": ("mpeg4", "adpcm_ms", "yuv420p"),
    "wma.wmv": ("wmv2", "wmav2", "yuv420p"),
    "raw.y4m": ("rawvideo", "", "yuv420p"),
}
_IMAGES = ("jpg", "png", "webp", "bmp", "tif", "gif", "jp2", "avif", "ppm")

# One process for many files: a crash ends it, and the file is the last one that it named.
_PROGRAM = """
import logging, pathlib, sys, faulthandler
faulthandler.dump_traceback_later(float(sys.argv[3]), exit=True)
from srsdk.cli import app, entry
for line in open(sys.argv[1]):
    source = pathlib.Path(line.strip())
    print("file", source.name, flush=True)
    faulthandler.dump_traceback_later(float(sys.argv[3]), exit=True)
    try:
        target = str(source.parent / "out" / source.name)
        entry.run(app, ["enhance", str(source), "-o", str(source.parent / "out") + "/", "-q",
                        "--model", "bicubic-x2", *sys.argv[4:]])
    except SystemExit as end:
        print("exit", end.code, flush=True)
    for path in (source.parent / "out").glob("*"):
        path.unlink() if path.is_file() else print("left", path, flush=True)
    source.unlink()
"""


def _originals(folder: Path) -> list[Path]:
    paths = []
    for name, (codec, sound, pixel_format) in _VIDEOS.items():
        path = folder / name
        with av.open(str(path), "w") as container:
            video: Any = container.add_stream(codec, rate=25)
            video.width, video.height, video.pix_fmt = 64, 48, pixel_format
            if codec == "libx265":
                video.codec_context.options = {"x265-params": "log-level=error"}
            if pixel_format == "yuva420p":
                video.metadata["alpha_mode"] = "1"
                video.codec_context.options = {"auto-alt-ref": "0"}
            audio: Any = container.add_stream(sound, rate=48000) if sound else None
            if audio is not None:
                audio.bit_rate = 96_000
            for index in range(8):
                frame = av.VideoFrame.from_ndarray(picture(64, 48), format="bgr24")
                frame = frame.reformat(format=pixel_format)
                frame.pts = index
                container.mux(video.encode(frame))
                if audio is None:
                    continue
                tone = av.AudioFrame.from_ndarray(
                    np.zeros((1, 2 * 1920), np.int16), layout="stereo"
                )
                tone.sample_rate, tone.pts = 48000, 1920 * index
                container.mux(audio.encode(tone))
            for stream in (video, audio):
                if stream is not None:
                    container.mux(stream.encode(None))
        paths.append(path)
    still = Image.fromarray(np.ascontiguousarray(picture()[..., ::-1]))
    for suffix in _IMAGES:
        if suffix == "avif" and not features.check("avif"):
            continue
        path = folder / f"original.{suffix}"
        still.save(path)
        paths.append(path)
    return paths


def _mutated(data: bytes, chance: random.Random) -> bytes:
    """Bits flipped, bytes overwritten, cut, doubled, or moved."""
    raw = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 5, 20])):
        at = chance.randrange(len(raw)) if chance.random() < 0.7 else chance.randrange(64)
        at = min(at, len(raw) - 1)
        kind = chance.randrange(6)
        if kind == 0:
            raw[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            raw[at] = chance.choice([0, 1, 127, 128, 255])
        elif kind == 2:
            raw[at : at + 4] = chance.choice(
                [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"]
            )
        elif kind == 3:
            del raw[at : at + chance.randrange(1, 40)]
        elif kind == 4:
            raw[at:at] = raw[at : at + chance.randrange(1, 40)]
        elif len(raw) > 100:
            del raw[chance.randrange(50, len(raw)) :]
        if len(raw) < 2:
            break
    return bytes(raw)


@pytest.mark.parametrize(
    "count", [300, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])]
)
def test_mutated_files(tmp_path: Path, count: int) -> None:
    chance = random.Random(count)
    folder, originals = tmp_path / "files", tmp_path / "originals"
    folder.mkdir()
    originals.mkdir()
    sources = [(path.suffix, path.read_bytes()) for path in _originals(originals)]
    for first in range(0, count, 500):
        names = []
        for index in range(first, min(first + 500, count)):
            suffix, data = sources[index % len(sources)]
            path = folder / f"{index}{suffix}"
            path.write_bytes(_mutated(data, chance))
            names.append(str(path))
        listing = tmp_path / "list.txt"
        listing.write_text("\n".join(names) + "\n")
        damage = ("--on-damage", chance.choice(["conceal", "stop", "salvage"]))
        command = [sys.executable, "-c", _PROGRAM, str(listing), str(folder), "30", *damage]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        last = done.stdout.splitlines()[-2:]
        assert done.returncode == 0, (last, done.stderr[-2000:])
        assert done.stdout.count("exit ") == len(names), last
        assert "a bug" not in done.stderr, [x for x in done.stderr.splitlines() if "a bug" in x]
        assert "left " not in done.stdout, done.stdout
        assert not [path for path in folder.iterdir() if path.name != "out"]
