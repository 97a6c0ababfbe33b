"""What all rooms of srsdk speak of: pixels, colour order, sizes, futures and backends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from srsdk.spec import ModelSpec

Pixels = NDArray[np.uint8]
"""An image `(H, W, 3)` or a batch `(N, H, W, 3)` of uint8 values."""

Color = Literal["bgr", "rgb"]
"""Channel order of an image."""

Size = tuple[int, int, int]
"""Batch, height, width."""


class Future(Protocol):
    """A frame or batch that was submitted and may still be in flight."""

    def result(self) -> Pixels:
        """Wait for the pixels; raises what upscaling raised. May be called again."""
        ...


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
