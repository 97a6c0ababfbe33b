"""Pinned host memory for results, and copies by several threads where memory is not pinned."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from srsdk.cpu import usable_cores
from srsdk.cuda.device import Device, Pinned
from srsdk.types import Pixels

_THREADS = 4
"""Threads of a copy: what two memory channels of a host can use."""

_BAND = 1 << 20
"""Bytes that are worth a thread."""


class _Lease:
    """The base of an array in pinned memory; it is freed with the array and its views."""

    def __init__(self, pinned: Pinned) -> None:
        self._pinned = pinned
        self.__array_interface__: dict[str, Any] = dict(pinned.pixels.__array_interface__)


class PinnedResults:
    """Arrays in pinned memory: the GPU writes results there without a copy by the processor.

    Pinning is slow and pinned memory is scarce. So an array's memory is used again once the array
    and all of its views are gone, and beyond `limit` arrays at a time they are ordinary ones.
    """

    def __init__(self, device: Device, limit: int = 8) -> None:
        self._device, self._limit = device, limit
        self._lock = threading.Lock()
        self._shape: tuple[int, ...] = ()
        self._idle: list[Pinned] = []
        self._lent = 0

    def empty(self, shape: Sequence[int]) -> Pixels:
        """An array for a result, pinned where that can be had."""
        shape = tuple(shape)
        with self._lock:
            if self._lent >= self._limit:
                return np.empty(shape, np.uint8)
            if shape != self._shape:
                self._shape = shape
                self._idle.clear()
            pinned = self._idle.pop() if self._idle else None
            self._lent += 1
        try:
            if pinned is None:
                with self._device.current("pinning host memory"):
                    pinned = self._device.pinned(shape)
            lease = _Lease(pinned)
        except BaseException:
            with self._lock:
                self._lent -= 1
            raise
        weakref.finalize(lease, self._give_back, pinned, shape).atexit = False
        return np.asarray(lease)

    def close(self) -> None:
        """Free what nobody uses; arrays that are still in use keep their memory."""
        with self._lock:
            self._shape = ()
            self._idle.clear()

    def _give_back(self, pinned: Pinned, shape: tuple[int, ...]) -> None:
        with self._lock:
            self._lent -= 1
            if shape == self._shape:
                self._idle.append(pinned)


def is_pinned(array: Pixels) -> bool:
    """Whether the GPU can write into an array by itself: contiguous, of `PinnedResults.empty`."""
    base = array.base
    while isinstance(base, np.ndarray):  # of views of views
        base = base.base
    return array.flags.c_contiguous and isinstance(base, _Lease)


def copy(target: Pixels, source: Pixels) -> None:
    """`np.copyto` of batches of images, by several threads where that is worth it."""
    rows = source.shape[1]
    bands = min(_THREADS, usable_cores(), rows, max(1, source.nbytes // _BAND))
    if bands == 1:
        np.copyto(target, source)
        return
    edges = [rows * k // bands for k in range(bands + 1)]
    jobs = [
        _pool().submit(np.copyto, target[:, begin:end], source[:, begin:end])
        for begin, end in pairwise(edges)
    ]
    for job in jobs:
        job.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="srsdk-copy")
