"""How many frames of a camera are shown, how old they are, and at which quality.

    python -m tests.benchmarks.live [--clip FILE] [--seconds 20] [--only NAME] [--json FILE] ...

A camera gives 30 frames a second; `Live` upscales, a second thread takes what is ready. The cases
are 320x180 x4, 640x360 x2 and 640x360 x4, alone and beside a process that uses one core fully.
`--seconds 600` is a soak: memory is read all the time, and every picture's number is checked.
`--web` measures the page in headless Chromium too, glass to glass, browser and all on the same
cores.

The first five seconds, in which the levels' costs are learnt, are not counted. "others" is the
share of this machine's processor time that other programs took meanwhile, the one that is meant to
disturb included: on a shared machine, nothing here is better than that allows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from srsdk import Upscaler, zoo
from srsdk.cli.record import machine, resident_memory
from srsdk.live import Live
from srsdk.types import Pixels
from srsdk.video import VideoReader

CLIP = Path(__file__).parents[2] / "examples" / "portrait.mp4"
FPS = 30
WARMUP = 5.0  # seconds
BUSY = "while True: pass"


@dataclass(frozen=True)
class Case:
    """A camera, what is made of it, and whether another program is busy."""

    width: int
    height: int
    scale: int
    loaded: bool

    @property
    def name(self) -> str:
        beside = ", one core busy" if self.loaded else ""
        return f"{self.width}x{self.height} x{self.scale}{beside}"


CASES = [
    Case(width, height, scale, loaded)
    for loaded in (False, True)
    for width, height, scale in ((320, 180, 4), (640, 360, 2), (640, 360, 4))
]


def pictures(clip: Path, width: int, height: int) -> list[Pixels]:
    """The first 150 frames of a clip, its middle cut to the shape of the size."""
    frames = []
    with VideoReader(clip) as reader:
        for frame in islice(reader, 150):
            high, wide = frame.pixels.shape[:2]
            w, h = min(wide, high * width // height), min(high, wide * height // width)
            top, left = (high - h) // 2, (wide - w) // 2
            crop = np.ascontiguousarray(frame.pixels[top : top + h, left : left + w])
            frames.append(cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA))
    return [np.asarray(frame, np.uint8) for frame in frames]


@contextmanager
def busy(wanted: bool) -> Iterator[None]:
    """Another program on one core."""
    if not wanted:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        yield
    finally:
        process.kill()
        process.wait()


class Others:
    """Processor time of other programs, from /proc; Linux only."""

    def __init__(self) -> None:
        self._before = self._read()

    @staticmethod
    def _read() -> tuple[float, float, float]:
        ticks = [int(n) for n in Path("/proc/stat").read_text("ascii").split("\n")[0].split()[1:9]]
        own = time.process_time() * os.sysconf("SC_CLK_TCK")
        return float(sum(ticks)), float(sum(ticks) - ticks[3] - ticks[4]), own

    def share(self) -> float:
        total, used, own = (b - a for a, b in zip(self._before, self._read(), strict=True))
        return max(0.0, used - own) / total


def measure(case: Case, options: argparse.Namespace) -> dict[str, Any]:
    """Play a camera for some seconds."""
    frames = pictures(options.clip, case.width, case.height)
    bundled = {entry.name for entry in zoo.models()}
    faces = f"portrait-x{case.scale}"
    seen: list[tuple[int, float, str]] = []
    memory: list[int] = []
    with (
        Upscaler(f"edge-x{case.scale}", faces=faces if faces in bundled else None) as upscaler,
        busy(case.loaded),
        Live(upscaler, fps=FPS) as live,
    ):
        upscaler(frames[0])  # the memory of every level exists from the start
        camera = threading.Thread(target=play, args=(live, frames, options.seconds))
        others = Others()
        camera.start()
        while camera.is_alive():
            if (result := live.get(0.1)) is not None:
                age = time.perf_counter() - result.captured
                seen.append((result.index, age, str(result.level)))
                if result.index % (5 * FPS) == 0:
                    memory.append(resident_memory())
        taken = others.share()
    skipped = int(WARMUP * FPS)
    counted = [each for each in seen if each[0] >= skipped]
    ages = np.array([age for _, age, _ in counted]) * 1e3
    levels = Counter(level for _, _, level in counted)
    seconds = options.seconds - WARMUP
    return {
        "case": case.name,
        "arithmetic": upscaler.info.frames.arithmetic,
        "faces": faces if faces in bundled else None,
        "seconds": seconds,
        "shown_per_second": len(counted) / seconds,
        "p50_ms": float(np.percentile(ages, 50)),
        "p95_ms": float(np.percentile(ages, 95)),
        "p99_ms": float(np.percentile(ages, 99)),
        "levels": {level: n / len(counted) for level, n in levels.most_common()},
        "changes": sum(a[2] != b[2] for a, b in pairwise(counted)),
        "out_of_order": sum(a[0] >= b[0] for a, b in pairwise(seen)),
        "memory_growth": memory[-1] / memory[1] if len(memory) > 2 else None,
        "others": taken,
    }


def play(live: Live, frames: list[Pixels], seconds: float) -> None:
    """Hand in the frames, 30 a second."""
    started = time.perf_counter()
    for index in range(int(seconds * FPS)):
        if (early := started + index / FPS - time.perf_counter()) > 0:
            time.sleep(early)
        # The clip forward and back: no cut where it begins again.
        position = index % (2 * len(frames) - 2)
        live.put(frames[min(position, 2 * len(frames) - 2 - position)])
    time.sleep(0.2)


def web(options: argparse.Namespace) -> dict[str, Any]:
    """The page in Chromium, glass to glass."""
    from srsdk.live.web.models import Models
    from tests.live.chromium import page, webcam
    from tests.live.test_web import served

    models = Models("edge-x4")
    with (
        tempfile.TemporaryDirectory() as folder,
        served(models) as url,
        page(url, webcam(Path(folder) / "camera.y4m")) as opened,
    ):
        time.sleep(WARMUP)
        before = opened.evaluate("window.srsdk.frames")
        others = Others()
        time.sleep(options.seconds)
        shown = opened.evaluate("window.srsdk.frames") - before
        result = {
            "case": "page in Chromium, 320x180 x4",
            "shown_per_second": shown / options.seconds,
            "p50_ms": float(opened.inner_text("#latency")),
            "p95_ms": float(opened.inner_text("#latency95")),
            "level": opened.inner_text("#level"),
            "others_and_browser": others.share(),
        }
        if options.screenshot:
            opened.fill("#slider", "375")  # through the face
            opened.mouse.move(0, 0)
            time.sleep(1)
            opened.screenshot(path=options.screenshot)
    models.close()
    return result


def table(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = [
        "# Live: 30 frames a second in, the newest frame wins",
        "",
        f"{report['machine']['processor']}. {report['clip']}, {report['rows'][0]['seconds']:g} s a "
        f"case after {WARMUP:g} s. Load average of the machine when it began: "
        f"{report['load_average']:.1f}.{report['note']}",
        "",
        "| case | arithmetic | shown/s | age p50, p95, p99 ms | levels | changes | others |",
        "|---|---|--:|--:|---|--:|--:|",
    ]
    for row in report["rows"]:
        levels = ", ".join(f"{name} {100 * share:.1f}%" for name, share in row["levels"].items())
        ages = ", ".join(f"{row[key]:.0f}" for key in ("p50_ms", "p95_ms", "p99_ms"))
        lines.append(
            f"| {row['case']} | {row['arithmetic']} | {row['shown_per_second']:.1f} | {ages} | "
            f"{levels} | {row['changes']} | {100 * row['others']:.0f}% |"
        )
    lines += [
        "",
        "others: processor time of the machine that other programs took, the busy one included.",
    ]
    if page := report.get("page"):
        lines.append(
            f"\nThe page in Chromium, glass to glass, 320x180 x4: {page['shown_per_second']:.1f} "
            f"pictures a second, p50 {page['p50_ms']:.0f} ms, p95 {page['p95_ms']:.0f} ms."
        )
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clip", type=Path, default=CLIP, help="video with a face")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--web", action="store_true", help="measure the page too")
    parser.add_argument("--screenshot", help="of the page, a PNG file")
    parser.add_argument("--note", default="", help="what else a reader must know")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    report: dict[str, Any] = {
        "machine": machine(),
        "clip": options.clip.name,
        "load_average": os.getloadavg()[0],
        "note": f" {options.note}" if options.note else "",
        "rows": [],
    }
    for case in CASES:
        if options.only in case.name:
            report["rows"].append(measure(case, options))
            print(json.dumps(report["rows"][-1]))
    if options.web:
        report["page"] = web(options)
        print(json.dumps(report["page"]))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    if options.markdown:
        options.markdown.write_text(table(report), "utf-8")


if __name__ == "__main__":
    main()
