"""How far variants of a model are from the model itself, on pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from srexport.verify import Parity, parity_of
from srsdk import _kernels
from srsdk.backends.onnxruntime_library import load_onnxruntime
from srsdk.spec import ModelSpec
from srsdk.types import Pixels


def plain_session(model: onnx.ModelProto) -> Any:
    """An ONNX Runtime session that fuses nothing, so that every rounding in the graph happens."""
    ort = load_onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


class VariantJudge:
    """Compares variants of a model with the model itself, on pixels."""

    def __init__(self, model: onnx.ModelProto, spec: ModelSpec, batches: list[Pixels]) -> None:
        """Run `model` on batches of `(N, H, W, 3)` u8 RGB and keep what it gives."""
        self._spec, self._batches = spec, batches
        self._expected = self._run(model)

    def parity(self, variant: onnx.ModelProto) -> Parity:
        """How far the variant is from the model; it has the same float32 input and output."""
        return parity_of(self._expected, self._run(variant))

    def _run(self, model: onnx.ModelProto) -> list[tuple[Pixels, int]]:
        session = plain_session(model)
        return [self._pixels(session, batch) for batch in self._batches]

    def _pixels(self, session: Any, frames: Pixels) -> tuple[Pixels, int]:
        spec = self._spec
        swap_rb = spec.channel_order != "rgb"
        planes = _kernels.unpack(frames, swap_rb=swap_rb)
        result: NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: planes})[0]
        non_finite = int(result.size - np.count_nonzero(np.isfinite(result)))
        lr = None if spec.base == "none" else frames
        pixels = _kernels.pack(
            result, spec.shuffle, lr=lr, base=spec.base, scale=spec.scale, swap_rb=swap_rb
        )
        return pixels, non_finite
