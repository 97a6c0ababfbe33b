"""Plain PyTorch: the reference on a GPU, and the baseline of benchmarks.

On a GPU in float16, channels-last, one CUDA graph for each size; on the CPU in float32. No kernel
of srsdk's is used.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from srsdk.backends.pool import WorkspacePool
from srsdk.errors import BackendUnavailableError, CudaError, InputError
from srsdk.types import Backend, BackendInfo, Pixels, Size

try:
    import torch
    from torch import Tensor

    from srsdk.backends.torchgraph import TorchGraph
except (ImportError, OSError) as error:  # OSError: a shared library that it needs is missing
    raise BackendUnavailableError(
        f"backend torch needs PyTorch ({error}): pip install 'srsdk[train]'"
    ) from error

_TILE = 1280
"""Side of a tile on a GPU, so that a frame of 1280x720 is one CUDA graph."""

_WARM_UP = 3
"""Runs before a capture, in which cuDNN chooses algorithms and memory is allocated."""

_capturing = threading.Lock()  # only one CUDA graph may be captured at a time in a process


class TorchBackend(Backend):
    """Runs an ONNX model that `srsdk-export` wrote in float32.

    Args:
        path: The model.
        threads: CPU threads, for all of torch in this process; 0 leaves torch's setting. Without
            meaning on a GPU.
        color: Channel order of the frames.
        device: "cuda", "cuda:1", "cpu"; None: torch's current GPU where it sees one.
    """

    def __init__(
        self, path: Path, *, threads: int = 0, color: str = "bgr", device: str | None = None
    ) -> None:
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        on_gpu = self._device.type == "cuda"
        generator: TorchGraph = TorchGraph(path, color=color).eval()
        generator = generator.to(
            device=self._device,
            dtype=torch.float16 if on_gpu else torch.float32,
            memory_format=torch.channels_last,  # type: ignore[call-overload]
        )
        if threads and not on_gpu:
            torch.set_num_threads(threads)
        name = torch.cuda.get_device_name(self._device) if on_gpu else "cpu"
        cores = 0 if on_gpu else torch.get_num_threads()
        tile = _TILE if on_gpu else BackendInfo.tile
        version = torch.__version__
        self._info = BackendInfo("torch", name, version, cores, generator.spec, tile)
        self._generator: TorchGraph | None = generator
        on = self._device
        self._pool = WorkspacePool(lambda size: _Captured(generator, size, on))

    @property
    def info(self) -> BackendInfo:
        return self._info

    def run(self, batch: Pixels, out: Pixels | None = None) -> Pixels:
        """Upscale a batch, as `Backend.run` describes.

        Raises:
            CudaError: The GPU has too little memory for a batch of this size.
        """
        generator, scale = self._generator, self._info.spec.scale
        if generator is None:
            raise InputError("this Upscaler is closed; make a new one")
        count, height, width, _ = batch.shape
        if out is None:
            out = np.empty((count, height * scale, width * scale, 3), np.uint8)
        if self._device.type == "cpu":
            # Copied, because torch accepts neither negative strides nor read-only memory.
            out[:] = generator(torch.from_numpy(np.array(batch, order="C"))).numpy()
            return out
        try:
            with self._pool.workspace((count, height, width)) as captured:
                captured.run(batch, out)
        except torch.cuda.OutOfMemoryError as error:
            raise CudaError(
                f"{self._info.device} has too little memory for {count} of {width}x{height} in "
                "torch: pass a smaller tile= or fewer frames at once"
            ) from error
        return out

    def close(self) -> None:
        self._generator = None
        self._pool.close()


class _Captured:
    """The generator as a CUDA graph for one size, with its buffers and its stream."""

    def __init__(self, generator: TorchGraph, size: Size, device: torch.device) -> None:
        shape = (*size, 3)
        self._generator = generator  # keeps the weights alive, which the graph reads
        with torch.cuda.device(device), _capturing:
            self._stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            self._input = torch.zeros(shape, dtype=torch.uint8, device=device)
            self._stream.wait_stream(torch.cuda.current_stream())
            with (
                torch.cuda.stream(self._stream),
                torch.backends.cudnn.flags(enabled=True, benchmark=True),
            ):
                for _ in range(_WARM_UP):
                    generator(self._input)
                self._stream.synchronize()
                self._graph = torch.cuda.CUDAGraph()
                # thread_local lets other threads allocate and replay during the capture.
                with torch.cuda.graph(
                    self._graph, stream=self._stream, capture_error_mode="thread_local"
                ):
                    self._output: Tensor = generator(self._input)
            self._upload = torch.empty(shape, dtype=torch.uint8, pin_memory=True)
            self._download = torch.empty(self._output.shape, dtype=torch.uint8, pin_memory=True)

    def run(self, batch: Pixels, out: Pixels) -> None:
        """Upload, replay, download, and wait for the result."""
        np.copyto(self._upload.numpy(), batch)
        with torch.cuda.device(self._input.device), torch.cuda.stream(self._stream):
            self._input.copy_(self._upload, non_blocking=True)
            self._graph.replay()
            self._download.copy_(self._output, non_blocking=True)
        self._stream.synchronize()
        np.copyto(out, self._download.numpy())


def open(model: Path | str, *, threads: int, color: str) -> TorchBackend:  # noqa: A001
    """Open the backend; called by `open_backend`."""
    return TorchBackend(Path(model), threads=threads, color=color)
