"""`DeviceChain`: the backend around a generator on the GPU."""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import Any

import numpy as np

from srsdk.backends.base import BackendInfo, Pixels, Ticket
from srsdk.cuda.array import DeviceArray, check_frames, is_device_array
from srsdk.cuda.device import Device
from srsdk.cuda.pool import Pool
from srsdk.cuda.workspace import Generator, Workspace
from srsdk.engine_sidecar import Size
from srsdk.errors import InputError

_WORKSPACES = 4
"""Batches that may be on the GPU at a time, each with a stream, buffers and maybe a CUDA graph."""


class Pending:
    """A batch on its way; see `Ticket`."""

    def __init__(self, chain: DeviceChain, workspace: Workspace, out: Pixels) -> None:
        self._chain, self._out = chain, out
        self._workspace: Workspace | None = workspace
        self._error: BaseException | None = None
        self._lock = threading.Lock()

    def result(self) -> Pixels:
        """See `Ticket.result`."""
        self.settle()
        if self._error is not None:
            raise self._error
        return self._out

    def settle(self) -> None:
        """Wait for the batch and free its workspace; an error is kept for `result`."""
        with self._lock:
            if self._workspace is None:
                return
            workspace, self._workspace = self._workspace, None
            try:
                workspace.finish(self._out)
            except BaseException as error:
                self._error = error
                self._chain.pool.drop()
                if not isinstance(error, Exception):  # Ctrl-C is not for later
                    raise
            else:
                self._chain.pool.give_back(workspace)
            finally:
                self._chain.settled(self)


class _Parts:
    """A batch that went in parts."""

    def __init__(self, tickets: list[Ticket], out: Pixels) -> None:
        self._tickets, self._out = tickets, out

    def result(self) -> Pixels:
        """See `Ticket.result`."""
        for ticket in self._tickets:
            ticket.result()
        return self._out


class DeviceChain:
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
        generator: Generator,
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
        self.pool: Pool[Workspace] = Pool(
            lambda: Workspace(device, generator, swap=swap), workspaces
        )
        self._pending: deque[Pending] = deque()
        self._lock = threading.Lock()

    @property
    def info(self) -> BackendInfo:
        """See `Backend.info`."""
        return self._info

    def run(self, batch: Pixels, out: Pixels | None = None) -> Pixels:
        """See `Backend.run`."""
        return self.submit(batch, out).result()

    def takes(self, height: int, width: int) -> bool:
        """See `DeviceBackend.takes`: what an engine was built for, whatever the size of a tile."""
        if self._generator.sized:
            return self._fits((1, height, width))
        return max(height, width) <= self._info.tile

    def submit(self, batch: Pixels, out: Pixels | None = None) -> Ticket:
        """Start upscaling a batch; the rest as `Backend.run`.

        Uploads and downloads of some batches overlap the computing of others. Where the GPU has as
        many as it may, the oldest is waited for first, so that this never blocks for ever. A batch
        larger than an engine was built for goes in parts.

        Returns:
            What `Ticket.result` is asked of; `out` is not complete before that returns.

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
        return _Parts([self._submit(batch[part], out[part]) for part in parts], out)

    def _submit(self, batch: Pixels, out: Pixels) -> Ticket:
        count, height, width, _ = batch.shape
        workspace = self._take((count, height, width))
        try:
            workspace.start(batch)
        except BaseException:
            self.pool.drop()
            raise
        ticket = Pending(self, workspace, out)
        with self._lock:
            self._pending.append(ticket)
        return ticket

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
        """See `Backend.close`; batches on their way are finished."""
        while (oldest := self._oldest()) is not None:
            oldest.settle()
        self.pool.close()

    def settled(self, ticket: Pending) -> None:
        """A ticket no longer holds a workspace."""
        with self._lock:
            if ticket in self._pending:
                self._pending.remove(ticket)

    def _oldest(self) -> Pending | None:
        with self._lock:
            return self._pending[0] if self._pending else None

    def _take(self, size: Size) -> Workspace:
        self._generator.check(size)
        while (workspace := self.pool.take(size)) is None:
            oldest = self._oldest()
            if oldest is None:
                self.pool.wait()
            else:
                oldest.settle()
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
            self.pool.drop()
            raise
        self.pool.give_back(workspace)
        return stream
