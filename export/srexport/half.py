"""Float16 in the graph: weights, activations, input and output."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16}


def to_half(model: onnx.ModelProto, keep: Set[str] = frozenset()) -> onnx.ModelProto:
    """The model in float16.

    Input and output become float16 too. The kernels before and after the graph read and write
    float16 on a GPU, and the graph then needs no Cast.

    Args:
        model: A float32 model, or one with QuantizeLinear and DequantizeLinear among float32.
        keep: Names of nodes that stay in float32, with Casts between them and the others.

    Returns:
        A new model with the same metadata.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    weights = {weight.name: weight for weight in graph.initializer}
    types = {graph.input[0].name: TensorProto.FLOAT16}
    casts: dict[tuple[str, int], str] = {}
    nodes: list[onnx.NodeProto] = []

    def cast(tensor: str, wanted: int, name: str) -> str:
        if (tensor, wanted) not in casts:
            nodes.append(helper.make_node("Cast", [tensor], [name], name, to=wanted))
            casts[tensor, wanted] = name
        return casts[tensor, wanted]

    for node in graph.node:
        wanted = TensorProto.FLOAT if node.name in keep else TensorProto.FLOAT16
        for place, tensor in enumerate(node.input):
            if tensor in weights:
                _convert(weights[tensor], wanted)
            elif types[tensor] in _FLOATS and types[tensor] != wanted:
                kind = "half" if wanted == TensorProto.FLOAT16 else "float"
                node.input[place] = cast(tensor, wanted, f"{tensor}_{kind}")
        types[node.output[0]] = TensorProto.INT8 if node.op_type == "QuantizeLinear" else wanted
        nodes.append(node)
    output = graph.output[0].name
    if types[output] != TensorProto.FLOAT16:
        last = next(node for node in nodes if node.output[0] == output)
        last.output[0] = f"{output}_float"
        nodes.append(
            helper.make_node(
                "Cast", [last.output[0]], [output], f"{output}_half", to=TensorProto.FLOAT16
            )
        )
    _replace(graph, nodes)
    for value in (graph.input[0], graph.output[0]):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    return result


def rounded(model: onnx.ModelProto, keep: Set[str] = frozenset()) -> onnx.ModelProto:
    """A float32 model that computes what `to_half(model, keep)` computes.

    Every weight and every tensor between nodes is rounded to float16; sums within a node are
    float32, as tensor cores keep them. ONNX Runtime on a CPU has no float16 convolution: it would
    compute a float16 model in float32 and hide both rounding and overflow.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    weights = {weight.name: weight for weight in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    halves: dict[str, str] = {}

    def through_half(tensor: str, name: str) -> None:
        nodes.append(
            helper.make_node("Cast", [tensor], [f"{name}_16"], f"{name}_16", to=TensorProto.FLOAT16)
        )
        nodes.append(
            helper.make_node("Cast", [f"{name}_16"], [name], f"{name}_32", to=TensorProto.FLOAT)
        )

    integers = {node.output[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    for node in graph.node:
        if node.name in keep:
            nodes.append(node)
            continue
        for place, tensor in enumerate(node.input):
            if tensor in weights:
                _convert(weights[tensor], TensorProto.FLOAT16)
                _convert(weights[tensor], TensorProto.FLOAT)
            elif tensor not in integers:
                if tensor not in halves:
                    halves[tensor] = f"{tensor}_rounded"
                    through_half(tensor, halves[tensor])
                node.input[place] = halves[tensor]
        nodes.append(node)
    output = graph.output[0].name
    last = next(node for node in nodes if node.output[0] == output)
    last.output[0] = f"{output}_exact"
    through_half(last.output[0], output)
    _replace(graph, nodes)
    return result


def _convert(weight: onnx.TensorProto, wanted: int) -> None:
    if weight.data_type in _FLOATS and weight.data_type != wanted:
        dtype = np.float16 if wanted == TensorProto.FLOAT16 else np.float32
        with np.errstate(over="ignore"):
            value = numpy_helper.to_array(weight).astype(dtype)
        weight.CopyFrom(numpy_helper.from_array(value, weight.name))


def _replace(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
