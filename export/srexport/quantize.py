"""Int8 in the graph: QuantizeLinear and DequantizeLinear around the convolutions.

Quantisation is symmetric, int8 in [-127, 127], because TensorRT accepts no zero point. There is one
scale for each output channel of a weight and one for each tensor that a convolution reads. Biases
stay in float.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from srexport.variants import plain_session

OPSET = 19
"""The first opset whose QuantizeLinear takes float16, the type of the rest of the graph."""

IR_VERSION = 9
LEVELS = 127

_CHUNK = 4
_SAMPLES = 1 << 16
_CLIPS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
_SMALLEST = 1e-5
"""Smallest scale; float16 can represent it, with fewer digits."""


def convolutions(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions, in order."""
    return [node.name for node in model.graph.node if node.op_type == "Conv"]


def calibrate(model: onnx.ModelProto, planes: NDArray[np.float32]) -> dict[str, float]:
    """The scale of each tensor that a convolution reads.

    A scale maps either the largest value seen, or the fraction of it with the least squared error:
    clipping then costs less than the finer step gains.

    Args:
        model: A float32 model.
        planes: `(N, 3, H, W)` inputs in the model's value range.

    Returns:
        Tensor name to scale.
    """
    instrumented = onnx.ModelProto()
    instrumented.CopyFrom(model)
    read = sorted({node.input[0] for node in instrumented.graph.node if node.op_type == "Conv"})
    source, output = instrumented.graph.input[0].name, instrumented.graph.output[0].name
    inner = [name for name in read if name not in (source, output)]
    instrumented.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner)
    session = plain_session(instrumented)
    largest = dict.fromkeys(read, 0.0)
    seen: dict[str, list[NDArray[Any]]] = {name: [] for name in read}
    for start in range(0, len(planes), _CHUNK):
        chunk = planes[start : start + _CHUNK]
        for name, value in zip(
            [source, *inner], [chunk, *session.run(inner, {source: chunk})], strict=True
        ):
            size = np.abs(value).ravel()
            largest[name] = max(largest[name], float(size.max()))
            seen[name].append(size[:: max(1, size.size // _SAMPLES)])
    return {name: _scale(np.concatenate(seen[name]), largest[name]) for name in read}


def quantize(
    model: onnx.ModelProto, scales: Mapping[str, float], keep: Set[str] = frozenset()
) -> onnx.ModelProto:
    """The model with int8 convolutions.

    Args:
        model: A float32 model.
        scales: From `calibrate`.
        keep: Names of convolutions that stay in float.

    Returns:
        A new model of opset 19 with float32 around the int8.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    result.opset_import[0].version, result.ir_version = OPSET, IR_VERSION
    graph = result.graph
    weights = {weight.name: weight for weight in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    dequantized: dict[str, str] = {}

    def constant(value: NDArray[Any], name: str) -> str:
        graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    for node in graph.node:
        if node.op_type == "Conv" and node.name not in keep:
            x, w = node.input[0], node.input[1]
            if x not in dequantized:
                scale = constant(np.array(scales[x], np.float32), f"{x}_scale")
                zero = constant(np.array(0, np.int8), f"{x}_zero")
                dequantized[x] = f"{x}_dequantized"
                nodes += [
                    helper.make_node(
                        "QuantizeLinear", [x, scale, zero], [f"{x}_int8"], f"{x}_quantize"
                    ),
                    helper.make_node(
                        "DequantizeLinear",
                        [f"{x}_int8", scale, zero],
                        [dequantized[x]],
                        f"{x}_dequantize",
                    ),
                ]
            values, steps = _quantized(numpy_helper.to_array(weights[w]))
            weights[w].CopyFrom(numpy_helper.from_array(values, w))
            scale = constant(steps, f"{w}_scale")
            zero = constant(np.zeros(len(steps), np.int8), f"{w}_zero")
            nodes.append(
                helper.make_node(
                    "DequantizeLinear",
                    [w, scale, zero],
                    [f"{w}_dequantized"],
                    f"{w}_dequantize",
                    axis=0,
                )
            )
            node.input[0], node.input[1] = dequantized[x], f"{w}_dequantized"
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    return result


def _quantized(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Int8 values, and one scale for each output channel that float16 represents exactly."""
    top = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    steps = np.maximum(top / LEVELS, _SMALLEST).astype(np.float16).astype(np.float32)
    values = np.rint(weight / steps[:, None, None, None])
    return np.clip(values, -LEVELS, LEVELS).astype(np.int8), steps


def _scale(values: NDArray[Any], largest: float) -> float:
    def error(clip: float) -> float:
        step = max(clip * largest / LEVELS, _SMALLEST)
        back = np.minimum(np.rint(values / step), LEVELS) * step
        return float(np.mean((back - values) ** 2))

    return max(min(_CLIPS, key=error) * largest / LEVELS, _SMALLEST)
