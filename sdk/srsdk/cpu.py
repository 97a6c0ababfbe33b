"""The processor: how many cores there are for srsdk."""

from __future__ import annotations

import os
import sys


def usable_cores() -> int:
    """CPU cores that this process may use: what a container or taskset leaves it."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
