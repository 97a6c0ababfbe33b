"""`DeviceChain`: the backend around a generator on the GPU."""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import Any

import numpy as np

from srsdk.cuda.array import DeviceArray, check_frames, is_device_array
from srsdk.cuda.device import Device
from srsdk.cuda.pool import Pool
from srsdk.cuda.workspace import DeviceGenerator, Workspace
from srsdk.errors import InputError
from srsdk.futures import DeferredFuture
from srsdk.types import BackendInfo, DeviceBackend, Future, Pixels, Size

_WORKSPACES = 4
"""Batches that may be on the GPU at a time, each with a stream, buffers and maybe a CUDA graph."""


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
    """A batch that went in parts."""

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
        generator: What runs between `unpack` and `pack`.
        name: The backend's name.
        version: Version of the library that runs the generator.
        color: Channel order of the frames.
        tile: Largest side that should go through at once.
        workspaces: Batches that may be on the GPU at a time.
    """

    def __init__(
        self,
        device: Device,
        generator: DeviceGenerator,
        *,
        name: str,
        version: str,
        color: str,
        tile: int,
        workspaces: int = _WORKSPACES,
    ) -> None:
        spec = generator.spec
        swap = color != spec.channel_order
        self._device, self._generator = device, generator
        self._info = BackendInfo(name, device.name, version, 0, spec, tile)
        self._pool: Pool[Workspace] = Pool(
            lambda: Workspace(device, generator, swap=swap), workspaces
        )
        self._in_flight: deque[_BatchFuture] = deque()
        self._lock = threading.Lock()

    @property
    def info(self) -> BackendInfo:
        return self._info

    def run(self, batch: Pixels, out: Pixels | None = None) -> Pixels:
        return self.submit(batch, out).result()

    def takes(self, height: int, width: int) -> bool:
        """Of an engine, whether it was built for this size; else whether the size fits a tile."""
        if self._generator.sized:
            return self._fits((1, height, width))
        return max(height, width) <= self._info.tile

    def submit(self, batch: Pixels, out: Pixels | None = None) -> Future:
        """Start upscaling a batch; the rest as `Backend.run`.

        Uploads and downloads of some batches overlap the computing of others. Where the GPU has as
        many as it may, the oldest is waited for first, so that this never blocks for ever. A batch
        larger than an engine was built for goes in parts.

        Returns:
            The future of the result; `out` is not complete before that is there.

        Raises:
            InputError: An engine was not built for frames of this size.
        """
        scale = self._info.spec.scale
        count, height, width, _ = batch.shape
        if out is None:
            out = np.empty((count, height * scale, width * scale, 3), np.uint8)
        most = count
        while most > 1 and not self._fits((most, height, width)):
            most -= 1
        if most == count:
            return self._submit(batch, out)
        parts = [slice(start, start + most) for start in range(0, count, most)]
        return _PartsFuture([self._submit(batch[part], out[part]) for part in parts], out)

    def _submit(self, batch: Pixels, out: Pixels) -> _BatchFuture:
        count, height, width, _ = batch.shape
        workspace = self._take((count, height, width))
        try:
            workspace.start(batch)
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
            self._generator.check(size)
        except InputError:
            return False
        return True

    def run_on_device(self, frames: Any, out: Any = None) -> Any:
        """Upscale frames in device memory; nothing is copied to the host.

        Args:
            frames: `(H, W, 3)` or `(N, H, W, 3)` uint8 with DLPack or `__cuda_array_interface__`,
                any strides.
            out: The same, `scale` times as high and wide, to write into; this waits on the host for
                the result, since nobody can tell what stream will use it next.

        Returns:
            `out`, or a `DeviceArray`, whose work may still be going on: consumers wait for it on
            their stream.

        Raises:
            InputError: The arrays are not as described.
        """
        scale, device = self._info.spec.scale, self._device
        shape = check_frames(frames, "the image", device.index)
        larger = (*shape[:-3], shape[-3] * scale, shape[-2] * scale, 3)
        size = (shape[0] if len(shape) == 4 else 1, shape[-3], shape[-2])
        self._generator.check(size)  # before there is memory for the result
        if out is not None:
            if not is_device_array(out) or check_frames(out, "out", device.index) != larger:
                raise InputError(f"out must be a uint8 array of shape {larger} in device memory")
            self._launch(frames, out, shape, size, wait=True)
            return out
        with device.current("making room for the result"):
            memory = device.memory(math.prod(larger))
        raw = device.kernels.DeviceArray(memory.pointer, larger, np.uint8)
        stream = self._launch(frames, raw, shape, size, wait=False)
        return DeviceArray(device, memory, larger, stream, frames)

    def close(self) -> None:
        """Finish the batches in flight and free what the backend holds."""
        while (oldest := self._oldest()) is not None:
            oldest.wait()
        self._pool.close()

    def _oldest(self) -> _BatchFuture | None:
        with self._lock:
            return self._in_flight[0] if self._in_flight else None

    def _take(self, size: Size) -> Workspace:
        self._generator.check(size)
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
