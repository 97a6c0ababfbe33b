"""A place for one thing, where a newer one replaces an older one."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Slot(Generic[T]):
    """Holds the newest item until somebody takes it; for any number of threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False

    def put(self, item: T) -> bool:
        """Leave an item; True if one that nobody took was lost to it. Never waits."""
        with self._changed:
            lost = self._item is not None
            self._item = item
            self._changed.notify()
        return lost

    def take(self, timeout: float | None = None) -> T | None:
        """Take the item out.

        Args:
            timeout: Seconds to wait for one; None: until one comes or the slot is closed.

        Returns:
            The item; None if there was none.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout)
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """Nobody needs to wait any longer; an item that is there can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed
