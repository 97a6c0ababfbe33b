"""Chooses by trial, on pixels, which layers may compute in less than float32."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Set
from dataclasses import dataclass

import numpy as np
import onnx

from srexport.half import rounded, to_half
from srexport.images import probe_frames
from srexport.onnx import annotate, read_spec, weights_sha256
from srexport.quantize import calibrate, convolutions, quantize
from srexport.variants import VariantJudge
from srexport.verify import TOLERANCES, Parity, ParityError, Tolerance
from srsdk import _kernels
from srsdk.errors import InputError
from srsdk.spec import Precision
from srsdk.types import Pixels

_INT8_GOAL = Tolerance(largest=255, share_above_1=1.0, psnr=42.0)
"""Goal of the choice: 2 dB above the certificate's bar, as a margin for other frames."""

_JUDGED = 8
"""Number of held-out faces in each trial."""


@dataclass(frozen=True)
class Converted:
    """A model in another precision.

    Attributes:
        model: The model.
        kept: Names of the layers that stay in the wider type: float32 for fp16, float16 for int8.
        held_out: Faces that the layers were chosen on; None without calibration faces.
    """

    model: onnx.ModelProto
    kept: tuple[str, ...] = ()
    held_out: Pixels | None = None


def convert(model: onnx.ModelProto, precision: Precision, faces: Pixels | None = None) -> Converted:
    """Convert a float32 model to another precision.

    Args:
        model: From `srexport.onnx.build`.
        precision: The new precision.
        faces: `(N, S, S, 3)` u8 RGB; required for int8, optional for fp16. Every other face is for
            calibration, the rest for the trials.

    Raises:
        InputError: int8 lacks faces, or no layer is good enough in int8.
    """
    if precision == "fp32":
        return Converted(model)
    if precision == "fp16":
        return _fp16(model, faces)
    if faces is None or not len(faces):
        raise InputError(
            "int8 needs faces to calibrate on: add --calibration FOLDER_OR_SHARD, "
            "or take --precision fp16"
        )
    return _int8(model, faces)


def _fp16(model: onnx.ModelProto, faces: Pixels | None) -> Converted:
    batches = [probe_frames(), *([] if faces is None else [faces[:_JUDGED]])]
    judge = VariantJudge(model, read_spec(model), batches)
    layers = [node.name for node in model.graph.node]
    kept = widen(layers, lambda keep: judge.parity(rounded(model, keep)), TOLERANCES["fp16"])
    return Converted(_signed(to_half(model, kept), "fp16"), _ordered(kept, layers), None)


def _int8(model: onnx.ModelProto, faces: Pixels) -> Converted:
    spec = read_spec(model)
    held_out = (faces[1::2] if len(faces) > 1 else faces)[:_JUDGED]
    planes = _kernels.unpack(faces[::2], swap_rb=spec.channel_order != "rgb")
    scales = calibrate(model, planes.astype(np.float32))
    judge = VariantJudge(model, spec, [held_out])
    layers = convolutions(model)

    def trial(keep: Set[str]) -> Parity:
        return judge.parity(rounded(quantize(model, scales, keep)))

    kept = widen(layers, trial, _INT8_GOAL)
    if len(kept) == len(layers):
        raise InputError("no layer of this generator is good enough in int8; use --precision fp16")
    return Converted(
        _signed(to_half(quantize(model, scales, kept)), "int8"), _ordered(kept, layers), held_out
    )


def widen(
    layers: list[str], trial: Callable[[Set[str]], Parity], goal: Tolerance
) -> frozenset[str]:
    """Choose the layers that must stay in the wider type, so that the model meets the goal.

    Tries to keep none, then the first and the last layer, which usually cause the difference. If
    that does not suffice, it measures the harm of each layer alone in the narrow type, and keeps
    layers one by one, the most harmful first.

    Args:
        layers: Their names.
        trial: Returns the parity of the model that keeps these layers wide.
        goal: The tolerance to meet.

    Raises:
        ParityError: The model does not meet it even with all layers wide.
    """
    everything = frozenset(layers)
    for guess in (frozenset[str](), frozenset(layers[:1]), frozenset((layers[0], layers[-1]))):
        if guess < everything and not trial(guess).problem(goal):
            return guess
    alone = {layer: trial(everything - {layer}) for layer in layers}

    def harm(layer: str) -> tuple[int, int, float]:
        parity = alone[layer]
        return parity.non_finite, parity.largest if goal.psnr == 0 else 0, -parity.psnr

    kept, problem = frozenset[str](), ""
    for layer in sorted(layers, key=harm, reverse=True):
        kept |= {layer}
        problem = trial(kept).problem(goal)
        if not problem:
            return kept
    raise ParityError(f"with every layer in the wider type still: {problem}; use --precision fp32")


def _ordered(kept: Set[str], layers: list[str]) -> tuple[str, ...]:
    return tuple(layer for layer in layers if layer in kept)


def _signed(model: onnx.ModelProto, precision: Precision) -> onnx.ModelProto:
    """Update the spec's precision, name and hash of the weights."""
    spec = read_spec(model)
    spec = dataclasses.replace(
        spec,
        name=f"{spec.name}-{precision}",
        precision=precision,
        sha256=weights_sha256(model),
    )
    for key, value in spec.to_metadata().items():
        annotate(model, key, value)
    onnx.checker.check_model(model, full_check=True)
    return model
