"""The bundled weights in the form in which others would run them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from srsdk.onnxfile import Node, OnnxFile, read
from srsdk.spec import ModelSpec


def write_plain(model: Path, target: Path) -> None:
    """The graph with its shuffle and base image appended, as a plain export has them."""
    spec = ModelSpec.from_metadata(read(model).metadata)
    plain = onnx.load(model)
    graph = plain.graph
    source, result = graph.input[0].name, graph.output[0].name
    if spec.shuffle > 1:
        shuffle = helper.make_node(
            "DepthToSpace", [result], ["shuffled"], blocksize=spec.shuffle, mode="CRD"
        )
        graph.node.append(shuffle)
        result = "shuffled"
    if spec.base != "none":
        scales = np.array([1, 1, spec.scale, spec.scale], np.float32)
        graph.initializer.append(numpy_helper.from_array(scales, "scales"))
        mode = "linear" if spec.base == "bilinear" else "nearest"
        graph.node.append(helper.make_node("Resize", [source, "", "scales"], ["base"], mode=mode))
        graph.node.append(helper.make_node("Add", [result, "base"], ["image"]))
        result = "image"
    del graph.output[:]
    shape = ["batch", 3, "out_height", "out_width"]
    graph.output.append(helper.make_tensor_value_info(result, onnx.TensorProto.FLOAT, shape))
    onnx.checker.check_model(plain, full_check=True)
    onnx.save(plain, target)


def write_ncnn(plain: Path, param: Path, weights: Path) -> dict[str, str]:
    """A plain graph as ncnn files.

    A blob that several layers read goes through a Split, as ncnn's own converters have it.

    Returns:
        Names of the blobs `input` and `output`.
    """
    file = read(plain)
    uses: dict[str, int] = {}
    for node in file.nodes:
        for name in node.inputs:
            if name and name not in file.weights:
                uses[name] = uses.get(name, 0) + 1
    layers = [f"Input {file.input} 0 1 {file.input}"]
    blobs = 1
    data: list[bytes] = []
    copies: dict[str, list[str]] = {}

    def split(name: str) -> None:
        nonlocal blobs
        if uses.get(name, 0) > 1:
            copies[name] = [f"{name}_copy_{n}" for n in range(uses[name])]
            made = " ".join(copies[name])
            layers.append(f"Split split_{name} 1 {len(copies[name])} {name} {made}")
            blobs += len(copies[name])

    split(file.input)
    for node in file.nodes:
        sources = [name for name in node.inputs if name and name not in file.weights]
        read_from = [copies[name].pop(0) if name in copies else name for name in sources]
        kind, parameters, blob = _layer(node, file)
        ends = f"{len(sources)} 1 {' '.join(read_from)} {node.output}"
        layers.append(f"{kind} {node.output} {ends} {parameters}".rstrip())
        data.append(blob)
        blobs += 1
        split(node.output)
    param.write_text("\n".join(["7767517", f"{len(layers)} {blobs}", *layers, ""]), "ascii")
    weights.write_bytes(b"".join(data))
    return {"input": file.input, "output": file.output}


def _layer(node: Node, file: OnnxFile) -> tuple[str, str, bytes]:
    """Type, parameters and weights of one layer."""

    def weight(number: int) -> Any:
        return np.ascontiguousarray(file.weights[node.inputs[number]], "<f4")

    if node.kind == "Conv":
        kernel, bias = weight(1), weight(2)
        side = kernel.shape[-1]
        raw = struct.pack("<I", 0) + kernel.tobytes() + bias.tobytes()  # 0: float32 follows
        given = f"0={len(kernel)} 1={side} 4={side // 2} 5=1 6={kernel.size}"
        return "Convolution", given, raw
    if node.kind == "PRelu":
        slope = weight(1).reshape(-1)
        return "PReLU", f"0={slope.size}", slope.tobytes()
    if node.kind == "Resize":
        kind = 1 if node.attributes["mode"] == "nearest" else 2
        scale = int(file.weights[node.inputs[-1]][-1])
        return "Interp", f"0={kind} 1={scale}.0 2={scale}.0", b""
    if node.kind == "DepthToSpace":
        return "PixelShuffle", f"0={node.attributes['blocksize']}", b""
    simple = {"Relu": "ReLU", "Add": "BinaryOp"}
    if node.kind not in simple:
        raise ValueError(f"no ncnn form of {node.kind} here")
    return simple[node.kind], "0=0" if node.kind == "Add" else "", b""
