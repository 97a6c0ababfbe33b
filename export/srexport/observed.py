"""What a network's convolutions read, seen while it runs on images: ranges and second moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from srexport.variants import plain_session
from srsdk import _kernels
from srsdk.backends.convchain import Chain
from srsdk.types import Pixels

_PLACES = 400
"""Places of an image whose surroundings are looked at."""


@dataclass
class Observed:
    """What one convolution reads.

    Attributes:
        low: `(inputs,)` the least of each channel, at most 0.
        high: `(inputs,)` the largest of each channel, above 0.
        moments: `(inputs * k * k, inputs * k * k)` mean of `x x'`, x being what the kernel covers
            at a place, in the order of the weights.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    moments: NDArray[np.float64]


def observe(
    model: onnx.ModelProto, chain: Chain, frames: Sequence[Pixels], *, swap_rb: bool
) -> list[Observed]:
    """Run the float32 model on images and note what each convolution reads.

    Args:
        model: The graph that `chain` was read from.
        chain: Its convolutions.
        frames: `(H, W, 3)` u8 RGB images, of any sizes.
        swap_rb: Whether the model wants BGR.

    Returns:
        One for each convolution.
    """
    instrumented, names = _with_outputs(model)
    session = plain_session(instrumented)
    source, inner = model.graph.input[0].name, [name for name in names if name]
    random = np.random.default_rng(0)
    seen = [_empty(layer.weight) for layer in chain.layers]
    for frame in frames:
        planes = _kernels.unpack(frame[None], swap_rb=swap_rb).astype(np.float32)
        found = dict(zip(inner, session.run(inner, {source: planes}), strict=True))
        for layer, observed in zip(chain.layers, seen, strict=True):
            values = found[names[layer.source]] if layer.source else planes
            _add(observed, values[0], layer.weight.shape[-1], random)
    for observed in seen:
        observed.moments /= len(frames)
    return seen


def _empty(weight: NDArray[np.float32]) -> Observed:
    inputs, size = weight.shape[1], int(np.prod(weight.shape[1:]))
    return Observed(np.zeros(inputs), np.full(inputs, 1e-6), np.zeros((size, size)))


def _add(
    observed: Observed, values: NDArray[np.float32], size: int, random: np.random.Generator
) -> None:
    flat = values.reshape(len(values), -1)
    np.minimum(observed.low, flat.min(axis=1), out=observed.low)
    np.maximum(observed.high, flat.max(axis=1), out=observed.high)
    reach = size // 2
    padded = np.pad(values, ((0, 0), (reach, reach), (reach, reach)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
    y, x = (random.integers(0, length, _PLACES) for length in values.shape[1:])
    patches = windows[:, y, x].transpose(1, 0, 2, 3).reshape(_PLACES, -1)
    observed.moments += patches.T @ patches / _PLACES


def _with_outputs(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """The model with every value that a convolution reads as an output, and their names by number.

    Numbers are `read_chain`'s; a value that no convolution reads has no name.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    numbers = {graph.input[0].name: 0}
    count = 0
    for node in graph.node:
        count += node.op_type == "Conv"
        numbers[node.output[0]] = count
    names = [""] * (count + 1)
    for node in graph.node:
        if node.op_type == "Conv" and numbers[node.input[0]]:
            names[numbers[node.input[0]]] = node.input[0]
    known = {output.name for output in graph.output}
    graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n and n not in known)
    return result, names
