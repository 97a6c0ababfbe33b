"""A bounded pool of workspaces, which finds the best one for a batch's size."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from srsdk.errors import ClosedError
from srsdk.types import Size


class Pooled(Protocol):
    """What the pool holds.

    Attributes:
        size: Batch, height and width that it was last used for; None: not used yet.
        bound: Whether a CUDA graph ties it to its size.
    """

    size: Size | None
    bound: bool


Item = TypeVar("Item", bound=Pooled)


class Pool(Generic[Item]):
    """At most `limit` workspaces, each with one user at a time.

    A batch gets the first of these that exists: an idle workspace bound to its size, an idle one
    whose last batch had its size, an idle one that is not bound, a new one. At the limit, the least
    recently used idle workspace is dropped for the new one. So one size gets as many bound
    workspaces as it has users at a time, and sizes that change from call to call share the others.

    Args:
        make: Makes a workspace; called without the pool's lock.
        limit: How many there may be.
    """

    def __init__(self, make: Callable[[], Item], limit: int) -> None:
        if limit < 1:
            raise ValueError(f"limit is {limit}")
        self._make: Callable[[], Item] | None = make
        self._limit = limit
        self._idle: list[Item] = []  # the one used last is at the end
        self._count = 0
        self._changed = threading.Condition()

    def take(self, size: Size) -> Item | None:
        """Take a workspace for a batch of this size; None when all are in use.

        Raises:
            ClosedError: The pool is closed.
        """
        with self._changed:
            make = self._make
            if make is None:
                raise ClosedError
            found = self._find(size)
            if found is not None:
                return found
            if self._count >= self._limit:
                if not self._idle:
                    return None
                self._idle.pop(0)  # all idle ones are bound to other sizes
                self._count -= 1
            self._count += 1
        try:
            return make()
        except BaseException:
            self.drop()
            raise

    def give_back(self, item: Item) -> None:
        """Return a workspace that was taken."""
        with self._changed:
            if self._make is None:
                self._count -= 1
            else:
                self._idle.append(item)
            self._changed.notify_all()

    def drop(self) -> None:
        """Give up a workspace that was taken and is broken."""
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def wait(self) -> None:
        """Wait until a workspace may have been returned."""
        with self._changed:
            if not self._idle and self._count >= self._limit:
                self._changed.wait(1.0)

    def close(self) -> None:
        """Drop the idle workspaces; those in use are dropped when they are returned."""
        with self._changed:
            self._make = None
            self._count -= len(self._idle)
            self._idle.clear()
            self._changed.notify_all()

    def _find(self, size: Size) -> Item | None:
        """Take the best idle workspace that fits."""
        best, rank = None, 0
        for item in self._idle:
            fits = (3 if item.bound else 2) if item.size == size else 0 if item.bound else 1
            if fits > rank:  # of equals the least recently used
                best, rank = item, fits
        self._idle = [item for item in self._idle if item is not best]
        return best
