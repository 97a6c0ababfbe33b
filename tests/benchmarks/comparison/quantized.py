"""The bundled weights in int8 in the form in which others would run them.

That is the steps of srsdk's own int8, as QuantizeLinear and DequantizeLinear around convolutions.
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
        ValueError: The model has no int8 steps.
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

    done: dict[str, str] = {}
    steps_of = iter(record.layers)
    for node in graph.node:
        if node.op_type == "Conv":
            steps = next(steps_of)
            source, name = node.input[0], node.input[1]
            step = np.array(steps.input_step[0], np.float32)
            zero = np.array(steps.input_zero[0], np.uint8)
            if source not in done:
                to = [source, constant(step, f"{source}_to"), constant(zero, f"{source}_at")]
                nodes.append(helper.make_node("QuantizeLinear", to, [f"{source}_u8"]))
                done[source] = dequantized(f"{source}_u8", step, zero, None)
            # A weight's step times the input's is the step of the sums, which srsdk keeps.
            each = np.array(steps.weight_step, np.float32) / step
            values = numpy_helper.to_array(weights[name]) / each[:, None, None, None]
            levels = np.clip(np.rint(values), -127, 127).astype(np.int8)
            weights[name].CopyFrom(numpy_helper.from_array(levels, name))
            node.input[0] = done[source]
            node.input[1] = dequantized(name, each, np.zeros(len(each), np.int8), 0)
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(result, full_check=True)
    onnx.save(result, target)
