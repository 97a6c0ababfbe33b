"""A GPU through torch: streams, memory and CUDA graphs for `srsdk.cuda`, without srsdk's kernels.

Importing it needs torch.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from srsdk.cuda.device import Memory, Pinned, Stream
from srsdk.cuda.failure import explained
from srsdk.errors import CudaError, InputError, SrsdkError
from srsdk.types import Pixels

_capturing = threading.Lock()  # torch captures only one CUDA graph at a time in a process

_LEGACY = 1  # the default stream, as DLPack numbers it


class TorchStream(Stream):
    """One of torch's streams; they do not wait for the default stream."""

    def __init__(self, index: int) -> None:
        self.stream: Any = torch.cuda.Stream(index)  # type: ignore[no-untyped-call]
        self._capture: tuple[ExitStack, Any] | None = None

    @property
    def handle(self) -> int:
        return int(self.stream.cuda_stream)

    def synchronize(self) -> None:
        self.stream.synchronize()

    def run(self, work: Callable[[], None]) -> None:
        """Call `work` with this stream as torch's current one, so that its kernels go there."""
        with torch.cuda.stream(self.stream):
            work()

    def keep(self, tensors: Sequence[Tensor]) -> None:
        """Tell torch that the stream uses these tensors: their memory is reused after its work."""
        for tensor in tensors:
            tensor.record_stream(self.stream)

    def begin_capture(self) -> None:
        """Record the work that follows instead of doing it."""
        graph: Any = torch.cuda.CUDAGraph()
        with ExitStack() as stack:
            stack.enter_context(_capturing)
            # Restores the current stream, which torch leaves changed where a capture fails.
            stack.enter_context(torch.cuda.stream(torch.cuda.current_stream()))
            # thread_local lets other threads allocate and replay during the capture.
            stack.enter_context(
                torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local")
            )
            self._capture = stack.pop_all(), graph

    def end_capture(self) -> TorchReplay:
        """The graph of what was recorded.

        Raises:
            CudaError: Something in it cannot be recorded.
        """
        assert self._capture is not None
        (stack, graph), self._capture = self._capture, None
        try:
            stack.close()
        except RuntimeError as error:
            raise CudaError(f"recording a CUDA graph: {str(error).splitlines()[0]}") from error
        return TorchReplay(graph)


class TorchReplay:
    """A recorded CUDA graph."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph

    def launch(self, stream: TorchStream) -> None:
        """Put the recorded work on a stream."""
        stream.run(self._graph.replay)


class TorchArray:
    """A uint8 array in memory of `TorchDevice.memory`."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


class TorchMemory(Memory):
    """Device memory that torch manages."""

    def __init__(self, tensor: Tensor, streams: dict[int, TorchStream]) -> None:
        self.tensor = tensor
        weakref.finalize(self, _release, tensor, streams).atexit = False

    @property
    def pointer(self) -> int:
        return self.tensor.data_ptr()


class TorchPinned(Pinned):
    """Page-locked memory that torch manages."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.tensor = torch.empty(tuple(shape), dtype=torch.uint8, pin_memory=True)

    @property
    def pixels(self) -> Pixels:
        pixels: Pixels = self.tensor.numpy()
        return pixels


def _release(tensor: Tensor, streams: dict[int, TorchStream]) -> None:
    for stream in list(streams.values()):
        stream.keep([tensor])


class TorchOperations:
    """What the chain asks of `srsdk._kernels_cuda` where a generator reads and writes frames."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._memories: weakref.WeakValueDictionary[int, TorchMemory] = (
            weakref.WeakValueDictionary()
        )

    def know(self, memory: TorchMemory) -> None:
        """Register a memory, so that `DeviceArray` finds it by its pointer."""
        self._memories[memory.pointer] = memory

    def DeviceArray(self, pointer: int, shape: Sequence[int], dtype: Any) -> TorchArray:  # noqa: N802
        """An array at the beginning of a memory of the device's; `dtype` is uint8."""
        assert np.dtype(dtype) == np.uint8
        tensor = self._memories[pointer].tensor
        return TorchArray(tensor[: math.prod(shape)].view(tuple(shape)))

    def begin_capture(self, stream: TorchStream) -> None:
        """Record what is put on the stream, instead of doing it, until `end_capture`."""
        stream.begin_capture()

    def end_capture(self, stream: TorchStream) -> TorchReplay:
        """What was recorded."""
        return stream.end_capture()

    def wait_for(self, stream: int, producer: int) -> None:
        """Have one stream wait for the work on another, both by handle."""
        self._external(stream).wait_stream(self._external(producer))

    def to_dlpack(self, owner: Any, pointer: int, shape: Sequence[int], *_: Any, **__: Any) -> Any:
        """A DLPack capsule, which keeps the memory."""
        return self.DeviceArray(pointer, shape, np.uint8).tensor.__dlpack__(stream=-1)  # no waiting

    def _external(self, handle: int) -> Any:
        if handle == _LEGACY:
            return torch.cuda.default_stream(self._index)
        return torch.cuda.ExternalStream(handle, device=self._index)  # type: ignore[no-untyped-call]


class TorchDevice:
    """The `Device` of a GPU that torch sees.

    Args:
        index: Number of the GPU.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.name = torch.cuda.get_device_name(index)
        self.kernels: Any = TorchOperations(index)
        self._streams: dict[int, TorchStream] = {}  # torch has 32, and gives them again and again
        # torch hands out freed memory in the order of the stream that it was allocated on. Nothing
        # runs on this one, so memory of it can be used on any other at once.
        self._home = TorchStream(index)

    @contextmanager
    def current(self, doing: str) -> Iterator[None]:
        try:
            with torch.cuda.device(self.index):
                yield
        except SrsdkError as error:
            if isinstance(error, CudaError):
                raise explained(error, doing) from error
            raise
        except RuntimeError as error:  # torch's errors have no other common base
            raise explained(error, doing) from error

    def stream(self) -> TorchStream:
        stream = TorchStream(self.index)
        self._streams[stream.handle] = stream
        return stream

    def memory(self, size: int) -> TorchMemory:
        with torch.cuda.stream(self._home.stream):
            tensor = torch.empty(size, dtype=torch.uint8, device=f"cuda:{self.index}")
        memory = TorchMemory(tensor, self._streams)
        self.kernels.know(memory)
        return memory

    def pinned(self, shape: Sequence[int]) -> TorchPinned:
        return TorchPinned(shape)

    def upload(self, target: Any, source: Any, stream: Any) -> None:
        pixels = source.tensor.view(-1)
        stream.run(lambda: target.tensor[: len(pixels)].copy_(pixels, non_blocking=True))

    def download(self, target: Pixels, pointer: int, stream: Any) -> None:
        source = self.kernels.DeviceArray(pointer, target.shape, target.dtype).tensor
        stream.run(lambda: torch.from_numpy(target).copy_(source, non_blocking=True))

    def tensor(self, array: Any, stream: TorchStream) -> Tensor:
        """An array in device memory as a tensor; the stream waits for what is still written to it.

        Raises:
            InputError: torch does not take the array.
        """
        if isinstance(array, TorchArray):
            return array.tensor
        stream.stream.wait_stream(torch.cuda.current_stream())
        try:
            if hasattr(array, "__dlpack__"):
                with torch.cuda.stream(stream.stream):  # the producer has this stream wait
                    tensor: Tensor = torch.from_dlpack(array)  # type: ignore[attr-defined]
                    return tensor
            producer = array.__cuda_array_interface__.get("stream")
            if producer is not None:
                self.kernels.wait_for(stream.handle, producer)
            return torch.as_tensor(array, device=f"cuda:{self.index}")
        except (RuntimeError, ValueError, TypeError, BufferError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"torch does not take this array in device memory: {reason}"
            ) from error
