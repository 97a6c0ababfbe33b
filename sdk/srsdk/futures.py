"""Futures of frames, and how many of them are in flight at a time."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from srsdk.types import Pixels

Item = TypeVar("Item")


@dataclass(frozen=True)
class FinishedFuture:
    """The future of a batch that is finished."""

    pixels: Pixels

    def result(self) -> Pixels:
        """The pixels, at once."""
        return self.pixels


class DeferredFuture(ABC):
    """A future whose last step, `_finish`, runs once, in the thread that waits first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waited = False
        self._pixels: Pixels | None = None
        self._error: BaseException | None = None

    @abstractmethod
    def _finish(self) -> Pixels:
        """Wait for the work and return its pixels; an exception becomes that of `result`."""

    def wait(self) -> None:
        """Finish without raising the work's own error, which `result` does.

        Raises:
            KeyboardInterrupt: Ctrl-C while it waited; `result` raises it again, since the pixels
                may be incomplete.
        """
        with self._lock:
            if self._waited:
                return
            self._waited = True
            try:
                self._pixels = self._finish()
            except BaseException as error:
                self._error = error
                if not isinstance(error, Exception):
                    raise

    def result(self) -> Pixels:
        """Wait for the pixels; raises what the work raised. May be called again."""
        self.wait()
        if self._error is not None:
            raise self._error
        assert self._pixels is not None
        return self._pixels


def in_flight(started: Iterable[Item], count: int) -> Iterator[Item]:
    """Yield items in their order, each only when `count` of them have been drawn.

    Drawing an item starts its work, so up to `count` works overlap.

    Args:
        started: Starts the work of an item when it is drawn.
        count: Items in flight at a time, at least 1.
    """
    waiting: deque[Item] = deque()
    for item in started:
        waiting.append(item)
        if len(waiting) >= count:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()
