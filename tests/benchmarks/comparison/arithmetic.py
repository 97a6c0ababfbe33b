"""How much arithmetic a row's image takes: multiply-adds of the convolutions, nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import onnx

from srsdk import zoo
from srsdk.onnxfile import read
from srsdk.spec import ModelSpec

#: Of the two networks whose files say it in no readable way, a low-resolution pixel.
#: FSRCNN (d 56, s 12, m 4): 5x5, 1x1, four 3x3, 1x1, and a 9x9 transposed convolution whose every
#: tap meets every input pixel. ESPCN: 5x5, 3x3, 3x3 at the low resolution.
_PEERS = {
    "FSRCNN_x4": 25 * 56 + 56 * 12 + 4 * 9 * 12 * 12 + 12 * 56 + 81 * 56,
    "ESPCN_x4": 25 * 64 + 9 * 64 * 32 + 9 * 32 * 16,
}


@dataclass(frozen=True)
class Work:
    """Multiply-adds a low-resolution pixel.

    Attributes:
        report: In the form that the report gives the network; for others as published.
        exported: As the file has it: the exporter rewrites the last convolution of the report's
            generators.
    """

    report: int
    exported: int


def of_model(name: str) -> Work:
    """Of a bundled generator."""
    file = read(Path(zoo.find(name)))
    spec = ModelSpec.from_metadata(file.metadata)
    area = {file.input: 1}  # of a value, relative to the input's
    macs: list[int] = []
    for node in file.nodes:
        area[node.output] = area[node.inputs[0]]
        if node.kind == "Conv":
            macs.append(file.weights[node.inputs[1]].size * area[node.output])
            last = file.weights[node.inputs[1]].shape
        elif node.kind == "DepthToSpace":
            area[node.output] *= int(node.attributes["blocksize"]) ** 2  # type: ignore[arg-type]
    exported = sum(macs)
    rewritten = spec.shuffle == 2 and last[2] == 5 and last[1] == 256
    # The report's last convolution: 9x9 over 64 channels to 3, at the high resolution.
    own = 81 * 64 * 3 * spec.scale**2
    return Work(exported - macs[-1] + own if rewritten else exported, exported)


def of_peer(name: str, folder: Path) -> Work:
    """Of another's network."""
    if name in _PEERS:
        return Work(_PEERS[name], _PEERS[name])
    macs = 0
    if (folder / f"{name}.onnx").is_file():  # all of their convolutions are at the low resolution
        graph = onnx.load(folder / f"{name}.onnx").graph
        read_by = {node.input[1] for node in graph.node if node.op_type == "Conv"}
        macs = sum(math.prod(one.dims) for one in graph.initializer if one.name in read_by)
        return Work(macs, macs)
    for line in (folder / f"{name}.param").read_text("ascii").splitlines():
        kind, *rest = line.split() or [""]
        if kind == "Convolution":  # all of them at the low resolution; 6 is the number of weights
            macs += next(int(word[2:]) for word in rest if word.startswith("6="))
    return Work(macs, macs)
