"""A model repository for NVIDIA Triton Inference Server.

The server runs the graph alone. Its input is planes in [0, 1]; its output lacks the last pixel
shuffle if the model's `tail` is "subpixel". The configuration's parameters contain the whole
`ModelSpec`, with which a client can do what the SDK does around the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from srexport.onnx import INPUT, OUTPUT, load, read_spec
from srsdk.backends import open_backend
from srsdk.errors import InputError
from srsdk.files import write_whole
from srsdk.spec import ModelSpec
from srsdk.tensorrt.machine import check_whole
from srsdk.tensorrt.sidecar import is_engine

BATCH = 16
"""Default for the largest batch of face crops that the server makes of single requests."""

_DELAY = 2000
"""Default microseconds that a request may wait for others; a frame at 60 fps takes 16,667."""


@dataclass(frozen=True)
class Served:
    """A model in the server's repository.

    Attributes:
        name: The model's name in the repository.
        platform: Triton's backend that runs it.
        file: Name of the file in its version's folder.
        spec: The generator's contract.
        max_batch: Largest batch; 1 makes no batches.
        profiles: Number of optimisation profiles of an engine; 0 for ONNX.
    """

    name: str
    platform: Literal["onnxruntime_onnx", "tensorrt_plan"]
    file: str
    spec: ModelSpec
    max_batch: int
    profiles: int = 0

    @property
    def data_type(self) -> str:
        """Element type of the graph's input and output."""
        return "TYPE_FP32" if self.spec.precision == "fp32" else "TYPE_FP16"


def write_repository(
    model: Path,
    repository: Path,
    *,
    name: str | None = None,
    version: int = 1,
    max_batch: int | None = None,
    delay: int = _DELAY,
) -> Path:
    """Add a model to a repository.

    Args:
        model: ONNX file of `srsdk-export onnx`, or an engine of `srsdk-export engine`.
        repository: Folder; made where it is missing.
        name: The model's name there; None takes that of its spec.
        version: Number of the version's folder.
        max_batch: Largest batch; None is 16 for faces (or what an engine takes), else 1.
        delay: Microseconds that a request may wait to be batched with others.

    Returns:
        The model's folder in the repository.

    Raises:
        ModelNotFoundError: There is no such file.
        ModelFormatError: It carries no spec, or no sidecar, or ONNX Runtime cannot load it.
        EngineMismatchError: The engine is not the one that its sidecar speaks of.
        InputError: The engine is one of TensorRT-RTX, or the batch is larger than it takes.
    """
    if is_engine(model):
        served = _engine(model, name, max_batch)
    else:
        spec = read_spec(load(model), str(model))
        open_backend("onnxruntime", model).close()  # what the server would do, and refuse, later
        batch = max_batch or (BATCH if spec.face_size else 1)
        served = Served(name or spec.name, "onnxruntime_onnx", "model.onnx", spec, batch)
    folder = repository / served.name
    place = folder / str(version)
    place.mkdir(parents=True, exist_ok=True)
    write_whole(place / served.file, model.read_bytes())
    write_whole(folder / "config.pbtxt", configuration(served, delay).encode())
    return folder


def configuration(served: Served, delay: int = _DELAY) -> str:
    """The model's `config.pbtxt`: a `ModelConfig` in protobuf's text format."""
    spec = served.spec
    lines = [
        f"name: {_quoted(served.name)}",
        f"platform: {_quoted(served.platform)}",
        f"default_model_filename: {_quoted(served.file)}",
        f"max_batch_size: {served.max_batch}",
        *_tensor("input", INPUT, served.data_type, 3),
        *_tensor("output", OUTPUT, served.data_type, spec.out_channels),
    ]
    if served.max_batch > 1:
        preferred = ", ".join(map(str, _preferred(served.max_batch)))
        lines += [
            "dynamic_batching {",
            f"  preferred_batch_size: [ {preferred} ]",
            f"  max_queue_delay_microseconds: {delay}",
            "}",
        ]
    if served.profiles:
        profiles = ", ".join(_quoted(str(number)) for number in range(served.profiles))
        lines += [
            "instance_group {",
            "  kind: KIND_GPU",
            "  count: 1",
            f"  profile: [ {profiles} ]",
            "}",
        ]
    for key, value in spec.to_metadata().items():
        lines += [
            "parameters {",
            f"  key: {_quoted(key)}",
            f"  value {{ string_value: {_quoted(value)} }}",
            "}",
        ]
    return "\n".join(lines) + "\n"


def _engine(model: Path, name: str | None, max_batch: int | None) -> Served:
    record = check_whole(model)
    if record.flavour != "tensorrt":
        raise InputError(
            f"{model} is an engine of TensorRT-RTX, which Triton does not run; give it the ONNX "
            "file, or an engine built by TensorRT on the server"
        )
    largest = max(profile.max[0] for profile in record.profiles)
    if max_batch is not None and max_batch > largest:
        raise InputError(
            f"{model} takes batches of up to {largest}, not {max_batch}; build it with larger "
            "--shapes"
        )
    return Served(
        name or record.spec.name,
        "tensorrt_plan",
        "model.plan",
        record.spec,
        max_batch or largest,
        len(record.profiles),
    )


def _tensor(role: str, name: str, data_type: str, channels: int) -> list[str]:
    return [
        f"{role} {{",
        f"  name: {_quoted(name)}",
        f"  data_type: {data_type}",
        f"  dims: [ {channels}, -1, -1 ]",
        "}",
    ]


def _preferred(largest: int) -> Sequence[int]:
    """Powers of two up to the largest batch, and that."""
    sizes = [2**n for n in range(2, largest.bit_length()) if 2**n < largest]
    return [*sizes, largest]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
