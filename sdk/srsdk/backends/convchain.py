"""The convolutions of an ONNX graph, each with what follows it, as `srsdk._kernels` takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from srsdk import _kernels
from srsdk.errors import ModelFormatError
from srsdk.int8 import LayerSteps
from srsdk.onnxfile import Array, Node, OnnxFile
from srsdk.spec import ModelSpec

_ELSEWHERE = 'use backend="onnxruntime" for this model'


class UnsupportedGraphError(ModelFormatError):
    """A graph that ONNX Runtime can run and the native backend cannot."""


@dataclass
class ChainLayer:
    """One convolution: `activation(pixel_shuffle(convolve(source, weight) + bias)) + add`.

    Attributes:
        source: Number of the value that it reads: 0 is the frame, n the n-th layer's result.
        weight: `(outputs, inputs, k, k)`.
        bias: `(outputs,)`.
        slope: `(outputs,)` where negative, 0 being a ReLU; None for no activation.
        shuffle: Factor of the pixel shuffle; 1 for none.
        add: Number of the value that is added; -1 for none.
    """

    source: int
    weight: Array
    bias: Array
    slope: Array | None = None
    shuffle: int = 1
    add: int = -1

    def kernel(self, steps: LayerSteps | None = None) -> _kernels.Convolution:
        """As the kernels take it, with steps for int8.

        Raises:
            ValueError: The steps are not this layer's.
        """
        int8, weight = None, self.weight
        if steps is not None:
            if steps.weight is not None:
                weight = self._levels(steps, steps.weight)
            int8 = _kernels.Quantization(
                input_step=np.array(steps.input_step, np.float32),
                input_zero=np.array(steps.input_zero, np.uint8),
                weight_step=np.array(steps.weight_step, np.float32),
                fine=steps.fine,
            )
        return _kernels.Convolution(
            weight,
            self.bias,
            source=self.source,
            slope=self.slope,
            shuffle=self.shuffle,
            add=self.add,
            int8=int8,
        )

    def _levels(self, steps: LayerSteps, levels: bytes) -> Array:
        """The weights of which the kernels make these bytes, which stand for `self.weight`."""
        outputs, inputs, size, _ = shape = self.weight.shape
        if (len(levels), len(steps.weight_step), len(steps.input_step)) != (
            self.weight.size,
            outputs,
            inputs,
        ):
            raise ValueError(f"int8 weights or steps that do not fit weights of shape {shape}")
        weight_step = np.array(steps.weight_step, np.float32).astype(np.float64)
        input_step = np.array(steps.input_step, np.float32).astype(np.float64)
        exact = np.frombuffer(levels, np.int8).reshape(outputs, inputs, size, size)
        scale = weight_step[:, None] / input_step
        return (exact * scale[:, :, None, None]).astype(np.float32)


@dataclass(frozen=True)
class Chain:
    """A whole graph.

    Attributes:
        layers: Its convolutions, in order.
        shuffle: Factor of the pixel shuffle behind the last, which writing the frame does.
    """

    layers: list[ChainLayer]
    shuffle: int


def read_chain(file: OnnxFile, spec: ModelSpec) -> Chain:
    """The convolutions of a graph.

    Raises:
        UnsupportedGraphError: The kernels cannot run it.
        ModelFormatError: It does not do what its spec says.
    """
    layers: list[ChainLayer] = []
    values = {file.input: 0}
    uses = [name for node in file.nodes for name in node.inputs]
    for node in file.nodes:
        if node.kind == "Conv":
            weight, bias = _convolution(file, node)
            layers.append(ChainLayer(_value(values, node, 0), weight, bias))
        elif node.kind in ("Relu", "PRelu", "DepthToSpace", "Add") and layers:
            _follow(file, node, layers, values, uses)
        else:
            raise _unsupported(node)
        values[node.output] = len(layers)
    if not layers or values.get(file.output) != len(layers):
        raise UnsupportedGraphError(f"its last operator is not its output; {_ELSEWHERE}")
    last = layers[-1]
    channels = len(last.bias) // last.shuffle**2
    if channels != spec.out_channels:
        raise ModelFormatError(
            f"{file.output} has {channels} channels, but its spec says {spec.out_channels} channels"
        )
    if spec.shuffle == 1 < last.shuffle and last.slope is None and last.add < 0:
        # A shuffle at the very end of the graph: what writes the frame does it on the way.
        shuffle, last.shuffle = last.shuffle, 1
        return Chain(layers, shuffle)
    return Chain(layers, spec.shuffle)


def _follow(
    file: OnnxFile,
    node: Node,
    layers: list[ChainLayer],
    values: dict[str, int],
    uses: list[str],
) -> None:
    """Put an operator into the last convolution, whose result nothing else may read before it."""
    at = 1 if node.kind == "Add" and values.get(node.inputs[0]) != len(layers) else 0
    name = node.inputs[at]
    if values.get(name) != len(layers) or uses.count(name) != 1:
        raise _unsupported(node)
    last = layers[-1]
    if last.add >= 0:
        raise _unsupported(node)  # nothing comes after a sum but the next convolution
    if node.kind == "Add":
        last.add = _value(values, node, 1 - at)
        if last.add in (0, len(layers)):
            raise _unsupported(node)
    elif node.kind == "DepthToSpace":
        factor = int(node.attributes.get("blocksize", 0))  # type: ignore[arg-type]
        if node.attributes.get("mode") != "CRD" or factor < 1 or last.shuffle > 1:
            raise _unsupported(node)
        last.shuffle = factor
    elif last.slope is not None:
        raise _unsupported(node)
    else:
        last.slope = np.zeros(len(last.bias), np.float32)
        if node.kind == "PRelu":
            given = _weight(file, node, 1).reshape(-1)
            # One slope for all channels, or one for each of those that the shuffle has left.
            each = given if given.size == 1 else np.repeat(given, last.shuffle**2)
            last.slope[:] = each


def _convolution(file: OnnxFile, node: Node) -> tuple[Array, Array]:
    weight = _weight(file, node, 1)
    if weight.ndim != 4 or not node.keeps_size(weight.shape[-1]):
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
