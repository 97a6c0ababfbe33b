"""Counts frames and the age of results."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass
from typing import Literal

from srsdk.timing import StageTimer

LiveState = Literal["waiting", "live", "stalled", "overloaded", "ended"]


@dataclass(frozen=True)
class LiveStats:
    """What a `Live` did so far.

    Attributes:
        state: "waiting" for the first frame; "live"; "stalled": the camera gives no frames, and the
            last picture stays; "overloaded": not even the lowest level meets the deadline;
            "ended".
        problem: The latest thing that went wrong, such as a frame that could not be used; "" if
            nothing has.
        received: Frames handed in, bad ones included.
        shown: Results handed out.
        dropped: Good frames that were never shown, because a newer one came first.
        late: Those of them whose result missed its deadline.
        bad: Frames that could not be used.
        fps: Results handed out a second, over the last two seconds.
        p50: Median age of results when they were handed out, in seconds from `put`; of thousands
            estimated, as p95 and p99.
        p95: 95th percentile.
        p99: 99th percentile.
        level: The latest result's level, for instance "faces/5"; "" before the first.
        shares: From level to the share of results shown at it, 0 to 1.
        faces: Faces in the latest result.
    """

    state: LiveState
    problem: str
    received: int
    shown: int
    dropped: int
    late: int
    bad: int
    fps: float
    p50: float
    p95: float
    p99: float
    level: str
    shares: dict[str, float]
    faces: int

    def __str__(self) -> str:
        return (
            f"{self.fps:.1f} fps, age {1e3 * self.p50:.0f} ms (p99 {1e3 * self.p99:.0f}), "
            f"{self.level or 'no picture'}, faces {self.faces}, shown {self.shown}, "
            f"dropped {self.dropped}{f', bad {self.bad}' if self.bad else ''}, {self.state}"
        )


class Counts:
    """The counters behind `LiveStats`; for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ages = StageTimer()
        self._times: deque[float] = deque(maxlen=512)
        self._levels: Counter[str] = Counter()
        self._level, self._faces, self._problem = "", 0, ""
        self._received = self._dropped = self._late = self._bad = 0

    def received(self, problem: str = "") -> int:
        """A frame came; with a problem, it cannot be used. Returns the bad frames so far."""
        with self._lock:
            self._received += 1
            if problem:
                self._bad += 1
                self._problem = problem
            return self._bad

    def dropped(self, *, late: bool = False) -> None:
        """A frame will not be shown."""
        with self._lock:
            self._dropped += 1
            self._late += late

    def failed(self, problem: str) -> None:
        """Something else went wrong."""
        with self._lock:
            self._problem = problem

    def shown(self, now: float, age: float, level: str, faces: int) -> None:
        """A result was handed out."""
        self._ages.add("age", age)
        with self._lock:
            self._times.append(now)
            self._levels[level] += 1
            self._level, self._faces = level, faces

    def snapshot(self, now: float, state: LiveState) -> LiveStats:
        """All counters as they are."""
        ages = self._ages.summary("age")
        with self._lock:
            shown = sum(self._levels.values())
            recent = [t for t in self._times if now - t <= 2.0]
            spell = now - recent[0] if len(recent) > 1 else 0.0
            return LiveStats(
                state,
                self._problem,
                received=self._received,
                shown=shown,
                dropped=self._dropped,
                late=self._late,
                bad=self._bad,
                fps=(len(recent) - 1) / spell if spell > 0 else 0.0,
                p50=ages.p50,
                p95=ages.p95,
                p99=ages.p99,
                level=self._level,
                shares={name: n / shown for name, n in sorted(self._levels.items())},
                faces=self._faces,
            )
