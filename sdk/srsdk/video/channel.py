"""A bounded queue between two stages that an error can shut from any thread."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

#: Seconds after which a waiting thread looks up. Python delivers Ctrl-C between bytecodes, and on
#: some platforms a lock without a timeout is not interrupted by it.
_GLANCE = 0.2


class ChannelClosedError(Exception):
    """The other side is gone: nothing more will come, or nothing more is wanted."""


class Channel(Generic[T]):
    """First in, first out, at most `capacity` items at a time.

    (`queue.Queue` cannot be shut down before Python 3.13.)
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._aborted = False
        self.deepest = 0

    def put(self, item: T) -> None:
        """Append, waiting while the channel is full.

        Raises:
            ChannelClosedError: The channel was closed or aborted.
        """
        with self._changed:
            while len(self._items) >= self._capacity and not (self._closed or self._aborted):
                self._changed.wait(_GLANCE)
            if self._closed or self._aborted:
                raise ChannelClosedError
            self._items.append(item)
            self.deepest = max(self.deepest, len(self._items))
            self._changed.notify_all()

    def get(self) -> T:
        """Take the oldest, waiting while there is none.

        Raises:
            ChannelClosedError: The channel is closed and empty, or was aborted.
        """
        with self._changed:
            while not self._items and not (self._closed or self._aborted):
                self._changed.wait(_GLANCE)
            if self._aborted or not self._items:
                raise ChannelClosedError
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """No more puts; what is in the channel can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abort(self) -> None:
        """Wake everybody up with `ChannelClosedError` and drop what is in the channel."""
        with self._changed:
            self._aborted = True
            self._items.clear()
            self._changed.notify_all()
