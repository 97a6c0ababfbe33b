"""Types that all of srsdk uses: pixels, colour order, sizes, futures and backends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from srsdk.spec import ModelSpec, Precision

Pixels = NDArray[np.uint8]
"""An image `(H, W, 3)` or a batch `(N, H, W, 3)` of uint8 values."""

Color = Literal["bgr", "rgb"]
"""Channel order of an image."""

ComputePrecision = Literal["auto", "fp32", "int8"]
"""Requested arithmetic; "auto" is the fastest one that the model file proves to be as good."""

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
        version: Version of the library that runs the generator.
        threads: CPU threads that the generator uses; 0 for a GPU.
        spec: The generator's contract.
        tile: Largest side of a frame that should be computed at once by default, which bounds the
            generator's memory.
        precision: Arithmetic that the generator runs in; None: the spec's.
    """

    name: str
    device: str
    version: str
    threads: int
    spec: ModelSpec
    tile: int = 512
    precision: Precision | None = None

    @property
    def arithmetic(self) -> Precision:
        """Arithmetic that the generator runs in."""
        return self.precision or self.spec.precision


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
        """Whether frames of this size should be computed whole, rather than in tiles."""
        ...

    def empty(self, shape: tuple[int, ...]) -> Pixels:
        """Make an array for a result, in memory that the GPU writes by itself if there is any."""
        ...

    def submit(self, batch: Pixels, out: Pixels | None = None) -> Future:
        """Start upscaling a batch; arguments as of `run`, `batch` may be changed on return."""
        ...

    def run_on_device(self, frames: Any, out: Any = None) -> Any:
        """Upscale frames in device memory; the result stays there."""
        ...


@runtime_checkable
class ProfiledBackend(Backend, Protocol):
    """A backend that can measure its parts."""

    def profile(self, batch: Pixels, out: Pixels | None = None) -> dict[str, float]:
        """Run as `run` does; returns the seconds of each part by name, in order."""
        ...
