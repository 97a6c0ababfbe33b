"""A part of the step `generators`: models at some sizes, everything that runs one in turn.

python -m tests.benchmarks.gpu.generators FILE.json --cases edge-x4 '4*32x32' ...
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from srsdk import zoo
from srsdk.errors import InputError, ModelFormatError
from srsdk.timing import Turns, summarise
from srsdk.types import Pixels
from tests.benchmarks.gpu.report import COULD_NOT, FAILED, PASSED, JsonObject, step
from tests.benchmarks.gpu.runners import CPU, NAMES, TORCH, Runner, open_all

WARM_UP = 3
FEWEST = 10  # turns, however long they take
PATIENCE = 3.0  # seconds: a call that would take longer is left out
OFF = 8  # grey levels from torch eager: rounding stays far below, another picture far above


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", type=Path, help="JSON file to write")
    parser.add_argument(
        "--cases", nargs="+", required=True, help="a model and BATCH*WIDTHxHEIGHT, and so on"
    )
    parser.add_argument("--runners", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--repeats", type=int, default=200, help="turns of each runner")
    parser.add_argument("--seconds", type=float, default=15, help="for all turns, about")
    parser.add_argument("--files", default="{}", help="JSON: model: {onnx, engine}")
    options = parser.parse_args()
    files, cases = json.loads(options.files), options.cases
    records: list[JsonObject] = []
    for model, text in zip(cases[::2], cases[1::2], strict=True):
        race = Race(model, text, files.get(model, {}))
        race.open(options.runners)
        race.run(options.repeats, options.seconds)
        records.append(race.record())
        # After each: the next one may take this process with it.
        options.output.write_text(json.dumps(together(records), indent=2) + "\n", "utf-8")


def together(records: list[JsonObject]) -> JsonObject:
    """The record of several cases."""
    result: JsonObject = {
        key: [row for record in records for row in record["result"].get(key, [])]
        for key in ("rows", "left_out", "failures")
    }
    failed = [record["reason"] for record in records if record["status"] == FAILED]
    if failed:
        return step(FAILED, "; ".join(failed), **result)
    return step(PASSED, **result) if result["rows"] else step(COULD_NOT, "nothing runs", **result)


class Race:
    """One model at one size, and those that run it."""

    def __init__(self, model: str, text: str, files: JsonObject) -> None:
        self.model, self.files = Path(zoo.find(model)), files
        count, width, height = size(text)
        self.batch = picture(count, width, height)
        self.where = {"model": model, "batch": count, "width": width, "height": height}
        self.runners: list[Runner] = []
        self.seconds: dict[str, list[float]] = {}
        self.left_out: list[JsonObject] = []
        self.failures: list[JsonObject] = []

    def open(self, names: list[str]) -> None:
        """Make the runners and warm them up."""
        able = list(names)
        for name in [name for name in names if name.removeprefix("srsdk ") in CPU]:
            seconds = predicted(name, self.model, self.batch)
            if seconds > PATIENCE:
                able.remove(name)
                reason = f"a call on this processor would take about {seconds:.0f} s"
                self.left_out.append({**self.where, "runner": name, "reason": reason})
        for name, opened in open_all(able, self.model, self.files, self.batch):
            if not isinstance(opened, Runner):
                self._drop(name, opened)
                continue
            try:
                for _ in range(WARM_UP):
                    opened.turn()
            except Exception as error:
                self._drop(name, error)
            else:
                self.runners.append(opened)
                self.seconds[name] = []

    def run(self, repeats: int, budget: float) -> None:
        """Take turns, in a new order every round, until the time is up."""
        turns, started = Turns(), time.perf_counter()
        for turn in range(repeats):
            if turn >= FEWEST and time.perf_counter() - started > budget:
                break
            for runner in turns.round(self.runners):
                try:
                    runner.turn()  # finds the caches as another left them: not counted
                    self.seconds[runner.name].append(runner.turn())
                except Exception as error:
                    self.runners.remove(runner)
                    self._drop(runner.name, error)

    def record(self) -> JsonObject:
        """What it came to, as a step."""
        eager = next((runner for runner in self.runners if runner.name == "torch eager"), None)
        reference = None if eager is None else eager.result()
        rows = [self._row(runner, reference) for runner in self.runners]
        result: JsonObject = {"rows": rows, "left_out": self.left_out, "failures": self.failures}
        if self.failures:
            reasons = [f"{item['runner']}: {item['reason']}" for item in self.failures]
            return step(FAILED, "; ".join(reasons), **result)
        return step(PASSED, **result) if rows else step(COULD_NOT, "nothing runs it", **result)

    def _row(self, runner: Runner, reference: Pixels | None) -> JsonObject:
        off = "" if reference is None else difference(runner.result(), reference)
        if off != "" and int(off) > OFF:
            reason = f"wrong pixels: {off} grey levels from torch eager"
            self.failures.append({**self.where, "runner": runner.name, "reason": reason})
        summary = summarise(self.seconds[runner.name])
        return {
            **self.where,
            "runner": runner.name,
            "clock": runner.clock,
            "runs": summary.calls,
            "p50_ms": summary.p50 * 1e3,
            "p95_ms": summary.p95 * 1e3,
            "p99_ms": summary.p99 * 1e3,
            "fps": len(self.batch) / summary.p50,
            "largest_difference": off,
        }

    def _drop(self, name: str, error: Exception) -> None:
        which = self.left_out if beyond(name, error) else self.failures
        which.append({**self.where, "runner": name, "reason": line(error)})


def size(text: str) -> tuple[int, int, int]:
    """Batch, width and height of `BATCH*WIDTHxHEIGHT`."""
    batch, _, rest = text.partition("*")
    width, _, height = rest.partition("x")
    return int(batch), int(width), int(height)


def picture(count: int, width: int, height: int) -> Pixels:
    """Smooth shades with a little noise: what a camera gives, not what a compressor fears."""
    y, x = np.mgrid[0:height, 0:width]
    shades = np.stack([x * 200 // width, y * 200 // height, (x + y) % 200], axis=-1)
    noise = np.random.default_rng(0).integers(0, 40, (count, height, width, 3))
    return (shades + noise).astype(np.uint8)


def predicted(name: str, model: Path, batch: Pixels) -> float:
    """Seconds of a call on the CPU, from one on a small corner."""
    corner = np.ascontiguousarray(batch[:1, :32, :32])
    runners = [found for _, found in open_all([name], model, {}, corner)]
    if not isinstance(runners[0], Runner):
        return 0.0  # why it cannot run will show when it is opened
    fastest = min(runners[0].turn() for _ in range(3))
    return fastest * batch.size / corner.size


def beyond(name: str, error: Exception) -> bool:
    """Whether a runner is more than this machine has, and not broken.

    BackendUnavailableError is an ImportError, a size that an engine does not take is an InputError.
    What torch cannot compile is no fault of srsdk's.
    """
    missing = isinstance(error, (ImportError, FileNotFoundError, InputError))
    missing = missing or (isinstance(error, ModelFormatError) and "cannot run" in str(error))
    small = any(sign in str(error) for sign in ("too little memory", "out of memory"))
    return missing or small or name in TORCH


def difference(ours: Pixels, theirs: Pixels) -> int:
    return int(np.abs(ours.astype(np.int16) - theirs.astype(np.int16)).max(initial=0))


def line(error: Exception) -> str:
    text = str(error).strip().splitlines() or [type(error).__name__]
    known = isinstance(error, ImportError)
    return text[0][:300] if known else f"{type(error).__name__}: {text[0][:300]}"


if __name__ == "__main__":
    main()
