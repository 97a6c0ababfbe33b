"""`--plugin`: sub-pixel blocks as one operator, for the TensorRT plugin of kernels/plugin.

A sub-pixel block inside a generator is Conv, DepthToSpace, PRelu. The plugin's operator does what
follows the convolution's sums, bias, shuffle and activation, in one pass over memory.
"""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from srexport.onnx import annotate, read_spec, weights_sha256
from srsdk.errors import InputError
from srsdk.onnxfile import Array
from srsdk.tensorrt.plugin import NAMESPACE, PLUGIN, VERSION

_FACTORS = (2, 3, 4, 8)
"""Shuffle factors that the kernel is compiled for."""


def use_plugin(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the plugin's operator for each sub-pixel block.

    Bias and slope become float32 weights of the operator, which computes in float32 whatever the
    type of the graph. Only TensorRT can run the result; its spec says so.

    Args:
        model: From `srexport.onnx.build` or `srexport.precision.convert`.

    Raises:
        InputError: The model has no sub-pixel block.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    weights = {weight.name: weight for weight in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}
    uses = Counter(name for node in graph.node for name in node.input)

    def before(node: onnx.NodeProto, kind: str) -> onnx.NodeProto | None:
        """The node that made the first input, if it is of this kind and has no other reader."""
        maker = makers.get(node.input[0])
        alone = maker is not None and maker.op_type == kind and uses[node.input[0]] == 1
        return maker if alone else None

    replaced: dict[str, onnx.NodeProto] = {}
    dropped: set[str] = set()
    for node in graph.node:
        shuffle = before(node, "DepthToSpace") if node.op_type == "PRelu" else None
        conv = before(shuffle, "Conv") if shuffle is not None else None
        if shuffle is None or conv is None or len(conv.input) != 3:
            continue
        options = {entry.name: helper.get_attribute_value(entry) for entry in shuffle.attribute}
        if options["blocksize"] not in _FACTORS or options.get("mode", b"DCR") != b"CRD":
            continue
        for name in (conv.input[2], node.input[1]):
            _flat_float32(weights[name])
        replaced[node.name] = helper.make_node(
            PLUGIN,
            [conv.output[0], conv.input[2], node.input[1]],
            [node.output[0]],
            node.name,
            domain=NAMESPACE,
            r=options["blocksize"],
            plugin_version=VERSION,
            plugin_namespace=NAMESPACE,
        )
        dropped.add(shuffle.name)
        del conv.input[2]
    if not replaced:
        raise InputError(
            "this generator has no sub-pixel block (convolution, pixel shuffle, PReLU) inside it; "
            "export it without --plugin"
        )
    nodes = [replaced.get(node.name, node) for node in graph.node if node.name not in dropped]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    result.opset_import.append(helper.make_opsetid(NAMESPACE, 1))
    spec = read_spec(result)
    spec = dataclasses.replace(
        spec,
        name=f"{spec.name}-plugin",
        plugin=f"{NAMESPACE}.{PLUGIN} {VERSION}",
        sha256=weights_sha256(result),
    )
    for key, value in spec.to_metadata().items():
        annotate(result, key, value)
    onnx.checker.check_model(with_meaning(result), full_check=True)
    return result


def with_meaning(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the operator defined by standard operators, as an ONNX function.

    Any runtime can run it, in the kernel's steps: convert to float32, add the bias, shuffle, apply
    PReLU, round to the input's type. TensorRT would use the function too, instead of the plugin.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    shuffle = helper.make_node("DepthToSpace", ["biased"], ["shuffled"], mode="CRD")
    shuffle.attribute.append(
        onnx.AttributeProto(name="blocksize", ref_attr_name="r", type=onnx.AttributeProto.INT)
    )
    plane = numpy_helper.from_array(np.array([-1, 1, 1], np.int64), "plane")
    nodes = [
        helper.make_node("Constant", [], ["plane"], value=plane),
        helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["bias", "plane"], ["bias_planes"]),
        helper.make_node("Add", ["wide", "bias_planes"], ["biased"]),
        shuffle,
        helper.make_node("Reshape", ["slope", "plane"], ["slope_planes"]),
        helper.make_node("PRelu", ["shuffled", "slope_planes"], ["active"]),
        helper.make_node("CastLike", ["active", "x"], ["y"]),
    ]
    opset = next(entry for entry in result.opset_import if not entry.domain)
    attributes = ["r", "plugin_version", "plugin_namespace"]
    result.functions.append(
        helper.make_function(
            NAMESPACE, PLUGIN, ["x", "bias", "slope"], ["y"], nodes, [opset], attributes
        )
    )
    return result


def _flat_float32(weight: onnx.TensorProto) -> None:
    value: Array = numpy_helper.to_array(weight).astype(np.float32).ravel()
    weight.CopyFrom(numpy_helper.from_array(value, weight.name))
