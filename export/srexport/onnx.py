"""Writes a generator as an ONNX graph with its `ModelSpec` in the metadata.

Operators are Conv, Relu, PRelu, Add and DepthToSpace (mode CRD, torch's order) of opset 17, which
ONNX Runtime, TensorRT 10 and 11 and OpenVINO take; batch, height and width are dynamic.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from srexport.rewrite import shuffle_last
from srexport.source import Conv, Layer, LayeredGenerator, PRelu, Relu, Residual, Shuffle
from srsdk.errors import ModelFormatError, ModelNotFoundError
from srsdk.files import write_whole
from srsdk.onnxfile import Array
from srsdk.spec import ModelSpec

OPSET = 17
IR_VERSION = 8
INPUT, OUTPUT = "lr", "sr"


class _Graph:
    """Collects nodes and weights; every method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def weight(self, value: Array, role: str) -> str:
        name = f"{role}_{len(self.nodes)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def chain(self, x: str, layers: Sequence[Layer]) -> str:
        for layer in layers:
            x = self.layer(x, layer)
        return x

    def layer(self, x: str, layer: Layer) -> str:
        if isinstance(layer, Conv):
            size = layer.weight.shape[-1]
            weight, bias = self.weight(layer.weight, "weight"), self.weight(layer.bias, "bias")
            pads = [size // 2] * 4
            return self.node("Conv", x, weight, bias, kernel_shape=[size, size], pads=pads)
        if isinstance(layer, Relu):
            return self.node("Relu", x)
        if isinstance(layer, PRelu):
            return self.node("PRelu", x, self.weight(layer.slope[:, None, None], "slope"))
        if isinstance(layer, Shuffle):
            return self.node("DepthToSpace", x, blocksize=layer.factor, mode="CRD")
        if isinstance(layer, Residual):
            return self.node("Add", x, self.chain(x, layer.layers))
        raise TypeError(f"no operator for {type(layer).__name__}")


def build(source: LayeredGenerator, *, tail: str = "subpixel") -> onnx.ModelProto:
    """The generator as an ONNX model.

    Args:
        source: A folded generator.
        tail: "subpixel" ends the graph before its last pixel shuffle, which the runtime does while
            it writes the frame; "image" ends the graph at the RGB image.

    Raises:
        ValueError: `tail` has another value.
    """
    if tail == "subpixel":
        *layers, last = shuffle_last(source.layers)
        assert isinstance(last, Shuffle)
        spec = dataclasses.replace(source.spec, tail="subpixel", shuffle=last.factor)
    elif tail == "image":
        layers, spec = list(source.layers), source.spec
    else:
        raise ValueError(f"tail is {tail!r}, expected 'subpixel' or 'image'")
    graph = _Graph()
    result = graph.chain(INPUT, layers)
    graph.nodes[-1].output[0] = OUTPUT
    assert result != INPUT
    proto = helper.make_graph(
        graph.nodes,
        spec.name,
        [_tensor(INPUT, 3, 1, spec)],
        [_tensor(OUTPUT, spec.out_channels, spec.graph_scale, spec)],
        graph.weights,
    )
    model = helper.make_model(
        proto,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="srsdk",
    )
    spec = dataclasses.replace(spec, sha256=weights_sha256(model))
    helper.set_model_props(model, spec.to_metadata())
    onnx.checker.check_model(model, full_check=True)
    return model


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write the model's file, whole or not at all."""
    write_whole(path, model.SerializeToString())


def load(path: Path) -> onnx.ModelProto:
    """Read a model.

    Raises:
        ModelNotFoundError: The file does not exist.
        ModelFormatError: The file is not ONNX.
    """
    if not path.is_file():
        raise ModelNotFoundError(f"there is no model file {path}")
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except DecodeError as error:
        raise ModelFormatError(f"{path} is not an ONNX file; export it again") from error
    if not model.graph.node:
        raise ModelFormatError(f"{path} is not an ONNX file with a graph; export it again")
    return model


def annotate(model: onnx.ModelProto, key: str, value: str) -> None:
    """Set one entry of the metadata."""
    kept = {entry.key: entry.value for entry in model.metadata_props if entry.key != key}
    helper.set_model_props(model, {**kept, key: value})


def read_spec(model: onnx.ModelProto, source: str = "model") -> ModelSpec:
    """The spec in a model's metadata; raises `ModelFormatError` if there is none."""
    return ModelSpec.from_metadata({p.key: p.value for p in model.metadata_props}, source=source)


def weights_sha256(model: onnx.ModelProto) -> str:
    """Hash over names, types, shapes and values of all weights, in the order of their names."""
    digest = hashlib.sha256()
    for weight in sorted(model.graph.initializer, key=lambda weight: weight.name):
        array = numpy_helper.to_array(weight)
        digest.update(f"{weight.name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _tensor(name: str, channels: int, factor: int, spec: ModelSpec) -> onnx.ValueInfoProto:
    prefix = f"{factor}*" if factor > 1 else ""
    shape: list[str | int | None] = ["batch", channels, f"{prefix}height", f"{prefix}width"]
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
