"""srsdk's own engine on an NVIDIA GPU, from u8 frame to u8 frame on tensor cores.

Runs chains of 3x3 convolutions with ReLU (the `edge` family) in one or a few launches: float16 in,
float32 sums, activations in shared memory; see kernels/cuda/chain.h. Needs compute capability 8.0
(Ampere, Jetson Orin) or newer, and nothing besides srsdk's CUDA kernels and the driver.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from srsdk import __version__
from srsdk.cuda.chain import DeviceChain
from srsdk.cuda.device import Device, Memory, Stream, open_device
from srsdk.errors import InputError, ModelFormatError
from srsdk.onnxfile import Array, Node, OnnxFile, read
from srsdk.spec import ModelSpec
from srsdk.tensorrt.plugin import plugin_refusal
from srsdk.types import Size

log = logging.getLogger(__name__)

Convolution = tuple[Array, Array]
"""Weight `(outputs, inputs, k, k)` and bias `(outputs,)` of a convolution."""

_TILE = 4096
"""Default side of a tile. Activations stay on the chip, so frames take most of the memory."""

_MOST_PIXELS = 1 << 27

_ELSEWHERE = 'use backend="tensorrt", "onnxruntime-cuda" or "torch" for this model'


class NetworkGenerator:
    """A chain of convolutions on the GPU. Make it while the device is current."""

    sized = False

    def __init__(self, path: Path, device: Device, *, color: str) -> None:
        file = read(path)
        self.spec = ModelSpec.from_metadata(file.metadata, source=str(path))
        self.device = device
        layers, shuffle = read_chain(path, file, self.spec)
        try:
            self.network: Any = device.kernels.Network(
                layers,
                shuffle=shuffle,
                base=self.spec.base,
                swap_rb=color != self.spec.channel_order,
            )
        except ValueError as error:
            raise ModelFormatError(f"{path}: {error}; {_ELSEWHERE}") from error

    def check(self, size: Size) -> None:
        """Raise `InputError` for more pixels than one launch counts."""
        count, height, width = size
        if count * height * width >= _MOST_PIXELS:
            raise InputError(
                f"{count} frames of {width}x{height} are too many pixels for one batch: pass fewer "
                "frames at once, or a tile="
            )

    def frame_step(self, stream: Stream) -> NetworkStep:
        """The network on a stream."""
        return NetworkStep(self, stream)


class NetworkStep:
    """The network on a stream: a `FrameStep`."""

    inner: Callable[[], None] | None = None  # one or a few launches, whose arguments are the frames

    def __init__(self, generator: NetworkGenerator, stream: Stream) -> None:
        self.capturable = True
        self._generator, self._stream = generator, stream
        self._scratch: Memory | None = None
        self._room = 0
        self._tune = False

    def resize(self, size: Size, *, fixed: bool) -> None:
        """Make room for the activations between launches; it only ever grows.

        A size that stays is run in several ways once, to find the fastest.
        """
        self._tune = fixed
        needed = self._generator.network.scratch_bytes(*size)
        if needed > self._room:
            self._scratch, self._room = None, 0  # before there is more
            self._scratch, self._room = self._generator.device.memory(needed), needed

    def enqueue(
        self, out: Any, frames: Any, *, batched: bool, inner: Callable[[], None] | None = None
    ) -> None:
        """Put the launches on the stream."""
        scratch = 0 if self._scratch is None else self._scratch.pointer
        network, stream = self._generator.network, self._stream
        if self._tune:
            self._tune = False
            for what, milliseconds in network.tune_into(
                out, frames, scratch=scratch, stream=stream
            ):
                log.debug("%.3f ms: %s", milliseconds, what)
        network.run_into(out, frames, scratch=scratch, stream=stream)


def open(model: Path | str, *, threads: int, color: str) -> DeviceChain:  # noqa: A001
    """Open the backend; called by `open_backend`. `threads` is not used.

    Raises:
        BackendUnavailableError: The CUDA kernels, the driver or the GPU is missing.
        ModelFormatError: The model is no chain of 3x3 convolutions with ReLU.
        CudaError: The GPU is older than compute capability 8.0, or out of memory.
    """
    path = Path(model)
    device = open_device()
    with device.current(f"loading {path.name}"):
        generator = NetworkGenerator(path, device, color=color)
    return DeviceChain(
        device,
        generator,
        name="cuda-native",
        version=__version__,
        color=color,
        tile=_TILE,
        precision="fp16",
    )


def read_chain(path: Path, file: OnnxFile, spec: ModelSpec) -> tuple[list[Convolution], int]:
    """The convolutions of a chain, with ReLU after each but the last, and the scale of its shuffle.

    Raises:
        ModelFormatError: The graph is anything else, or not in float32.
    """
    if spec.plugin:
        raise plugin_refusal(path)
    if spec.precision != "fp32":
        raise ModelFormatError(
            f"{path} is {spec.precision}; backend cuda-native takes float32 and rounds to float16 "
            "itself: export with --precision fp32"
        )
    layers: list[Convolution] = []
    value, relu = file.input, True
    nodes = list(file.nodes)
    shuffle = spec.shuffle
    if nodes and nodes[-1].kind == "DepthToSpace" and spec.shuffle == 1:
        if nodes[-1].attributes.get("mode") != "CRD":
            raise _unsupported(path, nodes[-1])
        shuffle = int(nodes.pop().attributes.get("blocksize", 0))  # type: ignore[arg-type]
    for node in nodes:
        if not node.inputs or node.inputs[0] != value:
            raise _unsupported(path, node)
        if node.kind == "Conv" and relu:
            layers.append(_convolution(path, file, node))
        elif node.kind != "Relu" or relu:
            raise _unsupported(path, node)
        relu, value = node.kind == "Relu", node.output
    if relu or shuffle != spec.scale:
        raise ModelFormatError(
            f"{path}: backend cuda-native runs chains of 3x3 convolutions with ReLU at the low "
            f"resolution, and this is another graph; {_ELSEWHERE}"
        )
    return layers, shuffle


def _convolution(path: Path, file: OnnxFile, node: Node) -> Convolution:
    weight = file.weights.get(node.inputs[1]) if len(node.inputs) > 1 else None
    if weight is None or weight.ndim != 4 or not node.keeps_size(weight.shape[-1]):
        raise _unsupported(path, node)
    if len(node.inputs) < 3:
        return weight, np.zeros(len(weight), np.float32)
    bias = file.weights.get(node.inputs[2])
    if bias is None or bias.shape != (len(weight),):
        raise _unsupported(path, node)
    return weight, bias


def _unsupported(path: Path, node: Node) -> ModelFormatError:
    return ModelFormatError(
        f"{path}: backend cuda-native cannot run {node.kind} ({node.output}); {_ELSEWHERE}"
    )
