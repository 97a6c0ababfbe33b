"""Workspaces of a backend on the host: buffers of one size, used by one thread at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from srsdk.errors import ClosedError
from srsdk.types import Size

_KEPT_SIZES = 4
"""Sizes whose idle workspaces are kept; the least recently used go first."""

Item = TypeVar("Item")


class WorkspacePool(Generic[Item]):
    """As many workspaces of a size as threads use it at once; idle ones are used again.

    Args:
        make: Makes a workspace for a batch of some size.
    """

    def __init__(self, make: Callable[[Size], Item]) -> None:
        self._make: Callable[[Size], Item] | None = make
        self._idle: OrderedDict[Size, list[Item]] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def workspace(self, size: Size) -> Iterator[Item]:
        """A workspace for the body of a `with`; one whose body raises is not used again.

        Raises:
            ClosedError: The pool is closed.
        """
        with self._lock:
            make = self._make
            if make is None:
                raise ClosedError
            idle = self._idle.get(size)
            item = idle.pop() if idle else None
        if item is None:
            item = make(size)
        yield item
        with self._lock:
            if self._make is None:
                return
            self._idle.setdefault(size, []).append(item)
            self._idle.move_to_end(size)
            while len(self._idle) > _KEPT_SIZES:
                self._idle.popitem(last=False)

    def close(self) -> None:
        """Forget the idle workspaces; one in use stays usable until its thread is done with it."""
        with self._lock:
            self._make = None
            self._idle.clear()
