"""Stream, buffers and generator of one batch at a time, and its CUDA graphs."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from srsdk.cuda.device import Device, Memory, Pinned, Stream
from srsdk.cuda.pinned import copy, is_pinned
from srsdk.errors import CudaError
from srsdk.spec import ModelSpec
from srsdk.types import Pixels, Size

log = logging.getLogger(__name__)

_RUNS_BEFORE_GRAPH = 2
"""Batches of one size in a row that run step by step; the next one is recorded as a CUDA graph.

Sizes that change from call to call, as crops of faces do, are never recorded. In the first run of a
size, libraries allocate memory and choose algorithms, which a recording must not contain.
"""


class _Graph(Protocol):
    """`srsdk._kernels_cuda.Graph`."""

    def launch(self, stream: Stream) -> None: ...


class Step(Protocol):
    """A generator on one stream, from tensor to tensor."""

    capturable: bool
    """Whether the work of `enqueue` can be recorded as a CUDA graph."""

    def resize(self, size: Size, source: int, target: int, *, fixed: bool) -> None:
        """Prepare for batches of a size.

        Args:
            size: Batch, height and width.
            source: Address of the input, `(N, 3, H, W)`.
            target: Address of the output, `(N, out_channels, graph_scale*H, graph_scale*W)`.
            fixed: Whether no other size follows.
        """
        ...

    def enqueue(self) -> None:
        """Put the generator's work on the stream; does not wait for it."""
        ...


class LoadedGenerator(Protocol):
    """A generator on the GPU."""

    @property
    def spec(self) -> ModelSpec:
        """Its contract."""
        ...

    def check(self, size: Size) -> None:
        """Raise `InputError` unless it takes batches of this size."""
        ...

    @property
    def sized(self) -> bool:
        """Whether it was built for certain sizes, as an engine is; then `check` alone decides."""
        ...


class DeviceGenerator(LoadedGenerator, Protocol):
    """One that makes a `Step` for each stream; float16 tensors unless its precision is "fp32"."""

    def step(self, stream: Stream) -> Step:
        """The generator on a stream."""
        ...


class FrameStep(Protocol):
    """A generator on one stream, from frames to frames in device memory."""

    capturable: bool
    """Whether the work of `enqueue` can be recorded as a CUDA graph."""

    @property
    def inner(self) -> Callable[[], None] | None:
        """The work between reading and writing the frames, if a CUDA graph may replace it."""
        ...

    def resize(self, size: Size, *, fixed: bool) -> None:
        """Prepare for batches of a size; if `fixed`, no other size follows."""
        ...

    def enqueue(
        self, out: Any, frames: Any, *, batched: bool, inner: Callable[[], None] | None = None
    ) -> None:
        """Put all of the work on the stream; does not wait for it.

        Args:
            out: `(N, scale*H, scale*W, 3)` uint8 in device memory.
            frames: `(N, H, W, 3)` uint8 in device memory.
            batched: Whether `out` and `frames` have the axis N.
            inner: Runs in place of `self.inner`.
        """
        ...


@runtime_checkable
class FrameGenerator(LoadedGenerator, Protocol):
    """One that reads and writes frames, so that it needs neither `unpack` nor `pack`."""

    def frame_step(self, stream: Stream) -> FrameStep:
        """The generator on a stream."""
        ...


class Workspace:
    """Runs one batch at a time; `size` and `bound` are those of `srsdk.cuda.pool.Pooled`.

    Not safe to use from several threads at once: the pool gives it to one of them.

    Args:
        device: The GPU.
        generator: Upscales tensors (`DeviceGenerator`) or frames (`FrameGenerator`).
        swap_rb: Whether a `DeviceGenerator` has the reverse channel order of the frames.
    """

    def __init__(
        self, device: Device, generator: DeviceGenerator | FrameGenerator, *, swap_rb: bool
    ) -> None:
        self.size: Size | None = None
        self.bound = False
        self._device = device
        self._runs = 0
        self._whole: _Graph | None = None  # upload and generator
        self._middle: _Graph | None = None  # the generator alone, for arrays in device memory
        with device.current("preparing the generator"):
            self.stream = device.stream()
            self._step: FrameStep
            if isinstance(generator, FrameGenerator):
                self._step = generator.frame_step(self.stream)
            else:
                self._step = _TensorFrameStep(device, generator, self.stream, swap_rb=swap_rb)
        self._scale = generator.spec.scale
        self._name = generator.spec.name
        self._frames: _Frames | None = None

    def start(self, batch: Pixels, out: Pixels) -> None:
        """Start a batch whose result goes to `out`; `batch` may be changed when this returns."""
        size = _size(batch.shape)
        with self._device.current(_doing(size)):
            self._prepare(size)
            if self._frames is None:
                self._frames = _Frames(self._device, size, self._scale)
            frames = self._frames
            copy(frames.pinned_lr.pixels, batch)
            self._whole = self._whole or self._record(self._enqueue)
            if self._whole is not None:
                self._whole.launch(self.stream)
            else:
                self._enqueue()
            target = out if is_pinned(out) else frames.result()
            self._device.download(target, frames.sr.pointer, self.stream)
            self._runs += 1

    def finish(self, out: Pixels) -> None:
        """Wait for the batch that was started; then `out` holds the result."""
        assert self.size is not None
        assert self._frames is not None
        with self._device.current(_doing(self.size)):
            self.stream.synchronize()
        if not is_pinned(out):
            copy(out, self._frames.result())

    def run_on_device(self, frames: Any, out: Any, size: Size, *, batched: bool) -> None:
        """Start upscaling arrays in device memory, on the stream.

        Args:
            frames: `(H, W, 3)` or `(N, H, W, 3)` uint8.
            out: The same, `scale` times as high and wide.
            size: Batch, height and width of `frames`.
            batched: Whether `frames` and `out` have the axis N.
        """
        with self._device.current(_doing(size)):
            self._prepare(size)
            inner = self._step.inner
            if inner is not None:
                self._middle = self._middle or self._record(inner)
                middle = self._middle
                if middle is not None:
                    self._step.enqueue(
                        out, frames, batched=batched, inner=lambda: middle.launch(self.stream)
                    )
                    self._runs += 1
                    return
            self._step.enqueue(out, frames, batched=batched)
            self._runs += 1

    def _prepare(self, size: Size) -> None:
        if size == self.size:
            return
        assert not self.bound
        self.stream.synchronize()  # before its buffers are freed
        self.size, self._runs, self._frames = None, 0, None
        self._step.resize(size, fixed=False)
        self.size = size

    def _record(self, work: Callable[[], None]) -> _Graph | None:
        """Record what `work` puts on the stream; None if it is too early or not possible."""
        if self._runs < _RUNS_BEFORE_GRAPH or not self._step.capturable:
            return None
        assert self.size is not None
        kernels, stream = self._device.kernels, self.stream
        if not self.bound:
            self._step.resize(self.size, fixed=True)
        if not self._step.capturable:
            return None
        work()  # so that the recording lacks what the step does only once
        stream.synchronize()
        kernels.begin_capture(stream)
        try:
            try:
                work()
            finally:
                graph: _Graph = kernels.end_capture(stream)
        except CudaError as error:
            log.warning("%s: no CUDA graph, its steps run one by one (%s)", self._name, error)
            self._step.capturable = False
            return None
        self.bound = True
        return graph

    def _enqueue(self) -> None:
        frames = self._frames
        assert frames is not None
        self._device.upload(frames.lr, frames.pinned_lr, self.stream)
        self._step.enqueue(frames.sr_array, frames.lr_array, batched=True)


class _TensorFrameStep:
    """A `FrameStep` made of `unpack`, a `Step` and `pack`."""

    def __init__(
        self, device: Device, generator: DeviceGenerator, stream: Stream, *, swap_rb: bool
    ) -> None:
        self._device, self._stream = device, stream
        self._spec, self._swap_rb = generator.spec, swap_rb
        self._dtype = np.dtype(np.float32 if self._spec.precision == "fp32" else np.float16)
        self._step = generator.step(stream)
        self._tensors = _Tensors(device)
        self._size: Size | None = None

    @property
    def capturable(self) -> bool:
        return self._step.capturable

    @capturable.setter
    def capturable(self, value: bool) -> None:
        self._step.capturable = value

    @property
    def inner(self) -> Callable[[], None] | None:
        return self._step.enqueue

    def resize(self, size: Size, *, fixed: bool) -> None:
        source, target = self._shapes(size)
        if not fixed:
            self._tensors.fit(source, target, self._dtype)
        self._step.resize(size, self._tensors.source, self._tensors.target, fixed=fixed)
        self._size = size

    def enqueue(
        self, out: Any, frames: Any, *, batched: bool, inner: Callable[[], None] | None = None
    ) -> None:
        assert self._size is not None
        source, target = (shape[not batched :] for shape in self._shapes(self._size))
        kernels, spec, stream = self._device.kernels, self._spec, self._stream
        tensor = kernels.DeviceArray(self._tensors.source, source, self._dtype)
        kernels.unpack_into(tensor, frames, swap_rb=self._swap_rb, stream=stream)
        (inner or self._step.enqueue)()
        tensor = kernels.DeviceArray(self._tensors.target, target, self._dtype)
        kernels.pack_into(
            out,
            tensor,
            spec.shuffle,
            lr=None if spec.base == "none" else frames,
            base=spec.base,
            scale=spec.scale,
            swap_rb=self._swap_rb,
            stream=stream,
        )

    def _shapes(self, size: Size) -> tuple[tuple[int, ...], tuple[int, ...]]:
        count, height, width = size
        scale = self._spec.graph_scale
        return (
            (count, 3, height, width),
            (count, self._spec.out_channels, scale * height, scale * width),
        )


class _Tensors:
    """The generator's input and output; their memory grows and never shrinks."""

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
        self._held.clear()  # freed before more is allocated
        self._held = [self._device.memory(size) for size in needed]
        self.source, self.target = (memory.pointer for memory in self._held)
        self._room = (needed[0], needed[1])


class _Frames:
    """The batch and its result, in page-locked and in device memory."""

    def __init__(self, device: Device, size: Size, scale: int) -> None:
        count, height, width = size
        shape = (count, height, width, 3)
        larger = (count, scale * height, scale * width, 3)
        self._device, self._larger = device, larger
        self.pinned_lr = device.pinned(shape)
        self._pinned_sr: Pinned | None = None
        self.lr, self.sr = device.memory(math.prod(shape)), device.memory(math.prod(larger))
        array = device.kernels.DeviceArray
        self.lr_array = array(self.lr.pointer, shape, np.uint8)
        self.sr_array = array(self.sr.pointer, larger, np.uint8)

    def result(self) -> Pixels:
        """Pinned memory for a result whose array is not pinned."""
        if self._pinned_sr is None:
            self._pinned_sr = self._device.pinned(self._larger)
        return self._pinned_sr.pixels


def _size(shape: tuple[int, ...]) -> Size:
    return shape[0], shape[1], shape[2]


def _doing(size: Size) -> str:
    count, height, width = size
    return f"upscaling {count}*{width}x{height}"
