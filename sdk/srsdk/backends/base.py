"""The `Backend` protocol: u8 pixels in, u8 pixels out."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from srsdk.spec import ModelSpec
from srsdk.types import Future, Pixels


@dataclass(frozen=True)
class BackendInfo:
    """What a backend is and runs on.

    Attributes:
        name: Name in the registry, for instance "onnxruntime".
        device: "cpu", or the device's own name.
        version: Version of the library that does the work.
        threads: CPU threads that the generator uses; 0 where that has no meaning.
        spec: The generator's contract.
        tile: Largest side of a frame that should go through at once unless the caller says
            otherwise: bounds the generator's memory.
    """

    name: str
    device: str
    version: str
    threads: int
    spec: ModelSpec
    tile: int = 512


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


@runtime_checkable
class DeviceBackend(Backend, Protocol):
    """A backend on a GPU, which takes a batch while others are in flight."""

    def takes(self, height: int, width: int) -> bool:
        """Whether frames of a size should go through whole, rather than in tiles."""
        ...

    def submit(self, batch: Pixels, out: Pixels | None = None) -> Future:
        """Start upscaling a batch, as `run`; `batch` may be changed when this returns."""
        ...

    def run_on_device(self, frames: Any, out: Any = None) -> Any:
        """Upscale frames in device memory into device memory."""
        ...


@runtime_checkable
class ProfiledBackend(Backend, Protocol):
    """A backend that can say where its time goes; not all can."""

    def profile(self, batch: Pixels, out: Pixels | None = None) -> dict[str, float]:
        """As `Backend.run`, for the seconds of its parts by name, in the order of the work."""
        ...


def usable_cores() -> int:
    """CPU cores that this process may use: what a container or taskset leaves it."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
