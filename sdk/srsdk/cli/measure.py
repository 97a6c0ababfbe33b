"""Measures several `Upscaler`s on the same frames, in turn, for `srsdk bench`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from srsdk import zoo
from srsdk.backends import open_backend
from srsdk.cli import options
from srsdk.cli.bench_frames import BenchFrames
from srsdk.cli.record import Row
from srsdk.timing import StageSummary, StageTimer, Turns, summarise
from srsdk.types import ProfiledBackend

if TYPE_CHECKING:
    from srsdk.power import Meter
    from srsdk.types import Pixels
    from srsdk.upscaler import Upscaler

_TURN = 20
"""Measured frames of a turn; one more comes first, which finds the caches as others left them."""

_ENCODED = 60
"""Most frames that are encoded."""


@dataclass(frozen=True)
class BenchChoice:
    """What to open; the attributes are the options of the command."""

    model: str
    faces: str = "none"
    backend: str = "auto"
    threads: int | None = None
    detector: str = "blazeface"
    max_face: int | None = None
    precision: str = "auto"

    def open(self) -> Upscaler:
        """Open it, as `options.open_upscaler` does."""
        return options.open_upscaler(**asdict(self))


class _Candidate:
    """One `Upscaler` on its way through the frames."""

    def __init__(
        self, name: str, choice: BenchChoice, upscaler: Upscaler, given: BenchFrames
    ) -> None:
        self.name, self.choice, self.upscaler = name, choice, upscaler
        self.profiled = _profiled(upscaler, choice)
        self.timer = StageTimer()
        self.stream = upscaler.stream(detect_every=given.detect_every, timer=self.timer)
        self.out: Pixels | None = None
        self.faces = 0
        self.joules: float | None = None

    def turn(self, frames: Sequence[Pixels], meter: Meter) -> None:
        """All but the first frame are measured."""
        if self.out is None:
            height, width, _ = frames[0].shape
            self.out = np.empty(
                (height * self.stream.scale, width * self.stream.scale, 3), np.uint8
            )
        with self.timer.paused():
            self.stream(frames[0], out=self.out)
        faces, joules = self.stream.faces_total, meter.joules()
        for frame in frames[1:]:
            with self.timer("total"):
                self.stream(frame, out=self.out)
        self.faces += self.stream.faces_total - faces
        after = meter.joules()
        if joules is not None and after is not None:
            self.joules = (self.joules or 0.0) + after - joules
        self._profile(frames, self.out)

    def _profile(self, frames: Sequence[Pixels], out: Pixels) -> None:
        """The parts of the generator's work, on the same frames: none for frames in tiles."""
        if self.profiled is None or max(frames[0].shape) > self.upscaler.info.tile:
            return
        for number, frame in enumerate(frames):
            parts = self.profiled.profile(frame[None], out[None])
            if number:
                for name, seconds in parts.items():
                    self.timer.add(name, seconds)

    def row(self, stages: dict[str, StageSummary], peak_memory: int | None) -> Row:
        info, total = self.upscaler.info, self.timer.summary("total")
        return Row(
            name=self.name,
            total=total,
            model=info.frames.spec.name,
            face_model=info.faces.spec.name if info.faces else None,
            backend=info.frames.name,
            version=info.frames.version,
            device=info.frames.device,
            threads=info.frames.threads,
            precision=info.frames.arithmetic,
            stages=stages,
            peak_memory=peak_memory,
            faces=self.faces,
            joules=None if self.joules is None else self.joules / total.calls,
        )


def measure(
    chosen: dict[str, tuple[BenchChoice, Upscaler]], given: BenchFrames, meter: Meter
) -> tuple[tuple[int, int], list[Row]]:
    """Run the frames through streams of all, in turns of `_TURN` and in a new order each time.

    A row's `total` is the whole frame, u8 in to u8 out. Of its stages "frame", "detect", "faces"
    and "blend" are its parts; the parts of "frame", as far as the backend knows them, are measured
    right after it on the same frames. "decode" and "encode" are in none of the others.

    Returns:
        Width and height of the frames, and a row for each.

    Raises:
        InputError: The video cannot be read.
    """
    decoding = StageTimer()
    pictures = given.pictures(decoding)
    candidates = [
        _Candidate(name, choice, upscaler, given) for name, (choice, upscaler) in chosen.items()
    ]
    for frame in islice(pictures, given.warmup):
        for candidate in candidates:
            candidate.stream(frame)
    turns, left = Turns(), given.frames
    for candidate in candidates:
        candidate.timer.reset()
    decoding.reset()
    size = (0, 0)
    while left > 0:
        frames = list(islice(pictures, min(left, _TURN) + 1))
        left -= _TURN
        size = (frames[0].shape[1], frames[0].shape[0])
        for candidate in turns.round(candidates):
            candidate.turn(frames, meter)
    rows = []
    for candidate in candidates:
        timer = candidate.timer
        if candidate.profiled is not None:
            candidate.profiled.close()
        stages = {name: decoding.summary(name) for name in decoding.stages}
        stages |= {name: timer.summary(name) for name in timer.stages if name != "total"}
        if given.source is not None:
            stages |= _encoding(candidate.upscaler, given, given.source)
        rows.append(candidate.row(stages, _peak_memory(candidate.choice, given)))
    return size, rows


def _profiled(upscaler: Upscaler, choice: BenchChoice) -> ProfiledBackend | None:
    """A backend like the upscaler's own, if it can say where its time goes."""
    info = upscaler.info
    backend = open_backend(
        info.frames.name,
        zoo.find(choice.model),
        threads=info.frames.threads,
        color=info.color,
        precision="int8" if info.frames.arithmetic == "int8" else "auto",
    )
    if isinstance(backend, ProfiledBackend):
        return backend
    backend.close()
    return None


def _encoding(upscaler: Upscaler, given: BenchFrames, source: Path) -> dict[str, StageSummary]:
    """Seconds of encoding as `srsdk enhance` does; all frames share the final flush."""
    from srsdk.video import VideoReader, VideoWriter
    from srsdk.video.samples import FrameBuffer

    seconds: list[float] = []
    stream = upscaler.stream(detect_every=given.detect_every)
    with tempfile.TemporaryDirectory() as folder, VideoReader(source) as reader:
        info = reader.info
        size = (info.width * stream.scale, info.height * stream.scale)
        target = Path(folder) / "out.mp4"
        if size[0] % 2 or size[1] % 2:
            return {}  # yuv420p has no odd sizes
        sr = FrameBuffer.empty(*size)
        with VideoWriter(
            target, *size, info.time_base, rate=info.rate, colour=info.colour
        ) as writer:
            for frame in islice(reader, min(given.frames, _ENCODED)):
                stream(frame.pixels, out=sr.pixels)
                began = time.perf_counter()
                writer.write(sr, frame.pts, frame.duration)
                seconds.append(time.perf_counter() - began)
            began = time.perf_counter()
            writer.finish()
            owed = (time.perf_counter() - began) / len(seconds)
    return {"encode": summarise([value + owed for value in seconds])}


def _peak_memory(choice: BenchChoice, given: BenchFrames) -> int | None:
    """Peak memory of a process that only runs a few of these frames (`srsdk.cli.memory_probe`)."""
    arguments = {
        "choice": asdict(choice),
        "source": None if given.source is None else str(given.source),
        "size": given.size,
        "detect_every": given.detect_every,
    }
    command = [sys.executable, "-m", "srsdk.cli.memory_probe", json.dumps(arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return int(done.stdout) or None
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None
