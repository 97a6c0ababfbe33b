"""Runs the command line, in this process and as a program, on real files."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import av.error
import cv2
import numpy as np
import pytest

from srsdk.cli import app, entry
from srsdk.types import Pixels

FAST = ("--model", "bicubic-x2")


@dataclass(frozen=True)
class Result:
    """Exit code and output of one run of the command line."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line on stderr of a run that failed; anything beside it is a failure."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: "), self.err
        assert "Traceback" not in self.err
        return lines[0]


class Run(Protocol):
    def __call__(self, *arguments: str | Path) -> Result: ...


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs the command line in this process; also captures what C libraries print."""

    def call(*arguments: str | Path) -> Result:
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            entry.run(app, [str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Result(int(caught.value.code or 0), out, err)

    root = logging.getLogger()
    handlers = list(root.handlers)
    yield call
    root.handlers[:] = handlers


def program(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    """Start the command line as a program."""
    code = "from srsdk.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, **{"stdout": pipe, "stderr": pipe, "text": True, **options})


def picture(width: int = 40, height: int = 24, channels: int = 3) -> Pixels:
    """A smooth colour picture; every channel is different."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    planes = [128 + 100 * np.sin(x / (5 + k) + y / (9 - k) + k) for k in range(channels)]
    pixels = np.stack(planes, axis=-1).round().astype(np.uint8)
    return pixels[..., 0] if channels == 1 else pixels


def image(path: Path, channels: int = 3, width: int = 40, height: int = 24) -> Path:
    """Write an image file."""
    done, data = cv2.imencode(path.suffix, picture(width, height, channels))
    assert done
    path.write_bytes(data.tobytes())
    return path


def clip(
    path: Path, frames: int = 10, size: tuple[int, int] = (64, 48), sound: bool = True
) -> Path:
    """Write a video of `frames` frames at 25 a second; with `size` (0, 0), only its sound."""
    with av.open(str(path), "w") as container:
        video: Any = None
        if size[0]:
            video = container.add_stream("libx264", rate=25)
            video.width, video.height = size
            video.pix_fmt = "yuv420p"
        audio: Any = container.add_stream("aac", rate=48000) if sound else None
        for index in range(frames):
            if video is not None:
                pixels = np.roll(picture(*size), 2 * index, axis=1)
                frame = av.VideoFrame.from_ndarray(pixels, format="bgr24")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                container.mux(video.encode(frame))
            if audio is not None:
                for part in (2 * index, 2 * index + 1):
                    container.mux(audio.encode(_tone(part)))
        for stream in (video, audio):
            if stream is not None:
                container.mux(stream.encode(None))
    return path


def _tone(index: int) -> av.AudioFrame:
    time = (np.arange(960) + 960 * index) / 48000
    wave = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(np.tile(wave, (2, 1)), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = 48000, 960 * index, Fraction(1, 48000)
    return frame


def count_frames(path: Path) -> tuple[int, tuple[int, int], int]:
    """Frames, size and number of sound tracks of a video, by PyAV alone."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        sounds = len(container.streams.audio)
        frames = sum(1 for _ in container.decode(stream))
        return frames, (stream.width, stream.height), sounds


def recorded(path: Path) -> int:
    """Frames in a file that is being written, and may have no beginning yet."""
    try:
        return count_frames(path)[0]
    except (av.error.FFmpegError, OSError, IndexError):
        return 0


def files(folder: Path) -> list[str]:
    """All files below a folder, hidden ones included."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


def decoded(path: Path) -> Pixels:
    """Pixels of an image file as stored."""
    pixels: Any = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    return np.asarray(pixels, np.uint8)


def is_root() -> bool:
    """Whether this user may read and write everything, whatever the permission bits say."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
