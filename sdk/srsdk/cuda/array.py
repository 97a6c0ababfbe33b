"""Arrays in device memory: inputs of the caller, and results for the caller."""

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

    Zero-copy for torch.from_dlpack, cupy.asarray, numba and others; consumers are ordered after
    srsdk's work on the stream. The memory is freed when neither this object nor an array made from
    it is left. `numpy()` copies to the host.

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
        self._source = source  # kept alive: the stream may not have read it yet
        weakref.finalize(self, _synchronize, device, stream)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Version 3 of the interface; consumers wait for its `stream`."""
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
            stream: The consumer's stream, which will wait for the result; None is the legacy
                default stream, -1 does not wait.
            max_version: Newest DLPack version that the consumer understands.
            dl_device: The device that the consumer wants; must be the array's own.
            copy: Must not be True.

        Raises:
            BufferError: A copy, or another device, was asked for.
        """
        if copy or dl_device not in (None, self.__dlpack_device__()):
            raise BufferError("srsdk's device arrays are shared in place: no copies")
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
        """Wait for the result and copy it to the host."""
        host = np.empty(self.shape, np.uint8)
        with self._device.current("downloading an array"):
            self._device.download(host, self._memory.pointer, self._stream)
            self._stream.synchronize()
        return host

    def synchronize(self) -> None:
        """Block the calling thread until the result is there."""
        with self._device.current("waiting for an array"):
            self._stream.synchronize()

    def __repr__(self) -> str:
        shape = ", ".join(map(str, self.shape))
        return f"DeviceArray(({shape}) uint8 on {self._device.name})"


def _synchronize(device: Device, stream: Stream) -> None:
    """Wait for the stream, which may still use memory that is about to be freed."""
    with device.current("waiting for an array"):
        stream.synchronize()


def is_device_array(value: Any) -> bool:
    """Whether `value` is in device memory, by its DLPack or `__cuda_array_interface__`."""
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
        value: An array for which `is_device_array` is true.
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
