"""The same weights in PyTorch, eager and compiled, NumPy around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from numpy_way import Values, pack, unpack
from torch import nn
from torch.nn import functional
from worker import Job, Program

from srsdk.onnxfile import read


class Network(nn.Module):
    """The operators of an exported graph, one after another."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        file = read(path)
        self.nodes, self.source, self.result = file.nodes, file.input, file.output
        self.names = {name: f"weight_{n}" for n, name in enumerate(file.weights)}
        for name, weight in file.weights.items():
            self.register_buffer(self.names[name], torch.tensor(weight))

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        values = {self.source: lr}
        for node in self.nodes:
            inputs: list[Any] = []
            for name in filter(None, node.inputs):
                known = name in values
                inputs.append(values[name] if known else getattr(self, self.names[name]))
            values[node.output] = _apply(node.kind, inputs, node.attributes)
        return values[self.result]


def _apply(kind: str, inputs: list[Any], attributes: dict[str, Any]) -> torch.Tensor:
    if kind == "Conv":
        return functional.conv2d(*inputs, padding=attributes["kernel_shape"][0] // 2)
    if kind == "Relu":
        return functional.relu(inputs[0])
    if kind == "PRelu":
        return functional.prelu(inputs[0], inputs[1].reshape(-1))
    if kind == "Add":
        return inputs[0] + inputs[1]
    if kind == "DepthToSpace":
        return functional.pixel_shuffle(inputs[0], attributes["blocksize"])
    if kind == "Resize":
        scale = int(inputs[1][-1])
        if attributes["mode"] == "nearest":
            return functional.interpolate(inputs[0], scale_factor=scale)
        return functional.interpolate(inputs[0], scale_factor=scale, mode="bilinear")
    raise ValueError(f"no PyTorch form of {kind} here")


def open(job: Job) -> Program:  # noqa: A001
    torch.set_num_threads(job.threads)
    network: Any = Network(Path(job.options["file"])).eval()
    if job.options.get("compile"):
        network = torch.compile(network)

    def graph(values: Values) -> Values:
        with torch.inference_mode():
            return network(torch.from_numpy(values)).numpy()

    versions = {"torch": torch.__version__}
    return Program((("unpack", unpack), ("graph", graph), ("pack", pack)), versions)
