"""The GPU: memory and streams of its primary context, through srsdk's CUDA module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any, Protocol

from srsdk.cuda.failure import explained
from srsdk.errors import BackendUnavailableError, CudaError
from srsdk.types import Pixels


class Stream(Protocol):
    """A CUDA stream."""

    @property
    def handle(self) -> int:
        """The driver's handle."""
        ...

    def synchronize(self) -> None:
        """Block the calling thread until all of its work is done."""
        ...


class Memory(Protocol):
    """Device memory, freed with this object."""

    @property
    def pointer(self) -> int:
        """Its address."""
        ...


class Pinned(Protocol):
    """Page-locked host memory for asynchronous copies, freed with its last array."""

    @property
    def pixels(self) -> Pixels:
        """The memory, kept alive by the array."""
        ...


class Device(Protocol):
    """Memory, streams and kernels. Call its other methods inside `with device.current(...)`."""

    @property
    def name(self) -> str:
        """As its maker calls it."""
        ...

    @property
    def index(self) -> int:
        """Its number."""
        ...

    @property
    def kernels(self) -> Any:
        """`srsdk._kernels_cuda`, or what takes its place."""
        ...

    def current(self, doing: str) -> AbstractContextManager[None]:
        """Use the device in this thread; failures inside become a `CudaError` that names `doing`.

        May be nested.
        """
        ...

    def stream(self) -> Stream:
        """A new stream, which does not wait for the legacy default stream."""
        ...

    def memory(self, size: int) -> Memory:
        """Allocate `size` bytes of device memory."""
        ...

    def pinned(self, shape: Sequence[int]) -> Pinned:
        """Allocate page-locked host memory for a uint8 array of this shape."""
        ...

    def upload(self, target: Memory, source: Pinned, stream: Stream) -> None:
        """Put a copy to the device on the stream."""
        ...

    def download(self, target: Pixels, pointer: int, stream: Stream) -> None:
        """Put a copy from the device on the stream; blocks unless `target` is page-locked."""
        ...


class CudaDevice:
    """The `Device` of a GPU and its primary context, which torch, CuPy and the CUDA runtime share.

    Raises:
        BackendUnavailableError: The driver, the device or the CUDA kernels are missing.
    """

    def __init__(self, index: int = 0) -> None:
        self.index = index
        self.kernels: Any = _kernels()
        try:
            before = self.kernels.current_device()
            self.kernels.use_device(index)  # makes the context
            self.name = str(self.kernels.device_name(index))
            self.kernels.use_device(before)
        except CudaError as error:
            raise BackendUnavailableError(
                f"CUDA device {index} cannot be used: {error}; see what nvidia-smi says, or use a "
                "CPU backend"
            ) from error

    @contextmanager
    def current(self, doing: str) -> Iterator[None]:
        try:
            before = self.kernels.current_device()
            self.kernels.use_device(self.index)
            try:
                yield
            finally:
                self.kernels.use_device(before)
        except CudaError as error:
            raise explained(error, doing) from error

    def stream(self) -> Stream:
        stream: Stream = self.kernels.Stream()
        return stream

    def memory(self, size: int) -> Memory:
        memory: Memory = self.kernels.Memory(size)
        return memory

    def pinned(self, shape: Sequence[int]) -> Pinned:
        pinned: Pinned = self.kernels.Pinned(tuple(shape))
        return pinned

    def upload(self, target: Memory, source: Pinned, stream: Stream) -> None:
        self.kernels.upload(target.pointer, source.pixels, stream)

    def download(self, target: Pixels, pointer: int, stream: Stream) -> None:
        self.kernels.download(target, pointer, stream)

    def free_memory(self) -> int:
        """Bytes of device memory that are free."""
        with self.current("asking for free memory"):
            return int(self.kernels.memory_info()[0])


@cache
def open_device(index: int = 0) -> CudaDevice:
    """The `CudaDevice` of a GPU; each process has one.

    Raises:
        BackendUnavailableError: The driver, the device or the CUDA kernels are missing.
    """
    return CudaDevice(index)


def _kernels() -> Any:
    from srsdk import _kernels

    if not _kernels.built_with_cuda():
        raise BackendUnavailableError(
            "this srsdk was built without CUDA kernels: install the CUDA toolkit, then "
            "pip install --force-reinstall --no-binary srsdk -C cmake.define.SRSDK_CUDA=ON srsdk"
        )
    try:
        from srsdk import _kernels_cuda
    except ImportError as error:
        raise BackendUnavailableError(
            f"srsdk's CUDA kernels cannot be loaded ({error}): install srsdk again"
        ) from error
    return _kernels_cuda
