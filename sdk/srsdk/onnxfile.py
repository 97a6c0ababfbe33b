"""Reads the ONNX files that `srsdk-export` writes, without the onnx package.

An ONNX file is a protocol buffer message. Its wire format is a sequence of fields, each a number, a
wire type and a value (a variable-length integer, 4 or 8 bytes, or a counted string of bytes, which
for a nested message is the same again).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from srsdk.errors import ModelFormatError, ModelNotFoundError
from srsdk.spec import ModelSpec

Array = NDArray[np.float32]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FLOAT = 1  # TensorProto.DataType


@dataclass(frozen=True)
class Node:
    """One operator: its type, the names of its inputs and first output, and its attributes."""

    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, int | str | tuple[int, ...]]

    def keeps_size(self, kernel: int) -> bool:
        """Whether it is a convolution with a square kernel whose output has the input's size."""
        expected = {
            "kernel_shape": (kernel, kernel),
            "pads": (kernel // 2,) * 4,
            "strides": (1, 1),
            "dilations": (1, 1),
            "group": 1,
        }
        written = {"pads": (0, 0, 0, 0), **self.attributes}
        return self.kind == "Conv" and all(
            value == expected.get(name) for name, value in written.items()
        )


@dataclass(frozen=True)
class OnnxFile:
    """A model: operators in order, float32 weights by name, input, output and metadata."""

    nodes: tuple[Node, ...]
    weights: dict[str, Array]
    input: str
    output: str
    metadata: dict[str, str]


def read(path: Path) -> OnnxFile:
    """Read a model.

    Raises:
        ModelNotFoundError: There is no such file.
        ModelFormatError: It is not ONNX, or damaged.
    """
    try:
        data = memoryview(path.read_bytes())
    except OSError as error:
        raise ModelNotFoundError(f"there is no model file {path}") from error
    try:
        model = _fields(data)
        metadata = dict(_strings(entry, 1, 2) for entry in model.get(14, []))
        graph = _fields(_only(model, 7))
        weights = dict(_tensors(graph.get(5, [])))
        inputs, outputs = ([_name(value) for value in graph.get(n, [])] for n in (11, 12))
        nodes = tuple(_node(node) for node in graph.get(1, []))
        if len(inputs) != 1 or len(outputs) != 1:
            raise ModelFormatError(f"{path}: expected one input and one output")
        return OnnxFile(nodes, weights, inputs[0], outputs[0], metadata)
    except ModelFormatError:
        raise
    except (LookupError, TypeError, ValueError) as error:
        raise ModelFormatError(f"{path} is not an ONNX file or damaged; export it again") from error


def read_spec(path: Path) -> ModelSpec:
    """The spec in a model's metadata.

    Raises:
        ModelNotFoundError: There is no such file.
        ModelFormatError: It is not ONNX, damaged, or carries no spec.
    """
    return ModelSpec.from_metadata(read(path).metadata, source=str(path))


_Value = int | memoryview
_Fields = dict[int, list[_Value]]


def _fields(data: _Value) -> _Fields:
    """A message's fields by number, in order."""
    found: _Fields = {}
    for number, value in _parse(_bytes(data)):
        found.setdefault(number, []).append(value)
    return found


def _parse(data: memoryview) -> Iterator[tuple[int, _Value]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire}")
        if number == 0 or at + size > len(data):
            raise ValueError("a field reaches beyond the end")
        yield number, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("an integer of more than 64 bits")


def _bytes(value: _Value) -> memoryview:
    if isinstance(value, int):
        raise TypeError("an integer in place of bytes")
    return value


def _only(fields: _Fields, number: int) -> _Value:
    (value,) = fields[number]
    return value


def _text(value: _Value) -> str:
    return str(_bytes(value), "utf-8")


def _strings(data: _Value, key: int, value: int) -> tuple[str, str]:
    fields = _fields(data)
    return _text(_only(fields, key)), _text(fields.get(value, [memoryview(b"")])[0])


def _name(data: _Value) -> str:
    return _text(_only(_fields(data), 1))


def _integers(values: list[_Value]) -> tuple[int, ...]:
    """A repeated integer field, packed or not."""
    result: list[int] = []
    for value in values:
        if isinstance(value, int):
            result.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            result.append(number)
    return tuple(result)


def _node(data: _Value) -> Node:
    fields = _fields(data)
    attributes = dict(_attribute(value) for value in fields.get(5, []))
    inputs = tuple(_text(value) for value in fields.get(1, []))
    return Node(_text(_only(fields, 4)), inputs, _text(fields[2][0]), attributes)


def _attribute(data: _Value) -> tuple[str, int | str | tuple[int, ...]]:
    fields = _fields(data)
    name = _text(_only(fields, 1))
    if 3 in fields:
        return name, _integers(fields[3])[0]
    if 4 in fields:
        return name, _text(fields[4][0])
    return name, _integers(fields.get(8, []))


def _tensors(values: list[_Value]) -> Iterator[tuple[str, Array]]:
    """The float32 weights by name; weights of other types are skipped."""
    for value in values:
        fields = _fields(value)
        if fields.get(2) == [_FLOAT] and 9 in fields:
            shape = _integers(fields.get(1, []))
            data = _bytes(_only(fields, 9))
            yield _text(_only(fields, 8)), np.frombuffer(data, "<f4").reshape(shape)
