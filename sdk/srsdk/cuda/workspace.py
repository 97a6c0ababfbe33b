"""Stream, buffers and generator of one batch at a time, and the CUDA graph of a size that stays."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from srsdk.cuda.device import Device, Memory, Stream
from srsdk.errors import CudaError
from srsdk.spec import ModelSpec
from srsdk.types import Pixels, Size

log = logging.getLogger(__name__)

_RUNS_BEFORE_GRAPH = 2
"""Batches of one size in a row that are run as they are; from the next on they are a graph.

Sizes that change from call to call, as crops of faces do, never get that far. The first run of a
size is also where libraries allocate and choose algorithms, which a recording must not contain.
"""


class _Graph(Protocol):
    """`srsdk._kernels_cuda.Graph`."""

    def launch(self, stream: Stream) -> None: ...


class Step(Protocol):
    """A generator on one stream, from tensor to tensor."""

    capturable: bool
    """Whether what `enqueue` puts on the stream can be recorded as a CUDA graph."""

    def resize(self, size: Size, source: int, target: int, *, fixed: bool) -> None:
        """Prepare for batches of a size.

        Args:
            size: Batch, height and width.
            source: Address of the input, `(N, 3, H, W)`.
            target: Address of the output, `(N, out_channels, graph_scale*H, graph_scale*W)`.
            fixed: No other size will be asked for.
        """
        ...

    def enqueue(self) -> None:
        """Put the generator's work on the stream; waits for nothing."""
        ...


class DeviceGenerator(Protocol):
    """A generator that is loaded, and makes as many steps as there are streams."""

    @property
    def spec(self) -> ModelSpec:
        """Its contract; the tensors are float16 unless its precision is "fp32"."""
        ...

    def check(self, size: Size) -> None:
        """Raise `InputError` where it takes no batch of this size."""
        ...

    @property
    def sized(self) -> bool:
        """Whether it was built for certain sizes, so that `check` is all there is to ask."""
        ...

    def step(self, stream: Stream) -> Step:
        """The generator on a stream."""
        ...


class Workspace:
    """Runs one batch at a time; `size` and `bound` are those of `srsdk.cuda.pool.Pooled`.

    Not safe to use from several threads at once: the pool gives it to one of them.
    """

    def __init__(self, device: Device, generator: DeviceGenerator, *, swap: bool) -> None:
        self.size: Size | None = None
        self.bound = False
        self._device, self._generator = device, generator
        self._spec, self._swap = generator.spec, swap
        self._dtype = np.dtype(np.float32 if self._spec.precision == "fp32" else np.float16)
        self._runs = 0
        self._whole: _Graph | None = None  # from upload to download
        self._middle: _Graph | None = None  # the generator alone, for arrays in device memory
        with device.current("preparing the generator"):
            self.stream = device.stream()
            self._step = generator.step(self.stream)
        self._tensors = _Tensors(device)
        self._frames: _Frames | None = None

    def start(self, batch: Pixels) -> None:
        """Put a batch on its way; `batch` may be changed when this returns."""
        size = _size(batch.shape)
        with self._device.current(_doing(size)):
            self._prepare(size)
            if self._frames is None:
                self._frames = _Frames(self._device, size, self._spec.scale)
            np.copyto(self._frames.pinned_lr.pixels, batch)
            self._whole = self._whole or self._record(self._enqueue)
            if self._whole is not None:
                self._whole.launch(self.stream)
            else:
                self._enqueue()
            self._runs += 1

    def finish(self, out: Pixels) -> None:
        """Wait for the batch that was started and write it to `out`."""
        assert self.size is not None
        assert self._frames is not None
        with self._device.current(_doing(self.size)):
            self.stream.synchronize()
        np.copyto(out, self._frames.pinned_sr.pixels)

    def run_on_device(self, frames: Any, out: Any, size: Size, *, batched: bool) -> None:
        """Upscale arrays in device memory; on the stream, so it may still be going on afterwards.

        Args:
            frames: `(H, W, 3)` or `(N, H, W, 3)` uint8.
            out: The same, `scale` times as high and wide.
            size: Batch, height and width of `frames`.
            batched: They have the axis N.
        """
        with self._device.current(_doing(size)):
            self._prepare(size)
            self._middle = self._middle or self._record(self._step.enqueue)
            self._unpack(frames, batched)
            if self._middle is not None:
                self._middle.launch(self.stream)
            else:
                self._step.enqueue()
            self._pack(out, frames, batched)
            self._runs += 1

    def _prepare(self, size: Size) -> None:
        if size == self.size:
            return
        assert not self.bound
        self.stream.synchronize()  # before buffers go
        self.size, self._runs, self._frames = None, 0, None
        source, target = self._shapes(size)
        self._tensors.fit(source, target, self._dtype)
        self._step.resize(size, self._tensors.source, self._tensors.target, fixed=False)
        self.size = size

    def _shapes(self, size: Size) -> tuple[tuple[int, ...], tuple[int, ...]]:
        count, height, width = size
        scale = self._spec.graph_scale
        return (
            (count, 3, height, width),
            (count, self._spec.out_channels, scale * height, scale * width),
        )

    def _record(self, work: Callable[[], None]) -> _Graph | None:
        """What `work` puts on the stream, as a graph; None before its time or if it cannot be."""
        if self._runs < _RUNS_BEFORE_GRAPH or not self._step.capturable:
            return None
        assert self.size is not None
        kernels, stream = self._device.kernels, self.stream
        if not self.bound:
            self._step.resize(self.size, self._tensors.source, self._tensors.target, fixed=True)
        if not self._step.capturable:
            return None
        work()  # whatever the step does only once
        stream.synchronize()
        kernels.begin_capture(stream)
        try:
            try:
                work()
            finally:
                graph: _Graph = kernels.end_capture(stream)
        except CudaError as error:
            log.warning("%s: no CUDA graph, its parts run one by one (%s)", self._spec.name, error)
            self._step.capturable = False
            return None
        self.bound = True
        return graph

    def _enqueue(self) -> None:
        frames = self._frames
        assert frames is not None
        self._device.upload(frames.lr, frames.pinned_lr, self.stream)
        self._unpack(frames.lr_array, batched=True)
        self._step.enqueue()
        self._pack(frames.sr_array, frames.lr_array, batched=True)
        self._device.download(frames.pinned_sr.pixels, frames.sr.pointer, self.stream)

    def _unpack(self, frames: Any, batched: bool) -> None:
        assert self.size is not None
        source, _ = self._shapes(self.size)
        tensor = self._array(self._tensors.source, source[not batched :])
        self._device.kernels.unpack_into(tensor, frames, swap=self._swap, stream=self.stream)

    def _pack(self, out: Any, frames: Any, batched: bool) -> None:
        assert self.size is not None
        _, target = self._shapes(self.size)
        tensor = self._array(self._tensors.target, target[not batched :])
        spec = self._spec
        self._device.kernels.pack_into(
            out,
            tensor,
            spec.shuffle,
            lr=None if spec.base == "none" else frames,
            base=spec.base,
            scale=spec.scale,
            swap=self._swap,
            stream=self.stream,
        )

    def _array(self, pointer: int, shape: tuple[int, ...]) -> Any:
        return self._device.kernels.DeviceArray(pointer, shape, self._dtype)


class _Tensors:
    """The generator's input and output; their memory only ever grows."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._held: list[Memory] = []
        self._room = (0, 0)
        self.source = self.target = 0

    def fit(self, source: tuple[int, ...], target: tuple[int, ...], dtype: Any) -> None:
        """Make room for arrays of these shapes."""
        needed = tuple(math.prod(shape) * dtype.itemsize for shape in (source, target))
        if needed[0] <= self._room[0] and needed[1] <= self._room[1]:
            return
        self._room = (0, 0)
        self._held.clear()  # before there is more
        self._held = [self._device.memory(size) for size in needed]
        self.source, self.target = (memory.pointer for memory in self._held)
        self._room = (needed[0], needed[1])


class _Frames:
    """Pixels before and after, in pinned and in device memory."""

    def __init__(self, device: Device, size: Size, scale: int) -> None:
        count, height, width = size
        shape = (count, height, width, 3)
        larger = (count, scale * height, scale * width, 3)
        self.pinned_lr, self.pinned_sr = device.pinned(shape), device.pinned(larger)
        self.lr, self.sr = device.memory(math.prod(shape)), device.memory(math.prod(larger))
        array = device.kernels.DeviceArray
        self.lr_array = array(self.lr.pointer, shape, np.uint8)
        self.sr_array = array(self.sr.pointer, larger, np.uint8)


def _size(shape: tuple[int, ...]) -> Size:
    return shape[0], shape[1], shape[2]


def _doing(size: Size) -> str:
    count, height, width = size
    return f"upscaling {count}*{width}x{height}"
