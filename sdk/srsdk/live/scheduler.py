"""Decides the level of each frame: as good as the time allows, without flapping."""

from __future__ import annotations

from dataclasses import dataclass

from srsdk.live.cost import CostModel

_FULL = 0.95  # of the interval between frames: above this mean cost, the level falls
_ROOM = 0.75  # of the interval: below this mean cost, a better level may be tried
_DOUBT = 3.0  # times the usual wait: before a level is tried that is expected to be too slow
_HOPELESS = 3.0  # intervals: a level that is expected to take longer is tried most rarely
_RESIGNED = 20.0  # times the usual wait: before that; a large face may have left meanwhile
_TRIAL = 3  # frames at a new level before it is judged
_SETTLED = 10.0  # seconds after which a level counts as held


@dataclass(frozen=True)
class Patience:
    """How long there must be room before a better level is tried, in seconds.

    Attributes:
        first: At first, and after the level was held for ten seconds.
        longest: Each failed attempt doubles the wait, up to this.
    """

    first: float = 1.0
    longest: float = 15.0


class Scheduler:
    """Picks levels by what they are expected to cost.

    A level is affordable when its mean cost is below the interval between two frames and its slow
    frames are within the deadline. When the level in use is not, the best affordable one is taken
    at once. When it leaves room for a while, the next better one is tried: sooner if that is
    expected to be affordable, later if not, since expectations of levels that do not run may be
    wrong. After a failed attempt the next one waits twice as long. A frame that has already waited
    so long that it would miss its deadline gets the best level that is fast enough, for once.

    Levels of which nothing is known are tried from the lowest up, one after another, so that a slow
    machine begins with a picture rather than with a wait.

    Times are seconds of whatever clock the caller uses. Not for several threads at once.

    Args:
        levels: Number of levels; 0 is the best.
        costs: Predicts their cost.
        patience: When to try a better level.
    """

    def __init__(self, levels: int, costs: CostModel, *, patience: Patience | None = None) -> None:
        self._costs = costs
        self._patience = patience or Patience()
        self._failed, self._wanted = [False] * levels, [True] * levels
        self._usable = [True] * levels
        self.reset()

    def reset(self) -> None:
        """Begin from the lowest level and learn all costs again; excluded levels stay excluded."""
        self._costs.reset()
        self._level = self._lowest()
        self._frames = 0  # at this level
        self._since = self._room_since = float("-inf")
        self._wait = [self._patience.first] * len(self._usable)

    @property
    def level(self) -> int:
        """The level in use."""
        return self._level

    def allow(self, level: int, wanted: bool) -> None:
        """Use a level or not; the last one is used in any case."""
        self._wanted[level] = wanted
        self._update()

    def exclude(self, level: int) -> bool:
        """Never use a level again, since it failed; False if it was the last one."""
        self._failed[level] = True
        self._update()
        return not all(self._failed)

    def _update(self) -> None:
        working = [not failed for failed in self._failed]
        usable = [w and f for w, f in zip(self._wanted, working, strict=True)]
        self._usable = usable if any(usable) else working
        if any(self._usable) and not self._usable[self._level]:
            self._level, self._frames = self._next_worse(self._level), 0

    def choose(self, now: float, age: float, interval: float, deadline: float) -> int:
        """The level for the next frame.

        Args:
            now: The time.
            age: How old the frame is.
            interval: Seconds from one frame to the next.
            deadline: How old its result may be.
        """
        limit = _FULL * interval
        if not self._affordable(self._level, limit, deadline):
            blatant = not self._affordable(self._level, 2 * limit, 2 * deadline)
            if blatant or self._frames >= _TRIAL:
                self._fall(now, limit, deadline)
            self._room_since = now
        elif not self._affordable(self._level, _ROOM * interval, deadline):
            self._room_since = now
        else:
            self._rise(now, interval, deadline)
        if now - self._since >= _SETTLED:
            self._wait[self._level] = self._patience.first
        return self._in_time(deadline - age)

    def record(self, level: int, seconds: float) -> None:
        """A frame took `seconds` at `level`."""
        self._frames += level == self._level
        self._costs.record(level, seconds)

    def _lowest(self) -> int:
        return max(i for i, usable in enumerate(self._usable) if usable)

    def _next_worse(self, level: int) -> int:
        worse = (i for i in range(level + 1, len(self._usable)) if self._usable[i])
        return next(worse, self._lowest())

    def _affordable(self, level: int, mean: float, peak: float) -> bool:
        cost = self._costs.expected(level)
        return cost is None or (cost.mean <= mean and cost.peak <= peak)

    def _fall(self, now: float, limit: float, deadline: float) -> None:
        if self._level == self._lowest():
            return
        if now - self._since < _SETTLED:
            self._wait[self._level] = min(2 * self._wait[self._level], self._patience.longest)
        level = self._next_worse(self._level)
        while level != self._lowest() and not self._affordable(level, limit, deadline):
            level = self._next_worse(level)
        self._level, self._frames, self._since = level, 0, now

    def _rise(self, now: float, interval: float, deadline: float) -> None:
        """Try the next better level, if there was room for long enough."""
        better = next((i for i in reversed(range(self._level)) if self._usable[i]), None)
        if better is None or self._frames < _TRIAL:
            return
        expected = self._costs.expected(better)
        if expected is None:
            wait = self._wait[better] - self._patience.first  # none before the first failure
        elif self._affordable(better, _ROOM * interval, deadline):
            wait = self._wait[better]
        else:
            doubt = _DOUBT if expected.mean < _HOPELESS * interval else _RESIGNED
            wait = doubt * self._wait[better]
        if now - self._room_since < wait:
            return
        if expected is not None and wait > self._wait[better]:
            self._costs.forget(better)
        self._level, self._frames = better, 0
        self._since = self._room_since = now

    def _in_time(self, left: float) -> int:
        """The level in use, or the best below it that a frame with `left` seconds can take."""
        for level in range(self._level, len(self._usable)):
            cost = self._costs.expected(level)
            if self._usable[level] and (cost is None or cost.mean <= left):
                return level
        return self._lowest()
