"""The `Backend` protocol: u8 pixels in, u8 pixels out."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from srsdk.spec import ModelSpec

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class BackendInfo:
    """What a backend is and runs on.

    Attributes:
        name: Name in the registry, for instance "onnxruntime".
        device: "cpu", or the device's own name.
        version: Version of the library that does the work.
        threads: CPU threads that the generator uses; 0 where that has no meaning.
        spec: The generator's contract.
    """

    name: str
    device: str
    version: str
    threads: int
    spec: ModelSpec


class Backend(Protocol):
    """Runs one generator. Safe to call from several threads at once."""

    @property
    def info(self) -> BackendInfo:
        """What this backend is and runs on."""
        ...

    def run(self, batch: Pixels, out: Pixels | None = None) -> Pixels:
        """Upscale a batch of frames or crops of one size.

        Args:
            batch: `(N, H, W, 3)` uint8 in the frame's colour order; rows may be strided, never
                modified.
            out: `(N, scale*H, scale*W, 3)` uint8 to write into, rows may be strided; None
                allocates.

        Returns:
            `out`, or the new array.
        """
        ...

    def close(self) -> None:
        """Free what the backend holds; calling twice is fine."""
        ...


def usable_cores() -> int:
    """CPU cores that this process may use: what a container or taskset leaves it."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
