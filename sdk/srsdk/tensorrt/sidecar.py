"""The JSON file beside a TensorRT engine. Reading it needs neither TensorRT nor a GPU."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srsdk.errors import InputError, ModelFormatError, ModelNotFoundError
from srsdk.files import write_whole
from srsdk.spec import METADATA_KEY, ModelSpec
from srsdk.tensorrt.profiles import Profile
from srsdk.types import Size

FORMAT = 1


def is_engine(path: Path) -> bool:
    """Whether a file's name says that it is a TensorRT engine."""
    return path.suffix.lower() in (".engine", ".plan")


@dataclass(frozen=True)
class EngineRecord:
    """The contents of an engine's sidecar: how the engine was built, and for which machines.

    Attributes:
        spec: The generator's contract; its `precision` is that of the engine.
        model: Name of the ONNX file.
        model_sha256: Hash of that file.
        engine_sha256: Hash of the engine.
        engine_bytes: Its size.
        flavour: "tensorrt" or "tensorrt_rtx".
        version: Version of the library that built it.
        compute_capabilities: GPUs that run it: "8.7" means 8.7 only, "8.0+" means 8.0 and later.
        device: The GPU that it was built on; "" if there was none.
        driver: Newest CUDA version that the driver on that machine supports; "" if it had none.
        platform: Operating system and processor of that machine.
        profiles: Input sizes that it takes.
        flags: Builder options.
        layers: How many layers of each kind and output type the network had.
        build_seconds: Wall-clock time of the build.
        command: The command that builds it again.
        parity: Certificate of the ONNX file or of the engine (`srsdk-export verify`).
    """

    spec: ModelSpec
    model: str
    model_sha256: str
    engine_sha256: str
    engine_bytes: int
    flavour: str
    version: str
    compute_capabilities: tuple[str, ...]
    device: str
    driver: str
    platform: str
    profiles: tuple[Profile, ...]
    flags: Mapping[str, Any]
    layers: Mapping[str, int]
    build_seconds: float
    command: str
    parity: Mapping[str, Any] | None = None

    def profile_for(self, size: Size) -> int:
        """Number of the profile for a batch of this size.

        If several profiles cover the size, this is the smallest of them, which was tuned for the
        nearest size.

        Args:
            size: Batch, height and width.

        Raises:
            InputError: No profile covers the size; the message lists the profiles, and the command
                that built them.
        """
        fitting = [n for n, profile in enumerate(self.profiles) if profile.covers(size)]
        if not fitting:
            batch, height, width = size
            raise InputError(
                f"this engine takes no {batch}*{width}x{height}, only "
                f"{'; '.join(map(str, self.profiles))}; build it with more --shapes: {self.command}"
            )
        return min(fitting, key=lambda n: math.prod(self.profiles[n].max))

    def to_json(self) -> str:
        """The sidecar's text."""
        facts = {"format": FORMAT, **dataclasses.asdict(self)}
        facts["spec"] = json.loads(self.spec.to_metadata()[METADATA_KEY])
        return json.dumps(facts, indent=2) + "\n"


def sidecar_path(engine: Path) -> Path:
    """Path of an engine's sidecar: `x.engine.json` for `x.engine`."""
    return engine.with_name(f"{engine.name}.json")


def read_record(engine: Path) -> EngineRecord:
    """Read an engine's sidecar.

    Raises:
        ModelNotFoundError: The engine does not exist.
        ModelFormatError: Its sidecar is missing or damaged.
    """
    if not engine.is_file():
        raise ModelNotFoundError(f"there is no engine {engine}")
    path = sidecar_path(engine)
    remedy = f"build it again: srsdk-export engine MODEL.onnx -o {engine}"
    try:
        facts = json.loads(path.read_text("utf-8"))
        version = facts.pop("format")
        if version != FORMAT:
            raise ModelFormatError(f"{path}: format {version} is not {FORMAT}; {remedy}")
        spec = json.dumps(facts.pop("spec"))
        profiles = tuple(
            Profile(entry["name"], *(_size(entry[end]) for end in ("min", "opt", "max")))
            for entry in facts.pop("profiles")
        )
        return EngineRecord(
            spec=ModelSpec.from_metadata({METADATA_KEY: spec}, source=str(path)),
            profiles=profiles,
            compute_capabilities=tuple(facts.pop("compute_capabilities")),
            **facts,
        )
    except FileNotFoundError as error:
        raise ModelFormatError(
            f"{engine} has no sidecar {path.name}, without which it cannot be checked; {remedy}"
        ) from error
    except ModelFormatError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelFormatError(f"{path} is damaged ({error}); {remedy}") from error


def write_record(engine: Path, record: EngineRecord) -> None:
    """Write an engine's sidecar, whole or not at all."""
    write_whole(sidecar_path(engine), record.to_json().encode("utf-8"))


def _size(values: Any) -> Size:
    batch, height, width = (int(value) for value in values)
    return batch, height, width
