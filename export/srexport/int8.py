"""Steps for the native backend's int8, found on images and proven on others.

A layer's input is quantised with one step for all its channels, its weights with one step for each
output. Where to clip is first chosen for each input alone, by the squared error of its values, and
then tried on pixels, layer by layer: what counts is the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from srexport.onnx import annotate, load, save
from srexport.variants import plain_session
from srsdk import _kernels, onnxfile
from srsdk.backends.convchain import Chain, read_chain
from srsdk.errors import ModelFormatError
from srsdk.int8 import METADATA_KEY, Int8Certificate, Int8Record, LayerSteps
from srsdk.spec import ModelSpec
from srsdk.types import Pixels

_UNIT = float(np.float32(1 / 255))
_LEVELS = 127
_CLIPS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
_TRIALS = (0.8, 0.9, 1.12, 1.25)
"""Factors by which an input's step is tried to be changed."""

_ROUNDS = 2
_SAMPLES = 1 << 16


@dataclass(frozen=True)
class ImageSet:
    """High-resolution images of one size, and what they become at low resolution.

    Attributes:
        name: What to call them.
        lr: `(N, H, W, 3)` u8 RGB.
        hr: `(N, scale*H, scale*W, 3)` u8 RGB.
    """

    name: str
    lr: Pixels
    hr: Pixels


def quantize_file(
    model: Path, calibration: Sequence[ImageSet], judged: Sequence[ImageSet], output: Path
) -> Int8Record:
    """Write the model with steps for int8 beside its float32 weights.

    Args:
        model: ONNX file that `srsdk-export onnx` wrote.
        calibration: Images that the steps are chosen on.
        judged: Others, that the certificate is made on.
        output: File to write; may be `model`.

    Returns:
        What was written; its certificate may say that int8 does not suffice.

    Raises:
        ModelNotFoundError: There is no such model.
        ModelFormatError: It is no model for the native backend's int8.
    """
    proto = load(model)
    file = onnxfile.read(model)
    spec = ModelSpec.from_metadata(file.metadata, source=str(model))
    network = _Network(read_chain(file, spec), spec, str(model))
    record = network.certify(network.search(proto, calibration), judged)
    annotate(proto, METADATA_KEY, record.to_metadata()[METADATA_KEY])
    save(proto, output)
    return record


class _Network:
    """A chain of convolutions, in float32 and, with steps, in int8."""

    def __init__(self, chain: Chain, spec: ModelSpec, source: str) -> None:
        self._chain, self._spec, self._source = chain, spec, source
        self._exact = self._kernel(None)

    def search(self, proto: onnx.ModelProto, sets: Sequence[ImageSet]) -> tuple[LayerSteps, ...]:
        """The best steps found for these images."""
        seen = _inputs_seen(proto, self._spec, sets)
        ranges = [
            _Range(_UNIT, 0) if layer.source == 0 else _chosen(seen[layer.source])
            for layer in self._chain.layers
        ]
        expected = [self._run(self._exact, images.lr) for images in sets]

        def error(trial: list[_Range]) -> float:
            kernel = self._kernel(self._steps(trial))
            results = [self._run(kernel, images.lr) for images in sets]
            return -min(psnr(a, b) for a, b in zip(expected, results, strict=True))

        best = error(ranges)
        sources = sorted({layer.source for layer in self._chain.layers} - {0})
        for _ in range(_ROUNDS):
            before = best
            for source in sources:
                for factor in _TRIALS:
                    trial = [
                        one.widened(factor) if layer.source == source else one
                        for one, layer in zip(ranges, self._chain.layers, strict=True)
                    ]
                    result = error(trial)
                    if result < best:
                        best, ranges = result, trial
            if best > before - 0.05:
                break
        return self._steps(ranges)

    def certify(self, steps: tuple[LayerSteps, ...], sets: Sequence[ImageSet]) -> Int8Record:
        """Compare int8 with float32, and both with the high-resolution images."""
        kernel = self._kernel(steps)
        nearness, loss = [], []
        for images in sets:
            exact = self._run(self._exact, images.lr)
            integer = self._run(kernel, images.lr)
            nearness.append(psnr(exact, integer))
            losses = [
                psnr(a, hr) - psnr(b, hr)
                for a, b, hr in zip(exact, integer, images.hr, strict=True)
            ]
            loss.append(float(np.mean([one for one in losses if np.isfinite(one)] or [0.0])))
        names = ", ".join(
            f"{images.name}: {len(images.lr)} of {images.lr.shape[2]}x{images.lr.shape[1]}"
            for images in sets
        )
        lowest = min(min(nearness), 99.0)  # equal pixels have no PSNR that JSON can hold
        return Int8Record(steps, Int8Certificate(round(lowest, 2), round(max(loss), 4), names))

    def _kernel(
        self, steps: tuple[LayerSteps, ...] | None
    ) -> _kernels.Network | _kernels.Int8Network:
        each = [None] * len(self._chain.layers) if steps is None else steps
        layers = [layer.kernel(one) for layer, one in zip(self._chain.layers, each, strict=True)]
        kind = _kernels.Network if steps is None else _kernels.Int8Network
        spec = self._spec
        try:
            return kind(
                layers,
                scale=spec.scale,
                shuffle=self._chain.shuffle,
                base=spec.base,
                swap_rb=spec.channel_order != "rgb",
            )
        except ValueError as error:
            raise ModelFormatError(f"{self._source} cannot run in int8: {error}") from error

    def _run(self, kernel: _kernels.Network | _kernels.Int8Network, lr: Pixels) -> Pixels:
        count, height, width, _ = lr.shape
        scale = self._spec.scale
        out = np.empty((count, height * scale, width * scale, 3), np.uint8)
        kernel.run_into(out, lr)
        return out

    def _steps(self, ranges: Sequence[_Range]) -> tuple[LayerSteps, ...]:
        result = []
        for layer, values in zip(self._chain.layers, ranges, strict=True):
            inputs = layer.weight.shape[1]
            largest = np.abs(layer.weight * np.float32(values.step)).reshape(len(layer.weight), -1)
            steps = np.maximum(largest.max(axis=1) / _LEVELS, 1e-12).astype(np.float32)
            result.append(
                LayerSteps(
                    (values.step,) * inputs,
                    (values.zero,) * inputs,
                    tuple(float(f"{step:.7g}") for step in steps),
                )
            )
        return tuple(result)


@dataclass(frozen=True)
class _Range:
    """How a tensor's values become bytes."""

    step: float
    zero: int

    def widened(self, factor: float) -> _Range:
        return replace(self, step=_rounded(self.step * factor))


def psnr(a: Pixels, b: Pixels) -> float:
    """PSNR over all values, in dB; infinite where they are equal."""
    error = np.mean((a.astype(np.float32) - b.astype(np.float32)) ** 2, dtype=np.float64)
    return float("inf") if error == 0 else float(10 * np.log10(255.0**2 / error))


def _inputs_seen(
    proto: onnx.ModelProto, spec: ModelSpec, sets: Sequence[ImageSet]
) -> dict[int, NDArray[Any]]:
    """Samples of what convolutions read, by the number of the convolution that made it."""
    instrumented = onnx.ModelProto()
    instrumented.CopyFrom(proto)
    graph = instrumented.graph
    numbers = {graph.input[0].name: 0}
    for node in graph.node:  # as read_chain numbers values
        made = int(node.op_type == "Conv")
        numbers[node.output[0]] = max(numbers.values()) + made
    read = {node.input[0]: numbers[node.input[0]] for node in graph.node if node.op_type == "Conv"}
    inner = [name for name, number in read.items() if number]
    known = {output.name for output in graph.output}
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner if name not in known)
    session = plain_session(instrumented)
    samples: dict[int, list[NDArray[Any]]] = {read[name]: [] for name in inner}
    for images in sets:
        for frame in images.lr:
            planes = _kernels.unpack(frame[None], swap_rb=spec.channel_order != "rgb")
            results = session.run(inner, {graph.input[0].name: planes.astype(np.float32)})
            for name, values in zip(inner, results, strict=True):
                flat = values.ravel()
                step = max(1, flat.size * len(images.lr) // _SAMPLES)
                extremes = np.array([flat.min(), flat.max()])
                samples[read[name]].append(np.concatenate([flat[::step], extremes]))
    return {number: np.concatenate(parts) for number, parts in samples.items()}


def _chosen(values: NDArray[Any]) -> _Range:
    """The range that loses least of these values."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 1e-6)

    def candidate(clip: float) -> _Range:
        step = (high - low) * clip / 255
        return _Range(_rounded(step), min(round(-low * clip / step), 255))

    def error(one: _Range) -> float:
        bytes_ = np.clip(np.rint(values / one.step) + one.zero, 0, 255)
        return float(np.mean(((bytes_ - one.zero) * one.step - values) ** 2))

    return min((candidate(clip) for clip in _CLIPS), key=error)


def _rounded(step: float) -> float:
    """A step that float32 holds, in few digits."""
    return float(np.float32(f"{step:.7g}"))
