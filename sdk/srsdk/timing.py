"""Where the time goes: a stage timer that several threads share, and programs timed in turns."""

from __future__ import annotations

import random
import threading
import time
from array import array
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

Item = TypeVar("Item")

#: Calls of a stage whose times are kept, chosen at random among all: percentiles are taken of them.
#: So the memory of long jobs is bounded, at 32 kB a stage.
KEPT_SAMPLES = 4096

#: Seconds between two programs that are timed in turns: until idle threads of the first, such as
#: ONNX Runtime's and OpenMP's, have stopped spinning.
PAUSE = 0.02


@dataclass(frozen=True)
class StageSummary:
    """Time spent in one stage.

    Attributes:
        calls: How often the stage ran.
        total: Seconds over all calls.
        mean: Seconds per call.
        min: Seconds of the fastest call.
        p50: Median seconds per call; of more than `KEPT_SAMPLES` calls estimated, as p95 and p99.
        p95: 95th percentile.
        p99: 99th percentile.
    """

    calls: int
    total: float
    mean: float
    min: float
    p50: float
    p95: float
    p99: float


def summarise(seconds: Sequence[float]) -> StageSummary:
    """Count, total, fastest call and percentiles; all zero for none."""
    return _summary(seconds, len(seconds), sum(seconds), min(seconds, default=0.0))


def _summary(samples: Sequence[float], calls: int, total: float, least: float) -> StageSummary:
    if not calls:
        return StageSummary(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    p50, p95, p99 = (float(value) for value in np.percentile(samples, (50, 95, 99)))
    return StageSummary(calls, total, total / calls, least, p50, p95, p99)


class Turns:
    """The order in which programs are timed: a new one every round, so that noise hits all alike.

    Args:
        seed: Decides the orders.
        pause: Seconds before each turn.
    """

    def __init__(self, seed: int = 0, *, pause: float = PAUSE) -> None:
        self._random, self._pause = random.Random(seed), pause

    def round(self, programs: Iterable[Item]) -> Iterator[Item]:
        """Yield all programs once, in the next order, each after the pause."""
        order = list(programs)
        self._random.shuffle(order)
        for program in order:
            time.sleep(self._pause)
            yield program


def interleave(
    programs: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    warmup: int = 3,
    pause: float = PAUSE,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Time programs in turns.

    A program runs twice in its turn, and only the second call counts: the first finds the caches
    as the program before left them.

    Args:
        programs: What to run, by name.
        rounds: Timed calls of each.
        warmup: Calls of each before the first round.
        pause: Seconds before each turn.
        seed: Decides the orders.

    Returns:
        Seconds of each program's timed calls, `rounds` of them, in the order of `programs`.
    """
    for program in programs.values():
        for _ in range(warmup):
            program()
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    turns = Turns(seed, pause=pause)
    for _ in range(rounds):
        for name in turns.round(programs):
            programs[name]()
            started = time.perf_counter()
            programs[name]()
            seconds[name].append(time.perf_counter() - started)
    return seconds


class _Stage:
    """All calls of one stage."""

    def __init__(self, seed: int) -> None:
        self.calls, self.total, self.least = 0, 0.0, float("inf")
        self.samples: array[float] = array("d")
        self._random = random.Random(seed)

    def add(self, seconds: float) -> None:
        self.calls += 1
        self.total += seconds
        self.least = min(self.least, seconds)
        if self.calls <= KEPT_SAMPLES:
            self.samples.append(seconds)
            return
        # Vitter's algorithm R: every call is among the samples with the same probability.
        place = int(self._random.random() * self.calls)
        if place < KEPT_SAMPLES:
            self.samples[place] = seconds


class StageTimer:
    """Collects wall-clock seconds per named stage.

    Example:
        >>> timer = StageTimer()
        >>> with timer("decode"):
        ...     pass
        >>> timer.summary("decode").calls
        1

    Safe to use from several threads at once; time spent in the same stage by two threads adds up.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stages: dict[str, _Stage] = {}
        self._paused = False

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time the body of a `with`; a body that raises is counted too."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - start)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Ignore calls of all threads that end in the body of a `with`."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False

    def add(self, stage: str, seconds: float) -> None:
        """Record one call of `stage` that took `seconds`."""
        with self._lock:
            if self._paused:
                return
            if stage not in self._stages:
                self._stages[stage] = _Stage(len(self._stages))
            self._stages[stage].add(seconds)

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages seen so far, in the order in which they first ended."""
        with self._lock:
            return tuple(self._stages)

    def total(self, stage: str) -> float:
        """Seconds spent in `stage`; 0.0 for one that never ran."""
        with self._lock:
            return self._stages[stage].total if stage in self._stages else 0.0

    def summary(self, stage: str) -> StageSummary:
        """Count, total and percentiles of `stage`; all zero for one that never ran."""
        with self._lock:
            if stage not in self._stages:
                return summarise(())
            of = self._stages[stage]
            samples, calls, total, least = list(of.samples), of.calls, of.total, of.least
        return _summary(samples, calls, total, least)

    def reset(self) -> None:
        """Forget everything, for instance after a warm-up."""
        with self._lock:
            self._stages.clear()
