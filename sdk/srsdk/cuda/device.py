"""A GPU as the chain sees it: the primary context, memory and streams, by way of PyCUDA."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any, Protocol

import numpy as np

from srsdk.cuda.failure import explained
from srsdk.errors import BackendUnavailableError, SrsdkError
from srsdk.types import Pixels

_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING

_NO_DRIVER = "see what nvidia-smi says, or use a CPU backend"


class Stream(Protocol):
    """A CUDA stream."""

    @property
    def handle(self) -> int:
        """The driver's handle."""
        ...

    def synchronize(self) -> None:
        """Wait on the host until all of its work is done."""
        ...


class Memory(Protocol):
    """Device memory, freed with this object."""

    @property
    def pointer(self) -> int:
        """Its address."""
        ...


class Pinned(Protocol):
    """Host memory that the device copies from and to by itself, freed with this object."""

    @property
    def pixels(self) -> Pixels:
        """The memory; not to be kept."""
        ...


class Device(Protocol):
    """Memory, streams and kernels; every call but `current` is made inside `current()`."""

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
        """So many bytes of device memory."""
        ...

    def pinned(self, shape: Sequence[int]) -> Pinned:
        """Pinned host memory."""
        ...

    def upload(self, target: Memory, source: Pinned, stream: Stream) -> None:
        """Copy in the stream's turn."""
        ...

    def download(self, target: Pixels, pointer: int, stream: Stream) -> None:
        """Copy in the stream's turn; over on return where `target` is not pinned."""
        ...


class CudaDevice:
    """The `Device` of a GPU and its primary context, which torch, CuPy and the CUDA runtime share.

    Raises:
        BackendUnavailableError: PyCUDA, the driver, the device or the CUDA kernels are missing.
    """

    def __init__(self, index: int = 0) -> None:
        self.index = index
        self.kernels: Any = _kernels()
        self._driver: Any = _driver()
        try:
            self._driver.init()
            device = self._driver.Device(index)
            self.name = str(device.name())
            self._context = device.retain_primary_context()
            # At exit, after all finalizers that came later. PyCUDA's destructor would detach it as
            # if it were not the primary one.
            weakref.finalize(self, self._context.detach)
        except self._driver.Error as error:
            raise BackendUnavailableError(
                f"CUDA device {index} cannot be used: {error}; {_NO_DRIVER}"
            ) from error

    @contextmanager
    def current(self, doing: str) -> Iterator[None]:
        try:
            self._context.push()
            try:
                yield
            finally:
                self._driver.Context.pop()
        except SrsdkError:
            raise
        except self._driver.Error as error:
            raise explained(error, doing) from error

    def stream(self) -> Stream:
        return _CudaStream(self, self._driver.Stream(_NON_BLOCKING))

    def memory(self, size: int) -> Memory:
        return _CudaMemory(self, self._driver.mem_alloc(size))

    def pinned(self, shape: Sequence[int]) -> Pinned:
        return _CudaPinned(self, self._driver.pagelocked_empty(tuple(shape), np.uint8))

    def upload(self, target: Memory, source: Pinned, stream: Stream) -> None:
        assert isinstance(stream, _CudaStream)
        self._driver.memcpy_htod_async(target.pointer, source.pixels, stream.own)

    def download(self, target: Pixels, pointer: int, stream: Stream) -> None:
        assert isinstance(stream, _CudaStream)
        self._driver.memcpy_dtoh_async(target, pointer, stream.own)


class _Owned:
    """One object of PyCUDA, destroyed with the device current, in whichever thread that is.

    PyCUDA's destructors only warn, and leak, in threads other than the one that made the context,
    unless it is current there. So nobody else may keep a reference to the object.
    """

    def __init__(self, device: CudaDevice, own: Any) -> None:
        self._held = [own]
        weakref.finalize(self, _destroy, device, self._held)

    @property
    def own(self) -> Any:
        """PyCUDA's object."""
        return self._held[0]


def _destroy(device: CudaDevice, held: list[Any]) -> None:
    with device.current("freeing memory"):
        held.clear()


class _CudaStream(_Owned):
    @property
    def handle(self) -> int:
        return int(self.own.handle)

    def synchronize(self) -> None:
        self.own.synchronize()


class _CudaMemory(_Owned):
    @property
    def pointer(self) -> int:
        return int(self.own)


class _CudaPinned(_Owned):
    @property
    def pixels(self) -> Pixels:
        pixels: Pixels = self.own
        return pixels


@cache
def open_device(index: int = 0) -> CudaDevice:
    """The one object of this process for a GPU.

    Raises:
        BackendUnavailableError: PyCUDA, the driver, the device or the CUDA kernels are missing.
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


def _driver() -> Any:
    try:
        import pycuda.driver
    except ModuleNotFoundError as error:
        raise BackendUnavailableError(
            f"GPU backends need PyCUDA ({error}): pip install 'srsdk[tensorrt]' or 'srsdk[gpu]'"
        ) from error
    except ImportError as error:  # it is there, and the driver's library is not
        raise BackendUnavailableError(
            f"no NVIDIA driver that PyCUDA could use ({error}): {_NO_DRIVER}"
        ) from error
    return pycuda.driver
