"""The chain's device on host memory: a stream does its work only when something waits for it.

This says nothing about a real GPU. It runs the logic of `srsdk.cuda` (order of copies and
kernels, reuse of buffers, graphs, futures, freeing) with srsdk's CPU kernels and ONNX Runtime,
each operation as late as CUDA allows, on memory that is filled with garbage before and after its
use.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from srsdk import _kernels
from srsdk.backends import open_backend
from srsdk.cuda.chain import DeviceChain
from srsdk.cuda.failure import explained
from srsdk.errors import CudaError, InputError
from srsdk.spec import ModelSpec
from srsdk.types import Backend, Pixels, Size

Operation = Callable[[], None]

_FRESH, _FREED = 0xCD, 0xEE


def frames(seed: int, *shape: int) -> Pixels:
    """Noise, three channels besides `shape`."""
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def expected(path: Path, batch: Pixels, color: Any = "bgr") -> Pixels:
    """What ONNX Runtime makes of a batch."""
    return _reference(path, color).run(batch)


@cache
def _reference(path: Path, color: Any) -> Backend:
    return open_backend("onnxruntime", path, threads=1, color=color)


class HostStream:
    """Operations in order, done when something waits for them."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.waiting: list[Operation] = []
        self.recording: list[Operation] | None = None
        self._busy = threading.RLock()

    def put(self, operation: Operation) -> None:
        (self.waiting if self.recording is None else self.recording).append(operation)

    def synchronize(self) -> None:
        assert self.recording is None, "CUDA forbids waiting while recording"
        with self._busy:
            while self.waiting:
                self.waiting.pop(0)()


class _Block:
    def __init__(self, device: HostDevice, size: int) -> None:
        self.bytes = np.full(size + 64, _FRESH, np.uint8)
        device.live += 1
        weakref.finalize(self, _free, device, self.bytes)

    @property
    def pointer(self) -> int:
        return int(self.bytes.ctypes.data + 63) // 64 * 64


def _free(device: HostDevice, memory: Pixels) -> None:
    memory[:] = _FREED
    device.live -= 1
    device.kept.append(memory)  # its addresses do not come back, so a late use shows


class _PinnedBlock(_Block):
    def __init__(self, device: HostDevice, shape: Sequence[int]) -> None:
        super().__init__(device, int(np.prod(shape)))
        self._shape = tuple(shape)

    @property
    def pixels(self) -> Pixels:
        return view(Array(self.pointer, self._shape, np.uint8))


class Array:
    """As `srsdk._kernels_cuda.DeviceArray`."""

    def __init__(self, pointer: int, shape: Sequence[int], dtype: Any, strides: Any = None) -> None:
        self.__cuda_array_interface__ = {
            "version": 3, "shape": tuple(shape), "typestr": np.dtype(dtype).str,
            "data": (pointer, False), "strides": strides, "stream": None,
        }  # fmt: skip


def on_device(pixels: Pixels) -> Any:
    """A frame that claims to be in device memory."""
    array = Array(pixels.ctypes.data, pixels.shape, pixels.dtype, pixels.strides)
    array.kept = pixels  # type: ignore[attr-defined]
    return array


def view(array: Any) -> Any:
    interface = array.__cuda_array_interface__
    shape, dtype = interface["shape"], np.dtype(interface["typestr"])
    strides = interface["strides"] or np.empty(shape, dtype).strides
    extent = sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + dtype.itemsize
    memory = (ctypes.c_ubyte * extent).from_address(interface["data"][0])
    return np.ndarray(shape, dtype, memory, 0, strides)


class Graph:
    def __init__(self, operations: list[Operation]) -> None:
        self._operations = operations
        self.launches = 0

    def launch(self, stream: HostStream) -> None:
        self.launches += 1
        for operation in self._operations:
            stream.put(operation)


class HostKernels:
    """Takes the place of `srsdk._kernels_cuda`."""

    DeviceArray = Array

    def __init__(self) -> None:
        self.graphs: list[Graph] = []
        self.streams: dict[int, HostStream] = {}

    def unpack_into(self, dst: Any, frame: Any, *, swap_rb: bool, stream: HostStream) -> None:
        stream.put(lambda: _kernels.unpack_into(view(dst), view(frame), swap_rb=swap_rb))

    def pack_into(self, dst: Any, x: Any, r: int, *, lr: Any, stream: Any, **more: Any) -> None:
        def pack() -> None:
            pixels, tensors, images = view(dst), view(x), None if lr is None else view(lr)
            if pixels.ndim == 3:
                pixels, tensors = pixels[None], tensors[None]
                images = None if images is None else images[None]
            for number, (target, values) in enumerate(zip(pixels, tensors, strict=True)):
                image = None if images is None else images[number]
                _kernels.pack_into(target, values, r, lr=image, **more)

        stream.put(pack)

    def wait_for(self, stream: Any, producer: int) -> None:
        self.streams[producer].synchronize()

    def begin_capture(self, stream: HostStream) -> None:
        assert stream.recording is None
        stream.recording = []

    def end_capture(self, stream: HostStream) -> Graph:
        operations, stream.recording = stream.recording, None
        assert operations is not None
        if None in operations:
            raise CudaError("recording a CUDA graph: operation not permitted")
        self.graphs.append(Graph(operations))
        return self.graphs[-1]

    def to_dlpack(self, owner: Any, pointer: int, shape: Any, dtype: Any, **more: Any) -> Any:
        return owner, pointer, shape, dtype, more


class HostDevice:
    """A `srsdk.cuda.device.Device` of host memory."""

    name, index = "host", 0
    stream_type = HostStream

    def __init__(self) -> None:
        self.kernels = HostKernels()
        self.live = 0
        self.kept: list[Pixels] = []
        self._inside = threading.local()
        self._handles = 100

    @contextmanager
    def current(self, doing: str) -> Iterator[None]:
        self._inside.depth = getattr(self._inside, "depth", 0) + 1
        try:
            yield
        except MemoryError as error:
            raise explained(error, doing) from error
        finally:
            self._inside.depth -= 1

    def _check(self) -> None:
        assert getattr(self._inside, "depth", 0), "no context is current in this thread"

    def stream(self) -> HostStream:
        self._check()
        self._handles += 1
        stream = self.stream_type(self._handles)
        self.kernels.streams[stream.handle] = stream
        return stream

    def memory(self, size: int) -> _Block:
        self._check()
        return _Block(self, size)

    def pinned(self, shape: Sequence[int]) -> _PinnedBlock:
        self._check()
        return _PinnedBlock(self, shape)

    def upload(self, target: _Block, source: _PinnedBlock, stream: HostStream) -> None:
        self._check()
        pixels = source.pixels
        copy = view(Array(target.pointer, pixels.shape, np.uint8))
        stream.put(lambda: np.copyto(copy, pixels))

    def download(self, target: Pixels, pointer: int, stream: HostStream) -> None:
        self._check()
        source = view(Array(pointer, target.shape, np.uint8))
        stream.put(lambda: np.copyto(target, source))


class HostGenerator:
    """A model in ONNX Runtime on the CPU, from address to address."""

    sized = True

    def __init__(self, path: Path, *, capturable: bool = True) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.spec = ModelSpec.from_metadata(metadata)
        self.capturable = capturable
        self.steps = 0
        self.resizes: list[Size] = []
        self.fails: Exception | None = None
        self.spoils_recordings = False

    def check(self, size: Size) -> None:
        if size[0] > 6 or size[1] > 1000:
            raise InputError("too high or too many for any profile")

    def step(self, stream: Any) -> HostStep:
        self.steps += 1
        return HostStep(self, stream)


class HostStep:
    def __init__(self, generator: HostGenerator, stream: HostStream) -> None:
        self.capturable = generator.capturable
        self._generator, self._stream = generator, stream
        self._arrays: tuple[Any, Any] = (None, None)

    def resize(self, size: Size, source: int, target: int, *, fixed: bool) -> None:
        self._generator.resizes.append(size)
        (count, height, width), spec = size, self._generator.spec
        larger = (spec.out_channels, height * spec.graph_scale, width * spec.graph_scale)
        self._arrays = (
            view(Array(source, (count, 3, height, width), np.float32)),
            view(Array(target, (count, *larger), np.float32)),
        )

    def enqueue(self) -> None:
        generator, (source, target) = self._generator, self._arrays
        if generator.fails is not None:
            raise generator.fails
        if generator.spoils_recordings and self._stream.recording is not None:
            self._stream.put(None)  # type: ignore[arg-type]
        name = generator.session.get_inputs()[0].name
        self._stream.put(lambda: np.copyto(target, generator.session.run(None, {name: source})[0]))


def chain(generator: Any, device: HostDevice | None = None, **options: Any) -> DeviceChain:
    settings = {"name": "host", "version": "0", "color": "bgr", "tile": 512, **options}
    return DeviceChain(device or HostDevice(), generator, **settings)


def open(model: Path | str, *, threads: int, color: str) -> DeviceChain:  # noqa: A001
    """The function `open` of a backend module."""
    return chain(HostGenerator(Path(model)), color=color)
