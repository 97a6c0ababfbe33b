"""A bounded queue between two stages that an error in any thread can abort."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

#: Seconds after which a waiting thread looks up. Python delivers Ctrl-C between bytecodes, and on
#: some platforms a lock without a timeout is not interrupted by it.
_GLANCE = 0.2


class ChannelAbortedError(Exception):
    """Another stage failed: nothing more will come, and nothing more is wanted."""


class Channel(Generic[T]):
    """First in, first out, at most `capacity` items at a time.

    (`queue.Queue` cannot be shut down before Python 3.13.)
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._aborted = False

    def put(self, item: T) -> None:
        """Append, waiting while the channel is full.

        Raises:
            ChannelAbortedError: The channel was aborted.
        """
        with self._changed:
            while len(self._items) >= self._capacity and not self._aborted:
                self._changed.wait(_GLANCE)
            if self._aborted:
                raise ChannelAbortedError
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> T:
        """Take the oldest, waiting while there is none.

        Raises:
            ChannelAbortedError: The channel was aborted.
        """
        with self._changed:
            while not self._items and not self._aborted:
                self._changed.wait(_GLANCE)
            if self._aborted:
                raise ChannelAbortedError
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def abort(self) -> None:
        """Wake everybody up with `ChannelAbortedError` and drop what is in the channel."""
        with self._changed:
            self._aborted = True
            self._items.clear()
            self._changed.notify_all()
