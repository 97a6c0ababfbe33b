"""Measuring the rows: all open, one awake at a time, the order shuffled anew every round."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from srsdk.timing import Turns
from tests.benchmarks.comparison.candidates import Candidate, why_not
from tests.benchmarks.comparison.environments import interpreter
from tests.benchmarks.comparison.material import FACES, Material, score
from tests.benchmarks.comparison.progress import Progress, RowProgress
from tests.benchmarks.comparison.workers import Worker, WorkerError

Say = Callable[[str], None]
Row = tuple[Candidate, Worker]

#: Seconds of a row's turn, and the most calls in it.
_TURN, _MOST_CALLS = 0.25, 20
#: Seconds in which the program's own stages are taken, and the fewest and most calls in them: a
#: core that is busy elsewhere for a moment must not decide.
_STAGE_SECONDS, _STAGE_CALLS = 1.0, (15, 300)
#: Grey levels between two runtimes on the same weights, beyond which one of them is wrong: the
#: largest difference, and the mean one. How near int8 is to float32 is proven in the model's file,
#: this only finds what is broken.
_TOLERANCE = {"fp32": (2, 2.0), "int8": (255, 2.0)}


def open_rows(
    wanted: list[Candidate],
    progress: Progress,
    material: Material,
    environments: Path,
    *,
    threads: int,
    install: bool,
    say: Say,
) -> list[Row]:
    """Start the workers; those that cannot be had are noted in `progress.skipped`."""
    rows: list[Row] = []
    for candidate in wanted:
        name = candidate.name
        try:
            reason = why_not(candidate)
            if reason:
                raise WorkerError(reason)
            options = material.options(candidate)
            python = interpreter(candidate.environment, environments, install=install)
            if isinstance(python, str):
                raise WorkerError(python)
            job = {
                "program": candidate.program,
                "frames": str(material.frames(candidate)),
                "threads": threads,
                "options": options,
            }
            worker = Worker(python, job, material.folder, name)
        except (WorkerError, OSError, ValueError) as error:
            progress.skipped[name] = str(error)
            say(f"skipped {name}: {error}")
            continue
        if worker.facts.get("device", "cpu") != "cpu":
            progress.skipped[name] = f"it runs on {worker.facts['device']}, not on the processor"
            worker.close()
            continue
        progress.skipped.pop(name, None)
        row = progress.rows.setdefault(name, RowProgress())
        row.versions, row.facts = worker.versions, worker.facts
        rows.append((candidate, worker))
        say(f"opened {name}")
    return rows


def check_agreement(rows: list[Row], progress: Progress, material: Material) -> list[Row]:
    """Compare what the rows make of one input; leaves out those that are wrong.

    Every row must give a picture of the right size; rows with the same weights must agree with
    those in ONNX Runtime the obvious way.
    """
    results: dict[str, Any] = {}
    kept: list[Row] = []
    for candidate, worker in rows:
        if candidate.alone or candidate.group == "ceiling":
            kept.append((candidate, worker))
            continue
        source = material.folder / f"{candidate.group}-agreement.npy"
        target = material.folder / "result.npy"
        lr = np.load(material.frames(candidate))[0]
        np.save(source, lr)
        try:
            worker.ask("upscale", source=str(source), target=str(target), batch=len(lr))
            results[candidate.name] = np.load(target)
            expected = (len(lr), 4 * lr.shape[1], 4 * lr.shape[2], 3)
            if results[candidate.name].shape != expected:
                raise WorkerError(f"its result is {results.pop(candidate.name).shape}")
        except WorkerError as error:
            _give_up(candidate, worker, progress, str(error))
            continue
        kept.append((candidate, worker))
    return [row for row in kept if _agrees(row, results, progress)]


def _agrees(row: Row, results: dict[str, Any], progress: Progress) -> bool:
    candidate, worker = row
    reference = results.get(f"{candidate.group}/{candidate.model}/obvious")
    result = results.get(candidate.name)
    if reference is None or result is None:
        return True
    error = np.abs(result.astype(int) - reference.astype(int))
    difference, mean = int(error.max()), float(error.mean())
    progress.rows[candidate.name].difference = difference
    largest, largest_mean = _TOLERANCE[worker.facts.get("precision", "fp32")]
    if difference > largest or mean > largest_mean:
        reason = (
            f"differs from the same weights in ONNX Runtime by {difference} grey levels, "
            f"{mean:.2f} in the mean"
        )
        _give_up(candidate, worker, progress, reason)
        return False
    return True


def run_rounds(
    rows: list[Row],
    progress: Progress,
    *,
    rounds: int,
    seconds: float,
    save: Callable[[], None],
    say: Say,
) -> list[Row]:
    """Time all rows in turn until each had so many turns, or so many seconds have passed.

    Returns:
        The rows that have not failed meanwhile.
    """
    turns = Turns(len(progress.load), pause=0.0)
    calls = {candidate.name: _calls_a_turn(worker) for candidate, worker in rows}
    rows, began, done = list(rows), time.monotonic(), 0
    while due := [row for row in rows if progress.rows[row[0].name].rounds < rounds]:
        if time.monotonic() - began > seconds:
            say(f"stopped after {done} rounds: {seconds / 60:.0f} minutes are over")
            break
        for candidate, worker in turns.round(due):
            try:
                _turn(worker, progress.rows[candidate.name], calls[candidate.name])
            except WorkerError as error:
                _give_up(candidate, worker, progress, str(error))
                rows.remove((candidate, worker))
        done += 1
        progress.load.append(list(load_average()))
        save()
        say(f"round {done}: {len(due)} rows, {time.monotonic() - began:.0f} s so far")
    return rows


def _turn(worker: Worker, row: RowProgress, calls: int) -> None:
    # The first call after another program finds cold caches; where a call takes as long as a
    # turn, they do not matter.
    found = worker.ask("time", untimed=1 if calls > 1 else 0, calls=calls)
    row.seconds += found["seconds"]
    row.rounds += 1
    for step, values in found["stages"].items():
        row.steps.setdefault(step, []).extend(values)


def _calls_a_turn(worker: Worker) -> int:
    seconds = min(worker.ask("time", untimed=1, calls=2)["seconds"])
    return max(1, min(_MOST_CALLS, round(_TURN / max(seconds, 1e-6))))


def judge_row(candidate: Candidate, worker: Worker, progress: Progress, material: Material) -> None:
    """Memory, scores, and the program's own stages.

    Raises:
        WorkerError: It failed.
    """
    row = progress.rows[candidate.name]
    row.peak = worker.ask("memory")["peak"]
    if candidate.quality:
        batch = FACES if candidate.group == "faces" else 1
        target = material.folder / "result.npy"
        for name, hr in material.sets.items():
            source = str(material.lr(name))
            worker.ask("upscale", source=source, target=str(target), batch=batch, timeout=600)
            row.psnr[name] = score(hr, target)
    if candidate.group != "ceiling":
        fewest, most = _STAGE_CALLS
        calls = round(_STAGE_SECONDS / statistics.median(row.seconds)) if row.seconds else fewest
        row.inner = worker.ask("stages", calls=min(max(calls, fewest), most))["stages"]
    row.judged = True


def judge_rows(
    rows: list[Row], progress: Progress, material: Material, save: Callable[[], None], say: Say
) -> None:
    """All of them, closing each; one that fails keeps its times."""
    for candidate, worker in sorted(rows, key=lambda row: row[0].name):
        if not progress.rows[candidate.name].judged:
            try:
                judge_row(candidate, worker, progress, material)
                say(f"judged {candidate.name}")
            except WorkerError as error:
                say(f"{candidate.name} is not whole: {error}")
            save()
        worker.close()


def load_average() -> tuple[float, ...]:
    """Of 1, 5 and 15 minutes; empty where the system has none."""
    try:
        return tuple(round(value, 2) for value in os.getloadavg())
    except (AttributeError, OSError):
        return ()


def _give_up(candidate: Candidate, worker: Worker, progress: Progress, reason: str) -> None:
    worker.close()
    progress.rows.pop(candidate.name, None)
    progress.skipped[candidate.name] = reason
