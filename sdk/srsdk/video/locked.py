"""A lock on a file that the operating system lets go when its holder dies, however it dies."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class FileLock:
    """Held by at most one process; made by `acquire`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, path: Path) -> FileLock | None:
        """Take the lock of this name, creating the file; None where another process holds it.

        Raises:
            OSError: The file cannot be created.
        """
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                _lock(descriptor)
            except OSError:
                os.close(descriptor)
                return None
            # Its last holder may have deleted the file between our opening and locking it.
            try:
                same = os.path.samestat(os.fstat(descriptor), path.stat())
            except OSError:
                same = False
            if same or sys.platform == "win32":
                return cls(descriptor)
            os.close(descriptor)

    def release(self) -> None:
        """Let go; calling twice is fine."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
