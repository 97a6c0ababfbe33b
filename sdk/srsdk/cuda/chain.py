"""`DeviceChain`: the backend around a generator on the GPU."""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import Any

import numpy as np

from srsdk.cuda.array import DeviceArray, check_frames, is_device_array
from srsdk.cuda.device import Device
from srsdk.cuda.pinned import PinnedResults
from srsdk.cuda.pool import Pool
from srsdk.cuda.workspace import DeviceGenerator, FrameGenerator, Workspace
from srsdk.errors import ClosedError, InputError
from srsdk.futures import DeferredFuture
from srsdk.spec import Precision
from srsdk.types import BackendInfo, DeviceBackend, Future, Pixels, Size

_WORKSPACES = 4
"""Batches in flight at a time. Each has a stream, buffers and perhaps a CUDA graph."""


class _BatchFuture(DeferredFuture):
    """A batch in flight, which holds a workspace until it is finished."""

    def __init__(self, chain: DeviceChain, workspace: Workspace, out: Pixels) -> None:
        super().__init__()
        self._chain, self._out = chain, out
        self._workspace: Workspace | None = workspace

    def _finish(self) -> Pixels:
        assert self._workspace is not None
        workspace, self._workspace = self._workspace, None
        self._chain._finish(self, workspace, self._out)
        return self._out


class _PartsFuture:
    """The future of a batch that was submitted in parts."""

    def __init__(self, parts: list[_BatchFuture], out: Pixels) -> None:
        self._parts, self._out = parts, out

    def result(self) -> Pixels:
        for part in self._parts:
            part.result()
        return self._out


class DeviceChain(DeviceBackend):
    """Frames in host or device memory through a generator on the GPU.

    Args:
        device: The GPU.
        generator: Upscales frames, or the tensors between `unpack` and `pack`.
        name: The backend's name.
        version: Version of the library that runs the generator.
        color: Channel order of the frames.
        tile: Largest side of a frame that should be computed at once.
        precision: Arithmetic of the generator; None: as its spec says.
        workspaces: Batches that may be in flight at a time.
    """

    def __init__(
        self,
        device: Device,
        generator: DeviceGenerator | FrameGenerator,
        *,
        name: str,
        version: str,
        color: str,
        tile: int,
        precision: Precision | None = None,
        workspaces: int = _WORKSPACES,
    ) -> None:
        spec = generator.spec
        swap_rb = color != spec.channel_order
        self._device = device
        self._generator: DeviceGenerator | FrameGenerator | None = generator
        self._info = BackendInfo(name, device.name, version, 0, spec, tile, precision)
        self._pool: Pool[Workspace] = Pool(
            lambda: Workspace(device, generator, swap_rb=swap_rb), workspaces
        )
        self._results = PinnedResults(device)
        self._in_flight: deque[_BatchFuture] = deque()
        self._lock = threading.Lock()

    @property
    def info(self) -> BackendInfo:
        return self._info

    def run(self, batch: Pixels, out: Pixels | None = None) -> Pixels:
        return self.submit(batch, out).result()

    def empty(self, shape: tuple[int, ...]) -> Pixels:
        """Allocate an array for a result: page-locked, as long as such memory lasts.

        The GPU copies into page-locked memory without the CPU. The memory is used again when the
        array and its views are gone.
        """
        return self._results.empty(shape)

    def takes(self, height: int, width: int) -> bool:
        """Of an engine, whether it was built for this size; else whether the size fits a tile."""
        if self._loaded().sized:
            return self._fits((1, height, width))
        return max(height, width) <= self._info.tile

    def submit(self, batch: Pixels, out: Pixels | None = None) -> Future:
        """Start upscaling a batch; arguments as of `Backend.run`.

        Copies of one batch overlap the computing of another. When `workspaces` batches are in
        flight, this finishes the oldest one first. A batch that is larger than the engine was built
        for is split.

        Returns:
            The future of the result; `out` is complete when the result is there.

        Raises:
            InputError: An engine was not built for frames of this size.
        """
        scale = self._info.spec.scale
        count, height, width, _ = batch.shape
        largest = count
        while largest > 1 and not self._fits((largest, height, width)):
            largest -= 1
        self._loaded().check((largest, height, width))  # before memory is allocated for the result
        if out is None:
            out = self.empty((count, height * scale, width * scale, 3))
        if largest == count:
            return self._submit(batch, out)
        parts = [slice(start, start + largest) for start in range(0, count, largest)]
        return _PartsFuture([self._submit(batch[part], out[part]) for part in parts], out)

    def _submit(self, batch: Pixels, out: Pixels) -> _BatchFuture:
        count, height, width, _ = batch.shape
        workspace = self._take((count, height, width))
        try:
            workspace.start(batch, out)
        except BaseException:
            self._pool.drop()
            raise
        future = _BatchFuture(self, workspace, out)
        with self._lock:
            self._in_flight.append(future)
        return future

    def _finish(self, future: _BatchFuture, workspace: Workspace, out: Pixels) -> None:
        """Wait for a batch and free its workspace."""
        try:
            workspace.finish(out)
        except BaseException:
            self._pool.drop()
            raise
        else:
            self._pool.give_back(workspace)
        finally:
            with self._lock:
                self._in_flight.remove(future)

    def _fits(self, size: Size) -> bool:
        try:
            self._loaded().check(size)
        except InputError:
            return False
        return True

    def run_on_device(self, frames: Any, out: Any = None) -> Any:
        """Upscale frames in device memory; nothing is copied to the host.

        Args:
            frames: `(H, W, 3)` or `(N, H, W, 3)` uint8 with DLPack or `__cuda_array_interface__`,
                any strides.
            out: An array to write into, `scale` times as high and wide. With `out` this blocks
                until the result is there, because the stream that uses it next is not known.

        Returns:
            `out`, or a `DeviceArray`. The array may still be in flight: its consumers wait for it
            on their stream.

        Raises:
            InputError: The arrays are not as described.
        """
        scale, device = self._info.spec.scale, self._device
        shape = check_frames(frames, "the image", device.index)
        larger = (*shape[:-3], shape[-3] * scale, shape[-2] * scale, 3)
        size = (shape[0] if len(shape) == 4 else 1, shape[-3], shape[-2])
        self._loaded().check(size)  # before memory is allocated for the result
        if out is not None:
            if not is_device_array(out) or check_frames(out, "out", device.index) != larger:
                raise InputError(f"out must be a uint8 array of shape {larger} in device memory")
            self._launch(frames, out, shape, size, wait=True)
            return out
        with device.current("allocating the result"):
            memory = device.memory(math.prod(larger))
        raw = device.kernels.DeviceArray(memory.pointer, larger, np.uint8)
        stream = self._launch(frames, raw, shape, size, wait=False)
        return DeviceArray(device, memory, larger, stream, frames)

    def close(self) -> None:
        """Finish the batches in flight and free what the backend holds."""
        while (oldest := self._oldest()) is not None:
            oldest.wait()
        self._pool.close()
        self._results.close()
        self._generator = None

    def _loaded(self) -> DeviceGenerator | FrameGenerator:
        if self._generator is None:
            raise ClosedError
        return self._generator

    def _oldest(self) -> _BatchFuture | None:
        with self._lock:
            return self._in_flight[0] if self._in_flight else None

    def _take(self, size: Size) -> Workspace:
        self._loaded().check(size)
        while (workspace := self._pool.take(size)) is None:
            oldest = self._oldest()
            if oldest is None:
                self._pool.wait()
            else:
                oldest.wait()
        return workspace

    def _launch(self, frames: Any, out: Any, shape: Any, size: Size, *, wait: bool) -> Any:
        workspace = self._take(size)
        stream = workspace.stream
        try:
            workspace.run_on_device(frames, out, size, batched=len(shape) == 4)
            if wait:
                with self._device.current("waiting for the result"):
                    stream.synchronize()
        except BaseException:
            self._pool.drop()
            raise
        self._pool.give_back(workspace)
        return stream
