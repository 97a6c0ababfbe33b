"""Arrays in device memory: those that callers hand in, and those that they get."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from srsdk.errors import InputError
from srsdk.types import Pixels

if TYPE_CHECKING:
    from srsdk.cuda.device import Device, Memory, Stream

_CUDA, _CUDA_MANAGED = 2, 13  # DLDeviceType
_LEGACY, _NO_WAIT = 1, -1  # streams as DLPack numbers them


class DeviceArray:
    """A result in device memory, `(H, W, 3)` or `(N, H, W, 3)` uint8, contiguous.

    torch.from_dlpack, cupy.asarray, numba and others take it as it is, without a copy, and in turn:
    what they do with it comes after srsdk's own work on it. The memory is freed when neither this
    object nor an array made from it is left. `numpy()` copies to the host.

    Attributes:
        shape: Its shape.
        dtype: uint8.
    """

    def __init__(
        self,
        device: Device,
        memory: Memory,
        shape: tuple[int, ...],
        stream: Stream,
        source: Any,
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(np.uint8)
        self._device, self._memory, self._stream = device, memory, stream
        self._source = source  # which the stream may not have read yet
        weakref.finalize(self, _settle, device, stream)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Version 3, with the stream that a consumer has to wait for."""
        return {
            "version": 3,
            "shape": self.shape,
            "typestr": "|u1",
            "data": (self._memory.pointer, False),
            "strides": None,
            "stream": self._stream.handle,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        """CUDA memory and the number of the GPU."""
        return _CUDA, self._device.index

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A DLPack capsule.

        Args:
            stream: The consumer's stream, which is made to wait; None is the legacy default one, -1
                waits for nothing.
            max_version: Newest DLPack that the consumer knows.
            dl_device: Where the consumer wants it; only where it is.
            copy: True is refused.

        Raises:
            BufferError: A copy, or another device, was asked for.
        """
        if copy or dl_device not in (None, self.__dlpack_device__()):
            raise BufferError("srsdk's device arrays are handed out as they are: no copies")
        kernels = self._device.kernels
        if stream != _NO_WAIT:
            with self._device.current("handing an array over"):
                kernels.wait_for(_LEGACY if stream is None else stream, self._stream.handle)
        versioned = max_version is not None and max_version >= (1, 0)
        return kernels.to_dlpack(
            self,
            self._memory.pointer,
            self.shape,
            "u1",
            device=self._device.index,
            versioned=versioned,
        )

    def numpy(self) -> Pixels:
        """A copy on the host; waits for the result."""
        host = np.empty(self.shape, np.uint8)
        with self._device.current("downloading an array"):
            self._device.download(host, self._memory.pointer, self._stream)
            self._stream.synchronize()
        return host

    def synchronize(self) -> None:
        """Wait on the host until the result is there."""
        with self._device.current("waiting for an array"):
            self._stream.synchronize()

    def __repr__(self) -> str:
        shape = ", ".join(map(str, self.shape))
        return f"DeviceArray(({shape}) uint8 on {self._device.name})"


def _settle(device: Device, stream: Stream) -> None:
    """Before memory that the stream may be using is freed."""
    with device.current("waiting for an array"):
        stream.synchronize()


def is_device_array(value: Any) -> bool:
    """Whether `value` is in device memory and says so by DLPack or `__cuda_array_interface__`."""
    if isinstance(value, np.ndarray):
        return False
    if hasattr(value, "__cuda_array_interface__"):
        return True
    if not (hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__")):
        return False
    return int(value.__dlpack_device__()[0]) in (_CUDA, _CUDA_MANAGED)


def check_frames(value: Any, name: str, device: int) -> tuple[int, ...]:
    """The shape of frames in device memory.

    Args:
        value: What `is_device_array` is true of.
        name: What to call it in an error.
        device: Number of the GPU that it must be on.

    Raises:
        InputError: It is not uint8 `(H, W, 3)` or `(N, H, W, 3)`, is empty, or on another GPU.
    """
    if hasattr(value, "__cuda_array_interface__"):
        interface = value.__cuda_array_interface__
        shape, dtype = tuple(interface["shape"]), np.dtype(interface["typestr"]).name
    else:
        shape, dtype = tuple(value.shape), str(value.dtype).rpartition(".")[2]
    if dtype != "uint8":
        raise InputError(f"{name} has {dtype} values in device memory, expected uint8 pixels")
    if len(shape) not in (3, 4) or shape[-1] != 3:
        raise InputError(
            f"{name} in device memory must be of shape (H, W, 3) or (N, H, W, 3), got {shape}"
        )
    if 0 in shape:
        raise InputError(f"{name} is empty: its shape is {shape}")
    if hasattr(value, "__dlpack_device__"):
        where = int(value.__dlpack_device__()[1])
        if where != device:
            raise InputError(
                f"{name} is on CUDA device {where}, this Upscaler runs on device {device}"
            )
    return tuple(int(length) for length in shape)
