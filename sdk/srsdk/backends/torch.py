"""Plain PyTorch: the reference on a GPU, and the baseline of benchmarks.

On a GPU in float16, channels-last, by way of the chain that all GPU backends share; on the CPU in
float32. No kernel of srsdk's is used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from srsdk.cuda.chain import DeviceChain
from srsdk.errors import BackendUnavailableError, ClosedError
from srsdk.spec import ModelSpec
from srsdk.types import Backend, BackendInfo, Pixels, Size

try:
    import torch
    from torch import Tensor

    from srsdk.backends.torchdevice import TorchDevice
    from srsdk.backends.torchgraph import TorchGraph
except (ImportError, OSError) as error:  # OSError: a shared library that it needs is missing
    raise BackendUnavailableError(
        f"backend torch needs PyTorch ({error}): pip install 'srsdk[train]'"
    ) from error

_TILE = 1280
"""Side of a tile on a GPU, so that a frame of 1280x720 is one CUDA graph."""

_WORKSPACES = 2
"""Batches in flight: one is computed while the other is copied. Each has its own activations."""

_tuning = threading.Lock()  # cuDNN's flags are those of the process


class TensorStream(Protocol):
    """A stream on which torch can work."""

    def run(self, work: Callable[[], None]) -> None:
        """Put the kernels that `work` launches on the stream."""
        ...

    def keep(self, tensors: Sequence[Tensor]) -> None:
        """Tell torch that the stream uses these tensors: their memory is reused after its work."""
        ...


class TensorDevice(Protocol):
    """A device whose arrays torch can use."""

    def tensor(self, array: Any, stream: Any) -> Tensor:
        """An array in device memory, as a tensor for work on the stream."""
        ...


class TorchGenerator:
    """A `FrameGenerator` of a graph in torch. Make it while the device is current.

    Args:
        graph: On the device, in the arithmetic that it should have.
        device: The device.
    """

    sized = False

    def __init__(self, graph: TorchGraph, device: TensorDevice) -> None:
        self.graph, self.device = graph, device

    @property
    def spec(self) -> ModelSpec:
        """The generator's contract."""
        return self.graph.spec

    def check(self, size: Size) -> None:
        """Takes all sizes."""

    def frame_step(self, stream: Any) -> TorchStep:
        """The graph on a stream."""
        stream.keep(list(self.graph.parameters()))
        return TorchStep(self, stream)


class TorchStep:
    """The graph on a stream: a `FrameStep`."""

    inner: Callable[[], None] | None = None  # its kernels read and write the frames themselves

    def __init__(self, generator: TorchGenerator, stream: TensorStream) -> None:
        self.capturable = True
        self._generator, self._stream = generator, stream
        self._fixed = False

    def resize(self, size: Size, *, fixed: bool) -> None:
        """Prepare for batches of a size; cuDNN looks for its fastest algorithms if it stays."""
        self._fixed = fixed

    def enqueue(
        self, out: Any, frames: Any, *, batched: bool, inner: Callable[[], None] | None = None
    ) -> None:
        """Put the graph on the stream."""
        device, stream = self._generator.device, self._stream
        lr, sr = device.tensor(frames, stream), device.tensor(out, stream)
        stream.run(lambda: self._upscale(lr if batched else lr[None], sr if batched else sr[None]))

    def _upscale(self, lr: Tensor, sr: Tensor) -> None:
        if not self._fixed:
            self._generator.graph(lr, sr)
            return
        with _tuning, torch.backends.cudnn.flags(enabled=True, benchmark=True):
            self._generator.graph(lr, sr)


class TorchBackend(Backend):
    """Runs an ONNX model that `srsdk-export` wrote in float32, on the CPU.

    Args:
        path: The model.
        threads: CPU threads, for all of torch in this process; 0 leaves torch's setting.
        color: Channel order of the frames.
    """

    def __init__(self, path: Path, *, threads: int = 0, color: str = "bgr") -> None:
        graph = _load(path, color, "cpu", torch.float32)
        if threads:
            torch.set_num_threads(threads)
        self._info = BackendInfo(
            "torch", "cpu", torch.__version__, torch.get_num_threads(), graph.spec
        )
        self._graph: TorchGraph | None = graph

    @property
    def info(self) -> BackendInfo:
        return self._info

    def run(self, batch: Pixels, out: Pixels | None = None) -> Pixels:
        graph, scale = self._graph, self._info.spec.scale
        if graph is None:
            raise ClosedError
        count, height, width, _ = batch.shape
        if out is None:
            out = np.empty((count, height * scale, width * scale, 3), np.uint8)
        # Copied, because torch accepts neither negative strides nor read-only memory.
        out[:] = graph(torch.from_numpy(np.array(batch, order="C"))).numpy()
        return out

    def close(self) -> None:
        self._graph = None


def open(model: Path | str, *, threads: int, color: str) -> Backend:  # noqa: A001
    """Open the backend; called by `open_backend`. `threads` is for the CPU.

    Raises:
        CudaError: The GPU has too little memory for the generator.
    """
    path = Path(model)
    if not torch.cuda.is_available():
        return TorchBackend(path, threads=threads, color=color)
    device = TorchDevice(torch.cuda.current_device())
    with device.current(f"loading {path.name}"):
        graph = _load(path, color, f"cuda:{device.index}", torch.float16)
        torch.cuda.synchronize()  # other streams read the weights
        generator = TorchGenerator(graph, device)
    return DeviceChain(
        device,
        generator,
        name="torch",
        version=torch.__version__,
        color=color,
        tile=_TILE,
        precision="fp16",
        workspaces=_WORKSPACES,
    )


def _load(path: Path, color: str, device: str, dtype: torch.dtype) -> TorchGraph:
    graph: TorchGraph = TorchGraph(path, color=color).eval()
    return graph.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
