"""One generator in each runtime that can run it, behind one call, for comparing them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srsdk.backends.onnxruntime_library import load_onnxruntime
from srsdk.errors import InputError, ModelFormatError, ModelNotFoundError
from srsdk.spec import ModelSpec, Precision
from srsdk.tensorrt.sidecar import is_engine, read_record, sidecar_path

Pixels = NDArray[np.uint8]

CHECKPOINTS = {".pt", ".pth", ".ckpt"}

_PROBE = (45, 39)
"""Height and width of the built-in frames, where nothing asks for others."""


@dataclass(frozen=True)
class Output:
    """What one run gave.

    Attributes:
        pixels: `(N, scale*H, scale*W, 3)` u8 RGB.
        non_finite: Values that are NaN or infinite, in the weights and in every tensor that the
            runtime lets one look at.
    """

    pixels: Pixels
    non_finite: int


@dataclass(frozen=True)
class Party:
    """One side of a comparison.

    Attributes:
        file: The file's name.
        runtime: "torch", "reference" (ONNX Runtime between the NumPy forms of the kernels), or a
            backend of the SDK.
        version: Version of the library that computed.
        precision: Arithmetic of the graph.
        sha256: Hash of the weights for an ONNX file, of the file for anything else.
    """

    file: str
    runtime: str
    version: str
    precision: Precision
    sha256: str


@dataclass(frozen=True)
class Runner:
    """A generator that is ready to run.

    Attributes:
        party: What it is.
        spec: Its contract.
        run: `(N, H, W, 3)` u8 RGB to an `Output`.
    """

    party: Party
    spec: ModelSpec
    run: Callable[[Pixels], Output]


def open_runner(path: Path, runtime: str = "auto") -> Runner:
    """Open a checkpoint, an ONNX file or an engine.

    Args:
        path: The file.
        runtime: For a checkpoint "torch"; for other files "reference", a backend of the SDK
            ("onnxruntime", "native", "tensorrt", "onnxruntime-cuda", ...), or "auto": by the
            file's ending; "reference" for an ONNX file that needs the TensorRT plugin.

    Raises:
        ModelNotFoundError: There is no such file.
        InputError: The runtime is unknown, or the file does not go with it.
        BackendUnavailableError: The runtime is not installed.
    """
    if not path.is_file():
        raise ModelNotFoundError(f"there is no model file {path}")
    kind = path.suffix.lower()
    if runtime == "auto":
        runtime = _suitable(path)
    if kind in CHECKPOINTS:
        if runtime != "torch":
            raise InputError(f"{path} does not run in {runtime}; see `srsdk-export verify --help`")
        return _torch(path)
    if runtime == "reference":
        return _reference(path)
    return _backend(path, runtime)


def _suitable(path: Path) -> str:
    """What "auto" stands for."""
    if path.suffix.lower() in CHECKPOINTS:
        return "torch"
    if is_engine(path):
        return "tensorrt"
    return "reference" if _needs_plugin(path) else "onnxruntime"


def probe_size(*models: Path) -> tuple[int, int]:
    """Height and width of frames that all of these files take: engines want certain sizes.

    Raises:
        ModelFormatError: An engine's sidecar is damaged.
    """
    for path in models:
        if sidecar_path(path).is_file():
            profiles = read_record(path).profiles
            if not any(profile.covers((1, *_PROBE)) for profile in profiles):
                return min((profile.opt[1:] for profile in profiles), key=math.prod)
    return _PROBE


def _torch(path: Path) -> Runner:
    """The generator as it was trained: nothing folded or rewritten."""
    from srexport.source import read_checkpoint

    spec = read_checkpoint(path).spec
    import torch

    from srtrain.checkpoint import Checkpoint
    from srtrain.loop import to_pixels, to_tensor

    model = Checkpoint.load(path).build()
    tensors = [*model.parameters(), *model.buffers()]
    weights = sum(int((~value.isfinite()).sum()) for value in tensors)
    party = Party(path.name, "torch", torch.__version__, "fp32", _file_hash(path))

    def run(frames: Pixels) -> Output:
        strange = [weights]

        def look(_module: Any, _inputs: Any, output: torch.Tensor) -> None:
            strange.append(int((~output.isfinite()).sum()))

        hooks = [module.register_forward_hook(look) for module in model.modules()]
        try:
            with torch.inference_mode():
                pixels = to_pixels(model(to_tensor(frames, torch.device("cpu"))))
        finally:
            for hook in hooks:
                hook.remove()
        return Output(pixels, sum(strange))

    return Runner(party, spec, run)


def _reference(path: Path) -> Runner:
    import onnx

    from srexport.onnx import load, read_spec
    from srexport.plugin import with_meaning
    from srsdk import reference

    ort = load_onnxruntime()
    model = load(path)
    spec = read_spec(model, str(path))
    if spec.plugin:
        model = with_meaning(model)
    session = _session(model)
    node = session.get_inputs()[0]
    dtype = np.float16 if node.type == "tensor(float16)" else np.float32
    swap = spec.channel_order != "rgb"
    # A second session whose outputs are all tensors: asking for them forbids fusions, which the
    # pixels should have seen.
    glass = onnx.ModelProto()
    glass.CopyFrom(model)
    named = {output.name for output in glass.graph.output}
    for step in glass.graph.node:
        glass.graph.output.extend(
            onnx.ValueInfoProto(name=name) for name in step.output if name not in named
        )
    watched = _session(glass)
    weights = sum(_strange(onnx.numpy_helper.to_array(w)) for w in model.graph.initializer)

    def run(frames: Pixels) -> Output:
        feed = {node.name: reference.unpack(frames, swap=swap, dtype=dtype)}
        strange = weights + sum(_strange(value) for value in watched.run(None, feed))
        result = session.run(None, feed)[0]
        lr = None if spec.base == "none" else frames
        pixels = reference.pack(
            result, spec.shuffle, lr=lr, base=spec.base, scale=spec.scale, swap=swap
        )
        return Output(pixels, strange)

    party = Party(path.name, "reference", ort.__version__, spec.precision, spec.sha256)
    return Runner(party, spec, run)


def _backend(path: Path, runtime: str) -> Runner:
    from srsdk.backends import BACKENDS, open_backend

    if runtime not in BACKENDS:
        known = ", ".join(["auto", "reference", *BACKENDS])
        raise InputError(f"no runtime {runtime!r} in this version; known: {known}")
    backend = open_backend(runtime, path, color="rgb")
    info = backend.info
    # A backend gives pixels, in which a NaN no longer shows; the graph is looked at beside it.
    inside = _reference(path) if path.suffix.lower() == ".onnx" else None

    def run(frames: Pixels) -> Output:
        strange = inside.run(frames).non_finite if inside else 0
        return Output(backend.run(frames), strange)

    digest = info.spec.sha256 if inside else _file_hash(path)
    party = Party(path.name, info.name, info.version, info.spec.precision, digest)
    return Runner(party, info.spec, run)


def _needs_plugin(path: Path) -> bool:
    from srexport.onnx import load, read_spec

    return bool(read_spec(load(path), str(path)).plugin)


def _session(model: Any) -> Any:
    ort = load_onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's own exceptions share no base but this
        reason = str(error).splitlines()[0]
        raise ModelFormatError(f"not a model ONNX Runtime can load: {reason}") from error


def _strange(values: NDArray[Any]) -> int:
    return int(values.size - np.count_nonzero(np.isfinite(values)))


def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
