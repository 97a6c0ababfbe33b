"""A camera, a machine and a clock that exist only as numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from srsdk.live import Level, Live, LiveFrame
from srsdk.live.levels import ladder

LEVELS = ladder(faces=True, fast=True)
COSTS = {"faces": 0.022, "frame": 0.012, "fast": 0.006, "bicubic": 0.002}  # seconds when quiet
DETECTION = 0.010
FPS = 30


class Machine:
    """A clock, and a renderer that takes as long as the load makes it.

    Args:
        load: From the time to how much slower everything is then.
        costs: Seconds of each kind of level at load 1.
    """

    def __init__(
        self, load: Callable[[float], float] = lambda _: 1.0, costs: dict[str, float] | None = None
    ) -> None:
        self.now = 0.0
        self.strength = 1.0
        self.load = load
        self.costs = costs or COSTS
        self.stall_at: float | None = None
        self._frames = 0

    @property
    def levels(self) -> tuple[Level, ...]:
        return LEVELS

    def clock(self) -> float:
        return self.now

    def render(self, frame: np.ndarray, level: Level) -> tuple[np.ndarray, int]:
        cost = self.costs[level.kind]
        if level.detect_every and self._frames % level.detect_every == 0:
            cost += DETECTION
        self._frames += 1
        self.now += cost * self.load(self.now)
        if self.stall_at is not None and self.now >= self.stall_at:
            self.now, self.stall_at = self.now + 1.0, None
        return frame, int(level.kind == "faces")

    def close(self) -> None:
        pass


@dataclass
class Run:
    """What a simulated run gave.

    Attributes:
        shown: The pictures, in order.
        ages: Seconds from capture to when each was ready.
        sent: Frames that the camera took.
    """

    shown: list[LiveFrame] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    sent: int = 0

    def levels(self, start: float, end: float) -> list[str]:
        """The kinds of the levels of the pictures finished in a period."""
        return [r.level.kind for r in self.shown if start <= r.finished < end]

    def rate(self, start: float, end: float) -> float:
        """Pictures a second in a period."""
        return len(self.levels(start, end)) / (end - start)

    def changes(self) -> int:
        """How often the kind of level changed."""
        kinds = [r.level.kind for r in self.shown]
        return sum(a != b for a, b in itertools.pairwise(kinds))


def play(machine: Machine, seconds: float, *, fps: float = FPS) -> Run:
    """A camera in front of a `Live` on the machine; a picture is shown when it is ready."""
    live = Live(machine, fps=fps, clock=machine.clock)
    run, frame, sent = Run(), np.zeros((2, 2, 3), np.uint8), 0
    while machine.now < seconds:
        while sent / fps <= machine.now:
            live.put(frame, captured=sent / fps)
            sent += 1
        if not live.step():
            machine.now = sent / fps
        while (result := live.get(0)) is not None:
            run.shown.append(result)
            run.ages.append(result.finished - result.captured)
    run.sent = sent
    return run
