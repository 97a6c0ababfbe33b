"""What more work costs: time per megapixel, time per face, memory over a long video.

    python -m tests.benchmarks.scaling [--json FILE] [--markdown FILE] [--only PART] ...

megapixels  `upscaler(frame)` with frames from 160x90 to 1920x1080, per megapixel of the input.
faces       `FaceEnhancer.apply` on 1 to 20 faces of the trained size in a 640x360 frame: cut out,
            generate, match the tone, blend; per face. Detection is per frame, and not in it.
stream      Resident memory of the process over 10,000 frames through `Upscaler.stream`.
job         The same over a video of 10,000 frames, decoded and encoded by `enhance_video`.

All sizes take turns in one run, the small ones several calls a turn, so that a turn does at least a
quarter of the largest one's work; a "call" is then the mean of a turn. A part's "spread" is its
dearest unit over its cheapest, by the fastest calls and by the medians; "growth" is the last memory
reading over the one after the first tenth, by which time every buffer exists.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

import srsdk
from srsdk import Upscaler, zoo
from srsdk.backends import open_backend
from srsdk.cli.bench_frames import BenchFrames
from srsdk.cli.record import machine, resident_memory
from srsdk.cli.report import versions
from srsdk.faces import FaceEnhancer
from srsdk.timing import interleave, summarise
from srsdk.types import Pixels
from srsdk.video import VideoWriter, enhance_video

SIZES = ((160, 90), (320, 180), (640, 360), (960, 540), (1280, 720), (1920, 1080))
COUNTS = (1, 2, 4, 8, 12, 16, 20)
FACES_IN = (640, 360)
READINGS = 50


def megapixels(options: argparse.Namespace) -> dict[str, Any]:
    with Upscaler(options.model, backend=options.backend, threads=options.threads) as upscaler:
        programs: dict[str, Callable[[], object]] = {}
        for width, height in SIZES:
            frame = pictures((width, height), 1)[0]
            out = np.empty((height * upscaler.scale, width * upscaler.scale, 3), np.uint8)
            programs[f"{width}x{height}"] = partial(upscaler, frame, out)
        units = [width * height / 1e6 for width, height in SIZES]
        info = upscaler.info.frames
        rows = timed(programs, units, options.rounds)
    return {"model": info.spec.name, "backend": info.name, "threads": info.threads, **rows}


def faces(options: argparse.Namespace) -> dict[str, Any]:
    backend = open_backend(options.backend, zoo.find(options.face_model), threads=options.threads)
    spec = backend.info.spec
    side, scale = spec.face_size or 32, spec.scale
    enhancer = FaceEnhancer(backend.run, scale=scale, face_size=side, detector=Nobody())
    lr = pictures(FACES_IN, 1)[0]
    sr = np.zeros((FACES_IN[1] * scale, FACES_IN[0] * scale, 3), np.uint8)
    programs: dict[str, Callable[[], object]] = {}
    for count in COUNTS:
        # Boxes whose squares, whole heads, have the trained size: see crop.face_squares.
        boxes = [grid_box(number, side) for number in range(count)]
        plans = enhancer.plan(lr, boxes, np.ones(count))
        assert sum(map(len, plans)) == count
        programs[str(count)] = partial(enhancer.apply, lr, sr, plans)
    rows = timed(programs, COUNTS, options.rounds)
    info = backend.info
    return {"model": spec.name, "backend": info.name, "threads": info.threads, **rows}


class Nobody:
    """Finds no faces; the boxes are given."""

    def detect(self, frame: Pixels) -> list[Any]:
        return []


def grid_box(number: int, side: int) -> tuple[float, float, float, float]:
    """Box of a face in a grid of five columns."""
    row, column = divmod(number, 5)
    return (30.0 + 120 * column, 30.0 + 80 * row, 0.55 * side, 0.7 * side)


def stream(options: argparse.Namespace) -> dict[str, Any]:
    """Every frame's result is an array of its own, which is what may leak."""
    readings = Readings(options.frames)
    material = BenchFrames(None, (64, 48), 0, 0, 5)
    with Upscaler(options.model, backend=options.backend, threads=options.threads) as upscaler:
        run = upscaler.stream()
        for number, frame in enumerate(islice(material.pictures(), options.frames), 1):
            run(frame)
            readings.at(number)
    return readings.result()


def job(options: argparse.Namespace) -> dict[str, Any]:
    readings = Readings(options.frames)
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "in.mp4", Path(name) / "out.mp4"
        material = BenchFrames(None, (64, 48), 0, 0, 5)
        with VideoWriter(source, 64, 48, Fraction(1, 25), rate=Fraction(25)) as writer:
            for number, frame in enumerate(islice(material.pictures(), options.frames)):
                writer.write(frame, number, 1)
        with Upscaler(options.model, backend=options.backend, threads=options.threads) as upscaler:
            process = upscaler.stream()
            enhance_video(source, target, process, on_progress=lambda done, _: readings.at(done))
    return readings.result()


class Readings:
    """Resident memory at even distances."""

    def __init__(self, frames: int) -> None:
        self._step = max(1, frames // READINGS)
        self._bytes: dict[int, int] = {}

    def at(self, frame: int) -> None:
        if frame % self._step == 0:
            self._bytes[frame] = resident_memory()

    def result(self) -> dict[str, Any]:
        values = list(self._bytes.values())
        settled = values[max(1, len(values) // 10) - 1]
        return {
            "frames": list(self._bytes),
            "bytes": values,
            "growth": values[-1] / settled,
            "most": max(values) / settled,
        }


def timed(
    programs: dict[str, Callable[[], object]], units: Sequence[float], rounds: int
) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    # A core that wakes from a pause is slow for some milliseconds, which short calls would pay for.
    times = [math.ceil(max(units) / (4 * unit)) for unit in units]
    several = {
        name: partial(repeat, program, count)
        for (name, program), count in zip(programs.items(), times, strict=True)
    }
    seconds = interleave(several, rounds=rounds, warmup=1)
    for (name, values), unit, count in zip(seconds.items(), units, times, strict=True):
        total = summarise([value / count for value in values])
        per_unit = {key: getattr(total, key) / unit for key in ("min", "p50")}
        rows.append({"name": name, "units": unit, "total": asdict(total), "per_unit": per_unit})
    spread = {
        key: max(row["per_unit"][key] for row in rows) / min(row["per_unit"][key] for row in rows)
        for key in ("min", "p50")
    }
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"load_average": load, "rows": rows, "spread": spread}


def repeat(program: Callable[[], object], times: int) -> None:
    for _ in range(times):
        program()


def pictures(size: tuple[int, int], count: int) -> list[Pixels]:
    return list(islice(BenchFrames(None, size, 0, 0, 5).pictures(), count))


def markdown(record: dict[str, Any]) -> str:
    lines = []
    for part, unit in (("megapixels", "megapixel"), ("faces", "face")):
        if part not in record["parts"]:
            continue
        found = record["parts"][part]
        who = f"{found['model']} on {found['backend']}, {found['threads']} threads"
        lines += [f"| {who} | fastest, ms | median, ms | fastest per {unit} | median per {unit} |"]
        lines += ["|---|---|---|---|---|"]
        for row in found["rows"]:
            values = [row["total"]["min"], row["total"]["p50"], *row["per_unit"].values()]
            lines += [f"| {row['name']} | " + " | ".join(f"{1e3 * v:.2f}" for v in values) + " |"]
        spread, load = found["spread"], found["load_average"]
        lines += [f"| dearest over cheapest | | | {spread['min']:.2f} | {spread['p50']:.2f} |"]
        lines += ["", "" if load is None else f"Load average of the machine: {load:.1f}.", ""]
    memory = [part for part in ("stream", "job") if part in record["parts"]]
    if memory:
        lines += [
            "| memory, MB | after a tenth | at the end | most | growth |",
            "|---|---|---|---|---|",
        ]
    for part in memory:
        found = record["parts"][part]
        last = found["bytes"][-1]
        values = [last / found["growth"], last, max(found["bytes"])]
        name = f"{part}, {found['frames'][-1]} frames"
        row = " | ".join(f"{value / 1e6:.1f}" for value in values)
        lines += [f"| {name} | {row} | {found['growth']:.3f} |"]
    return "\n".join(lines).strip() + "\n"


PARTS = {"megapixels": megapixels, "faces": faces, "stream": stream, "job": job}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What more work costs.")
    parser.add_argument("--model", default="edge-x4")
    parser.add_argument("--face-model", default="srresnet-x4")
    parser.add_argument("--backend", default="native")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument(
        "--only",
        action="append",
        choices=list(PARTS),
        help="else all; others stay in the JSON file",
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args(arguments)
    parts: dict[str, Any] = {}
    if options.only and options.json and options.json.exists():
        parts = json.loads(options.json.read_text())["parts"]
    for name in options.only or PARTS:
        parts[name] = PARTS[name](options)
    record = {
        "schema": "srsdk-scaling-1",
        "srsdk": srsdk.__version__,
        "versions": versions(),
        "machine": machine(),
        "parts": {name: parts[name] for name in PARTS if name in parts},
    }
    text = markdown(record)
    print(text, end="")
    if options.markdown:
        options.markdown.write_text(text)
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
