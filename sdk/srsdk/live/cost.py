"""What a frame costs at each level, learnt while it runs."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

_WINDOW = 32  # frames, about a second
_MEMORY = 0.15  # weight of the newest frame in a mean that has settled
_TRUST = 3  # frames that an old mean weighs when its level runs again
_COLD = 4.0  # times as long as later frames: what the first one at a level may take
_JUMP = 2.0  # times the mean: one such frame counts no more than that, two in a row are believed


@dataclass(frozen=True)
class Cost:
    """Seconds of a frame.

    Attributes:
        mean: What frames take on average. It decides whether the rate can be held.
        peak: What the slow ones of a second take, those with a detection for instance. It decides
            whether the deadline can be held.
    """

    mean: float
    peak: float


class CostModel(Protocol):
    """Predicts the cost of a frame at each level."""

    def expected(self, level: int) -> Cost | None:
        """Cost of the next frames at a level; None where nothing is known."""
        ...

    def record(self, level: int, seconds: float) -> None:
        """A frame took `seconds` at a level."""
        ...

    def forget(self, level: int) -> None:
        """A level's cost is not believed any more; it will be measured anew."""
        ...

    def reset(self) -> None:
        """Forget everything: the frames have another size, or the upscaler is another."""
        ...


class MeasuredCost:
    """Running means of measured frames.

    Only one level runs at a time, so the others are not measured. What slows one level down, such
    as another program on the same cores, slows the others too: when the mean of the level that
    runs changes, those of the others change in the same proportion. A single slow frame, such as a
    stall, hardly moves the mean; two in a row do at once.

    The first frame at a level allocates and finds cold caches, so a quarter of its time is taken
    for the cost until the second one.

    Args:
        levels: Number of levels.
    """

    def __init__(self, levels: int) -> None:
        self._levels = [_Level() for _ in range(levels)]
        self._running: int | None = None

    def expected(self, level: int) -> Cost | None:
        """The level's mean, and the mean times the ratio of slow frames to it."""
        return self._levels[level].cost

    def record(self, level: int, seconds: float) -> None:
        """Count a frame in its level's mean, and move the other means with it."""
        running = self._levels[level]
        if level != self._running:
            self._running = level
            running.begin()
        before = running.mean if running.is_measured else None
        running.count(seconds)
        if before is None or running.mean is None:
            return
        for index, other in enumerate(self._levels):
            if index != level and other.mean is not None:
                other.mean *= running.mean / before

    def forget(self, level: int) -> None:
        """The next frame at this level counts as if it were the first."""
        self._levels[level].mean = None
        if level == self._running:
            self._running = None

    def reset(self) -> None:
        """Forget all levels."""
        self._levels = [_Level() for _ in self._levels]
        self._running = None


class _Level:
    """Mean and spread of one level."""

    def __init__(self) -> None:
        self.mean: float | None = None
        self._spread = 1.0  # slow frames against the mean
        self._recent: deque[float] = deque(maxlen=_WINDOW)
        self._warm = False
        self._counted = 0
        self._last = 0.0

    @property
    def cost(self) -> Cost | None:
        return None if self.mean is None else Cost(self.mean, self.mean * self._spread)

    @property
    def is_measured(self) -> bool:
        """Whether the mean is more than a guess from a first frame."""
        return self._counted > 0

    def begin(self) -> None:
        """Begin to run the level: the mean known so far counts as a few frames only."""
        self._recent.clear()
        self._last = self.mean or 0.0
        self._counted = 0 if self.mean is None else min(self._counted, _TRUST)

    def count(self, seconds: float) -> None:
        if not self._warm:
            self._warm = True
            self.mean = seconds / _COLD
            return
        self._counted += 1
        self._recent.append(seconds)
        if self.mean is None or self._counted == 1:
            self.mean = seconds
        elif min(seconds, self._last) > _JUMP * self.mean:
            self.mean = min(seconds, self._last)
        elif max(seconds, self._last) < self.mean / _JUMP:
            self.mean = max(seconds, self._last)
        else:
            weight = max(1 / self._counted, _MEMORY)
            self.mean += weight * (min(seconds, _JUMP * self.mean) - self.mean)
        self._last = seconds
        if len(self._recent) > 1:
            # The second slowest: one slow frame a second is no reason to lower the quality.
            slow = sorted(self._recent)[-2]
            self._spread = max(1.0, slow / self.mean)
