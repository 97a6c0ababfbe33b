"""Runs a generator in any of its runtimes, for comparing them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srsdk.backends.onnxruntime_library import load_onnxruntime
from srsdk.errors import InputError, ModelFormatError, ModelNotFoundError
from srsdk.files import sha256_of
from srsdk.spec import ModelSpec, Precision
from srsdk.tensorrt.sidecar import is_engine, read_record, sidecar_path
from srsdk.types import Pixels

_CHECKPOINTS = {".pt", ".pth", ".ckpt"}

_PROBE = (45, 39)
"""Default height and width of the built-in frames."""


@dataclass(frozen=True)
class Output:
    """The result of one run.

    Attributes:
        pixels: `(N, scale*H, scale*W, 3)` u8 RGB.
        non_finite: Values that are NaN or infinite, in the weights and in all tensors that the
            runtime shows.
    """

    pixels: Pixels
    non_finite: int


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        file: The file's name.
        runtime: "torch", "reference" (ONNX Runtime between the NumPy forms of the kernels), or a
            backend of the SDK.
        version: Version of the runtime.
        precision: Arithmetic of the graph.
        sha256: Hash of an ONNX file's weights, or of any other file.
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
        side: Its file and runtime, for the certificate.
        spec: Its contract.
        run: `(N, H, W, 3)` u8 RGB to an `Output`.
    """

    side: Side
    spec: ModelSpec
    run: Callable[[Pixels], Output]


def open_runner(path: Path, runtime: str = "auto") -> Runner:
    """Open a checkpoint, an ONNX file or an engine.

    Args:
        path: The file.
        runtime: For a checkpoint "torch"; for other files "reference", a backend of the SDK
            ("onnxruntime", "native", "tensorrt", "onnxruntime-cuda", ...), or "auto", which chooses
            by the file's ending, and "reference" for files that need the TensorRT plugin.

    Raises:
        ModelNotFoundError: The file does not exist.
        InputError: The runtime is unknown, or cannot run the file.
        BackendUnavailableError: The runtime is not installed.
    """
    if not path.is_file():
        raise ModelNotFoundError(f"there is no model file {path}")
    kind = path.suffix.lower()
    if runtime == "auto":
        runtime = _suitable(path)
    if kind in _CHECKPOINTS:
        if runtime != "torch":
            raise InputError(f"{path} does not run in {runtime}; see `srsdk-export verify --help`")
        return _torch(path)
    if runtime == "reference":
        return _reference(path)
    return _backend(path, runtime)


def _suitable(path: Path) -> str:
    """The runtime that "auto" chooses."""
    if path.suffix.lower() in _CHECKPOINTS:
        return "torch"
    if is_engine(path):
        return "tensorrt"
    return "reference" if _needs_plugin(path) else "onnxruntime"


def probe_size(*models: Path) -> tuple[int, int]:
    """Height and width of frames that all of these files take, since engines take certain sizes.

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
    """The generator as it was trained, neither folded nor rewritten."""
    from srexport.source import read_checkpoint

    spec = read_checkpoint(path).spec
    import torch

    from srtrain.checkpoint import Checkpoint
    from srtrain.loop import to_pixels, to_tensor

    model = Checkpoint.load(path).build()
    tensors = [*model.parameters(), *model.buffers()]
    weights = sum(int((~value.isfinite()).sum()) for value in tensors)
    side = Side(path.name, "torch", torch.__version__, "fp32", sha256_of(path))

    def run(frames: Pixels) -> Output:
        non_finite = [weights]

        def look(_module: Any, _inputs: Any, output: torch.Tensor) -> None:
            non_finite.append(int((~output.isfinite()).sum()))

        hooks = [module.register_forward_hook(look) for module in model.modules()]
        try:
            with torch.inference_mode():
                pixels = to_pixels(model(to_tensor(frames, torch.device("cpu"))))
        finally:
            for hook in hooks:
                hook.remove()
        return Output(pixels, sum(non_finite))

    return Runner(side, spec, run)


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
    swap_rb = spec.channel_order != "rgb"
    # The instrumented session outputs every tensor. That forbids fusions, which the session for the
    # pixels must have, so there are two.
    instrumented = onnx.ModelProto()
    instrumented.CopyFrom(model)
    named = {output.name for output in instrumented.graph.output}
    for step in instrumented.graph.node:
        instrumented.graph.output.extend(
            onnx.ValueInfoProto(name=name) for name in step.output if name not in named
        )
    watched = _session(instrumented)
    weights = sum(_non_finite(onnx.numpy_helper.to_array(w)) for w in model.graph.initializer)

    def run(frames: Pixels) -> Output:
        feed = {node.name: reference.unpack(frames, swap_rb=swap_rb, dtype=dtype)}
        non_finite = weights + sum(_non_finite(value) for value in watched.run(None, feed))
        result = session.run(None, feed)[0]
        lr = None if spec.base == "none" else frames
        pixels = reference.pack(
            result, spec.shuffle, lr=lr, base=spec.base, scale=spec.scale, swap_rb=swap_rb
        )
        return Output(pixels, non_finite)

    side = Side(path.name, "reference", ort.__version__, spec.precision, spec.sha256)
    return Runner(side, spec, run)


def _backend(path: Path, runtime: str) -> Runner:
    from srsdk.backends import BACKENDS, open_backend

    if runtime not in BACKENDS:
        known = ", ".join(["auto", "reference", *BACKENDS])
        raise InputError(f"no runtime {runtime!r} in this version; known: {known}")
    backend = open_backend(runtime, path, color="rgb")
    info = backend.info
    # A backend returns pixels, which hide NaN. So the reference counts them in the same graph.
    inside = _reference(path) if path.suffix.lower() == ".onnx" else None

    def run(frames: Pixels) -> Output:
        non_finite = inside.run(frames).non_finite if inside else 0
        return Output(backend.run(frames), non_finite)

    digest = info.spec.sha256 if inside else sha256_of(path)
    side = Side(path.name, info.name, info.version, info.spec.precision, digest)
    return Runner(side, info.spec, run)


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
    except Exception as error:  # ONNX Runtime's exceptions have no other common base
        reason = str(error).splitlines()[0]
        raise ModelFormatError(f"not a model ONNX Runtime can load: {reason}") from error


def _non_finite(values: NDArray[Any]) -> int:
    return int(values.size - np.count_nonzero(np.isfinite(values)))
