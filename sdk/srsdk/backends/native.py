"""srsdk's own convolutions on the CPU, from u8 frame to u8 frame without a graph runtime.

Runs what `srsdk-export` writes: chains of Conv with Relu, PRelu, DepthToSpace and Add. 3x3 and 5x5
convolutions take Winograd's algorithm, and what follows a convolution is done while its result is
in registers; see kernels/cpu/conv.h.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from srsdk import __version__, _kernels
from srsdk.cpu import usable_cores
from srsdk.errors import InputError, ModelFormatError
from srsdk.onnxfile import Array, Node, OnnxFile, read
from srsdk.spec import ModelSpec
from srsdk.tensorrt.plugin import plugin_refusal
from srsdk.types import BackendInfo, Pixels, ProfiledBackend

Layer = tuple[int, Array, Array, Array | None, int, int]
"""A convolution as `_kernels.Network` takes it."""

_ELSEWHERE = 'use backend="onnxruntime" for this model'


class UnsupportedGraphError(ModelFormatError):
    """A graph that ONNX Runtime can run and this backend cannot."""


class NativeBackend(ProfiledBackend):
    """Runs an ONNX model that `srsdk-export` wrote."""

    def __init__(self, path: Path, *, threads: int = 0, color: str = "bgr") -> None:
        file = read(path)
        spec = ModelSpec.from_metadata(file.metadata, source=str(path))
        if spec.plugin:
            raise plugin_refusal(path)
        try:
            layers, shuffle = _chain(file, spec)
            self._network: _kernels.Network | None = _kernels.Network(
                layers,
                scale=spec.scale,
                shuffle=shuffle,
                base=spec.base,
                swap=color != spec.channel_order,
            )
        except UnsupportedGraphError as error:
            raise UnsupportedGraphError(f"{path}: {error}") from None
        except ValueError as error:
            raise ModelFormatError(f"{path}: {error}; export it again") from error
        self._layers = len(layers)
        self._threads = threads or usable_cores()
        version = f"{__version__} {_kernels.isa()}"
        self._info = BackendInfo("native", "cpu", version, self._threads, spec)

    @property
    def info(self) -> BackendInfo:
        return self._info

    def run(self, batch: Pixels, out: Pixels | None = None) -> Pixels:
        network = self._open_network()
        if out is None:
            out = self._empty(batch)
        network.run_into(out, batch, threads=self._threads)
        return out

    def profile(self, batch: Pixels, out: Pixels | None = None) -> dict[str, float]:
        """The seconds of the parts, by name.

        Returns:
            "unpack", "first layer", "hidden layers", "last layer" and "pack", or at the end
            "last layer + pack" where the one hands its rows to the other; of a network with fewer
            layers, those that it has.
        """
        network = self._open_network()
        out = self._empty(batch) if out is None else out
        unpack, *layers = network.profile_into(out, batch, threads=self._threads)
        parts = {"unpack": unpack}
        ends = ["last layer + pack"] if len(layers) == self._layers else ["last layer", "pack"]
        first = len(layers) - len(ends)
        if first:
            parts["first layer"] = layers[0]
        if first > 1:
            parts["hidden layers"] = sum(layers[1:first])
        return parts | dict(zip(ends, layers[first:], strict=True))

    def _open_network(self) -> _kernels.Network:
        if self._network is None:
            raise InputError("this Upscaler is closed; make a new one")
        return self._network

    def _empty(self, batch: Pixels) -> Pixels:
        (count, height, width, _), scale = batch.shape, self._info.spec.scale
        return np.empty((count, height * scale, width * scale, 3), np.uint8)

    def close(self) -> None:
        self._network = None


def open(model: Path | str, *, threads: int, color: str) -> NativeBackend:  # noqa: A001
    """Open the backend; called by `open_backend`."""
    return NativeBackend(Path(model), threads=threads, color=color)


def can_run(path: Path) -> bool:
    """Whether all operators of a model are among this backend's; not whether it is sound."""
    try:
        file = read(path)
        _chain(file, ModelSpec.from_metadata(file.metadata, source=str(path)))
    except UnsupportedGraphError:
        return False
    return True


def _chain(file: OnnxFile, spec: ModelSpec) -> tuple[list[Layer], int]:
    """The convolutions of a graph, and the pixel shuffle behind the last.

    A value is known by the number of the convolution that it comes from, the graph's input being 0.
    """
    layers: list[Layer] = []
    values = {file.input: 0}
    uses = [name for node in file.nodes for name in node.inputs]
    for node in file.nodes:
        if node.kind == "Conv":
            weight, bias = _convolution(file, node)
            layers.append((_value(values, node, 0), weight, bias, None, 1, -1))
        elif node.kind in ("Relu", "PRelu", "DepthToSpace", "Add") and layers:
            _follow(file, node, layers, values, uses)
        else:
            raise _unsupported(node)
        values[node.output] = len(layers)
    if not layers or values.get(file.output) != len(layers):
        raise UnsupportedGraphError(f"its last operator is not its output; {_ELSEWHERE}")
    source, weight, bias, slope, shuffle, add = layers[-1]
    channels = len(bias) // shuffle**2
    if channels != spec.out_channels:
        raise ModelFormatError(
            f"{file.output} has {channels} channels, but its spec says {spec.out_channels} channels"
        )
    if spec.shuffle == 1 < shuffle and slope is None and add < 0:
        # A shuffle at the very end of the graph: what writes the frame does it on the way.
        layers[-1] = (source, weight, bias, None, 1, -1)
        return layers, shuffle
    return layers, spec.shuffle


def _follow(
    file: OnnxFile,
    node: Node,
    layers: list[Layer],
    values: dict[str, int],
    uses: list[str],
) -> None:
    """Put an operator into the last convolution, whose result nothing else may read before it."""
    at = 1 if node.kind == "Add" and values.get(node.inputs[0]) != len(layers) else 0
    name = node.inputs[at]
    if values.get(name) != len(layers) or uses.count(name) != 1:
        raise _unsupported(node)
    source, weight, bias, slope, shuffle, add = layers[-1]
    if add >= 0:
        raise _unsupported(node)  # nothing comes after a sum but the next convolution
    if node.kind == "Add":
        add = _value(values, node, 1 - at)
        if add in (0, len(layers)):
            raise _unsupported(node)
    elif node.kind == "DepthToSpace":
        shuffle = int(node.attributes.get("blocksize", 0))  # type: ignore[arg-type]
        if node.attributes.get("mode") != "CRD" or shuffle < 1 or layers[-1][4] > 1:
            raise _unsupported(node)
    else:
        if slope is not None:
            raise _unsupported(node)
        slope = np.zeros(len(bias), np.float32)
        if node.kind == "PRelu":
            given = _weight(file, node, 1).reshape(-1)
            # One slope for all channels, or one for each of those that the shuffle has left.
            slope[:] = given if given.size == 1 else np.repeat(given, shuffle**2)
    layers[-1] = (source, weight, bias, slope, shuffle, add)


def _convolution(file: OnnxFile, node: Node) -> tuple[Array, Array]:
    weight = _weight(file, node, 1)
    size = weight.shape[-1]
    expected = {
        "kernel_shape": (size, size),
        "pads": (size // 2,) * 4,
        "strides": (1, 1),
        "dilations": (1, 1),
        "group": 1,
    }
    written = {"pads": (0, 0, 0, 0), **node.attributes}
    if any(written[name] != expected.get(name) for name in written) or weight.ndim != 4:
        raise _unsupported(node)
    bias = _weight(file, node, 2) if len(node.inputs) > 2 else np.zeros(len(weight), np.float32)
    return weight, bias


def _value(values: dict[str, int], node: Node, number: int) -> int:
    try:
        return values[node.inputs[number]]
    except LookupError:
        raise _unsupported(node) from None


def _weight(file: OnnxFile, node: Node, number: int) -> Array:
    try:
        return file.weights[node.inputs[number]]
    except LookupError:
        raise _unsupported(node) from None


def _unsupported(node: Node) -> UnsupportedGraphError:
    return UnsupportedGraphError(
        f"the native backend cannot run {node.kind} ({node.output}); {_ELSEWHERE}"
    )
