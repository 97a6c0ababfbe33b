"""CUDA kernels: the `_into` forms of `srsdk._kernels` on device memory, asynchronously.

Only there where `srsdk._kernels.built_with_cuda()`. A module of its own, so that the CUDA runtime
is not loaded by those who stay on the CPU; importing it needs neither a GPU nor a driver.

Arrays are anything with DLPack or `__cuda_array_interface__` (torch, CuPy, PyCUDA), zero copy; raw
pointers come as `DeviceArray`. Strides are free, but the pixels of a frame that is written are
contiguous within a row. `layout` says which axes arrays of floats have: "NCHW" or "NHWC", the first
may be missing.

`stream`: None (the legacy default stream), a handle, or a torch, CuPy, PyCUDA or cuda.core stream.
The call waits, on that stream, for what DLPack or `__cuda_array_interface__` say is still being
written; nothing waits on the host. Arrays must live until the stream has passed the call.

`srsdk.errors.CudaError`: no device or driver, or a launch that failed. TypeError for what is no
device array, ValueError for a wrong shape, dtype, layout or device.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

_Array = Any
_Stream = Any
_Layout = Literal["NCHW", "NHWC"]

def unpack_into(
    dst: _Array,
    frame: _Array,
    *,
    swap_rb: bool = False,
    layout: _Layout = "NCHW",
    scale: float = ...,
    stream: _Stream = None,
) -> None:
    """([N,] H, W, 3) uint8 to 3 channels of float32 or float16, times `scale` (1 / 255)."""

def pixel_shuffle_into(
    dst: _Array, x: _Array, r: int, *, layout: _Layout = "NCHW", stream: _Stream = None
) -> None:
    """C*r*r channels of h x w to C of h*r x w*r, float32 or float16; r is 1, 2, 3, 4 or 8."""

def pixel_shuffle_prelu_into(
    dst: _Array,
    x: _Array,
    r: int,
    bias: _Array | None,
    slope: _Array,
    *,
    layout: _Layout = "NCHW",
    stream: _Stream = None,
) -> None:
    """prelu(pixel_shuffle(x + bias)); bias (C*r*r,), slope (C,) or (1,), both float32."""

def pack_into(
    dst: _Array,
    x: _Array,
    r: int,
    *,
    lr: _Array | None = None,
    base: Literal["none", "nearest", "bilinear"] = "none",
    scale: int | None = None,
    origin: tuple[int, int] = (0, 0),
    swap_rb: bool = False,
    stream: _Stream = None,
) -> None:
    """([N,] 3*r*r, h, w) float to ([N,] h*r, w*r, 3) uint8, as `srsdk._kernels.pack_into`."""

def blend_into(
    dst: _Array,
    patch: _Array,
    top: int,
    left: int,
    weight_y: _Array,
    weight_x: _Array,
    *,
    stream: _Stream = None,
) -> None:
    """`patch` (h, w, 3) over `dst` (H, W, 3), in place; weights uint16, at most 256 (unchecked)."""

def blend_many_into(
    dst: _Array,
    faces: Sequence[tuple[_Array, int, int, _Array, _Array]],
    *,
    stream: _Stream = None,
) -> None:
    """`blend_into` of (patch, top, left, weight_y, weight_x), in order, 32 faces in a launch."""

def wait_for(stream: _Stream, producer: _Stream) -> None:
    """Later work on `stream` waits for what is on `producer` now; the host does not."""

def begin_capture(stream: _Stream) -> None:
    """Record what is put on `stream`, instead of doing it, until `end_capture`."""

def end_capture(stream: _Stream) -> Graph:
    """What was recorded. Also after an error the stream is usable again."""

class Graph:
    """Recorded work: one launch does all of it, on the memory that it was recorded with."""

    def launch(self, stream: _Stream) -> None:
        """Do the work on `stream`."""

def to_dlpack(
    owner: object,
    pointer: int,
    shape: Sequence[int],
    dtype: DTypeLike,
    *,
    device: int,
    versioned: bool,
) -> Any:
    """A DLPack capsule of contiguous device memory, which keeps `owner` alive."""

class DeviceArray:
    """Raw device memory with a shape, for the functions above: owns and frees nothing.

    `strides` are in bytes; None is contiguous.
    """

    def __init__(
        self,
        pointer: int,
        shape: Sequence[int],
        dtype: DTypeLike,
        strides: Sequence[int] | None = None,
    ) -> None: ...
    @property
    def __cuda_array_interface__(self) -> dict[str, Any]: ...

class Network:
    """Convolutions from u8 frames to u8 frames on tensor cores; see kernels/cuda/chain.h.

    Args:
        layers: Weight `(outputs, inputs, k, k)` and bias `(outputs,)` of each, float32. 3 channels,
            then 16, 24, 32 or 48 in all hidden layers, then 3 * shuffle**2; k is 3, of the last
            layer 3 or 1. A ReLU follows each but the last.
        shuffle: The scale: 1, 2, 3, 4 or 8.
        base: The image that the result is added to: "none", "nearest" or "bilinear".
        swap_rb: Frames have the reverse of the model's channel order.

    Raises:
        ValueError: The layers do not fit each other or the kernel.
        CudaError: The GPU is older than compute capability 8.0, or out of memory.
    """

    def __init__(
        self,
        layers: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]],
        *,
        shuffle: int,
        base: str,
        swap_rb: bool,
    ) -> None: ...
    def run_into(self, dst: _Array, frames: _Array, *, scratch: int, stream: _Stream) -> None:
        """`([N,] H, W, 3)` uint8 to `shuffle` times the size.

        `scratch` is the address of `scratch_bytes` bytes, which one call at a time may use.
        """

    def tune_into(
        self, dst: _Array, frames: _Array, *, scratch: int, stream: _Stream
    ) -> list[tuple[str, float]]:
        """As `run_into`, in several ways, the fastest of which stays for frames of this size.

        Waits for the stream. Returns what was tried and its milliseconds, the fastest first; empty
        where that is known already.
        """

    def scratch_bytes(self, count: int, height: int, width: int) -> int:
        """Device memory that a batch of a size needs beside its frames."""

    def describe(self, count: int, height: int, width: int) -> str:
        """How a batch of a size is cut into launches and tiles, one line a launch."""

class Stream:
    """A stream of the current device that does not wait for the legacy default stream."""

    def __init__(self) -> None: ...
    @property
    def handle(self) -> int:
        """The driver's handle."""

    def synchronize(self) -> None:
        """Wait on the host until all of its work is done."""

class Memory:
    """Memory of the current device."""

    def __init__(self, size: int) -> None: ...
    @property
    def pointer(self) -> int:
        """Its address."""

class Pinned:
    """Host memory of so many uint8 that the device copies from and to by itself."""

    def __init__(self, shape: Sequence[int]) -> None: ...
    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The memory, which the array keeps alive."""

def upload(target: int, source: NDArray[np.uint8], stream: _Stream) -> None:
    """Copy a contiguous array to a device address."""

def download(target: NDArray[np.uint8], source: int, stream: _Stream) -> None:
    """Copy from a device address to a contiguous array."""

def memory_info() -> tuple[int, int]:
    """Free bytes and all bytes of the current device."""

def device_name(device: int) -> str:
    """As its maker calls it."""

def current_device() -> int:
    """This thread's device."""

def use_device(device: int) -> None:
    """Make a device this thread's."""
