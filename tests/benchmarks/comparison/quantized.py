"""The bundled weights in int8 in the form in which others would run them.

That is the steps of srsdk's own int8, as QuantizeLinear and DequantizeLinear around convolutions.
Others want one step for all channels of an input, srsdk has one for each. Behind a ReLU
that is a matter of units: each channel is computed in units of its step, which is then 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from srsdk.int8 import read_int8
from srsdk.onnxfile import read

OPSET, IR_VERSION = 19, 9


def write_quantized(model: Path, target: Path) -> None:
    """The graph as exported, in int8.

    Raises:
        ValueError: The model has no int8 steps, or is not a chain of convolutions and ReLUs, whose
            units could not be changed.
    """
    record = read_int8(read(model).metadata, source=str(model))
    if record is None:
        raise ValueError(f"{model.name} has no int8 steps")
    result = onnx.load(model)
    result.opset_import[0].version, result.ir_version = OPSET, IR_VERSION
    graph = result.graph
    weights = {weight.name: weight for weight in graph.initializer}
    nodes: list[onnx.NodeProto] = []

    def constant(value: Any, name: str) -> str:
        graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def dequantized(values: str, steps: Any, zero: Any, axis: int | None) -> str:
        name = f"{values}_float"
        inputs = [values, constant(steps, f"{values}_step"), constant(zero, f"{values}_zero")]
        given = {} if axis is None else {"axis": axis}
        nodes.append(helper.make_node("DequantizeLinear", inputs, [name], **given))
        return name

    if {node.op_type for node in graph.node} - {"Conv", "Relu"}:
        raise ValueError(f"{model.name} is not a chain of convolutions and ReLUs")
    units = [np.array(layer.input_step, np.float32) for layer in record.layers[1:]]
    steps_of, units_of = iter(record.layers), iter([*units, np.ones(1, np.float32)])
    for node in graph.node:
        if node.op_type == "Conv":
            steps, unit = next(steps_of), next(units_of)
            if set(steps.input_zero) != {0}:
                raise ValueError(f"{model.name}: what a ReLU gives begins at 0")
            source, name, bias = node.input
            first = source == graph.input[0].name
            step = np.array(steps.input_step[0] if first else 1.0, np.float32)
            zero = np.array(0, np.uint8)
            to = [source, constant(step, f"{source}_to"), constant(zero, f"{source}_at")]
            nodes.append(helper.make_node("QuantizeLinear", to, [f"{source}_u8"]))
            node.input[0] = dequantized(f"{source}_u8", step, zero, None)
            # A weight's step times the input's is the step of the sums, which srsdk keeps.
            shape = numpy_helper.to_array(weights[name]).shape
            levels = np.frombuffer(steps.weight or b"", np.int8).reshape(shape)
            each = np.array(steps.weight_step, np.float32) / step / unit
            weights[name].CopyFrom(numpy_helper.from_array(levels, name))
            node.input[1] = dequantized(name, each, np.zeros(len(each), np.int8), 0)
            given = numpy_helper.to_array(weights[bias]) / unit
            weights[bias].CopyFrom(numpy_helper.from_array(given.astype(np.float32), bias))
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(result, full_check=True)
    onnx.save(result, target)
