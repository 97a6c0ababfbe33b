"""The JSON beside a TensorRT engine: what it was built from, with what and for what.

An engine runs only with the library that built it, on the kind of GPU that it was built for, and
deserialising another one ends in anything from an error to a crash. So everything is checked here
first. That needs neither TensorRT nor a driver; reading what an engine is needs no GPU at all.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from srsdk.cuda_device import find_device
from srsdk.errors import EngineMismatchError, InputError, ModelFormatError, ModelNotFoundError
from srsdk.spec import METADATA_KEY, ModelSpec
from srsdk.types import Size

FORMAT = 1


def is_engine(path: Path) -> bool:
    """Whether a file's name says that it is a TensorRT engine."""
    return path.suffix.lower() in (".engine", ".plan")


@dataclass(frozen=True)
class Profile:
    """Input sizes that an engine takes.

    Attributes:
        name: As it was asked for.
        min: Smallest batch, height and width.
        opt: The size that it was tuned for.
        max: Largest batch, height and width.
    """

    name: str
    min: Size
    opt: Size
    max: Size

    def covers(self, size: Size) -> bool:
        """Whether `(batch, height, width)` lies within."""
        return all(a <= b <= c for a, b, c in zip(self.min, size, self.max, strict=True))

    def __str__(self) -> str:
        """The name and its sizes as batch * width x height."""
        ends = [self.min] if self.min == self.max else [self.min, self.opt, self.max]
        sizes = ":".join(f"{batch}*{width}x{height}" for batch, height, width in ends)
        return f"{self.name} ({sizes})"


@dataclass(frozen=True)
class Machine:
    """What an engine would run on.

    Attributes:
        flavour: "tensorrt" or "tensorrt_rtx".
        version: Its version.
        compute_capability: Of the GPU; None where there is none.
        driver: Newest CUDA version of the driver, "" where there is none.
        platform: Operating system and processor.
    """

    flavour: str
    version: str
    compute_capability: tuple[int, int] | None = None
    driver: str = ""
    platform: str = field(default_factory=lambda: this_platform())


@dataclass(frozen=True)
class EngineRecord:
    """What an engine is.

    Attributes:
        spec: The generator's contract; its `precision` is that of the engine.
        model: Name of the ONNX file.
        model_sha256: Hash of that file.
        engine_sha256: Hash of the engine.
        engine_bytes: Its size.
        flavour: "tensorrt" or "tensorrt_rtx".
        version: Of the library that built it.
        compute_capabilities: GPUs that it runs on: "8.7" is that one, "8.0+" that and later ones.
        device: The GPU that it was built on; "" where there was none.
        driver: Newest CUDA version of the driver there; "" where there was none.
        platform: Operating system and processor there.
        profiles: Input sizes that it takes.
        flags: Builder options.
        layers: How many layers of each kind and output type the network had.
        build_seconds: Wall clock.
        command: What builds it again.
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
        """Number of the profile that takes a batch of this size.

        Of several it is the tightest, which was tuned closest to the size.

        Args:
            size: Batch, height and width.

        Raises:
            InputError: None does; names those that there are, and the command that built them.
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
    """Where an engine's sidecar lies: `x.engine` has `x.engine.json`."""
    return engine.with_name(f"{engine.name}.json")


def this_platform() -> str:
    """Operating system and processor, for instance "Linux aarch64"."""
    return f"{platform.system()} {platform.machine()}"


def this_machine(trt: Any, device: int = 0) -> Machine:
    """What an engine would run on here.

    Args:
        trt: The Python module, `tensorrt` or `tensorrt_rtx`.
        device: Number of the GPU.
    """
    flavour = "tensorrt_rtx" if trt.__name__ == "tensorrt_rtx" else "tensorrt"
    gpu = find_device(device)
    if gpu is None:
        return Machine(flavour, str(trt.__version__))
    return Machine(flavour, str(trt.__version__), gpu.compute_capability, gpu.driver)


def read_record(engine: Path) -> EngineRecord:
    """Read an engine's sidecar.

    Raises:
        ModelNotFoundError: There is no such engine.
        ModelFormatError: There is no sidecar, or it is damaged.
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
            f"{engine} has no sidecar {path.name}, so nothing is known about it; {remedy}"
        ) from error
    except ModelFormatError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelFormatError(f"{path} is damaged ({error}); {remedy}") from error


def write_record(engine: Path, record: EngineRecord) -> None:
    """Write an engine's sidecar, whole or not at all."""
    path = sidecar_path(engine)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(record.to_json(), "utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_whole(engine: Path) -> EngineRecord:
    """Read an engine's sidecar and make sure that the engine is the one that it speaks of.

    Raises:
        ModelNotFoundError: There is no such engine.
        ModelFormatError: There is no sidecar, or it is damaged.
        EngineMismatchError: The engine is truncated or another one.
    """
    record = read_record(engine)
    different = None
    size = engine.stat().st_size
    if size != record.engine_bytes:
        different = f"engine_bytes is {size}, its sidecar says {record.engine_bytes}"
    elif _hash(engine) != record.engine_sha256:
        different = "engine_sha256 is not the one in its sidecar"
    return _checked(record, engine, different)


def check_engine(engine: Path, machine: Machine, model: Path | None = None) -> EngineRecord:
    """Make sure that an engine is whole and fits, before anything of it is deserialised.

    Args:
        engine: The engine, with its sidecar beside it.
        machine: What it is to run on.
        model: The ONNX file that it should have been built from, where that is at hand.

    Returns:
        What the sidecar says.

    Raises:
        ModelNotFoundError: There is no such engine.
        ModelFormatError: There is no sidecar, or it is damaged.
        EngineMismatchError: The first field that differs, and the command that builds it again.
    """
    record = check_whole(engine)
    return _checked(record, engine, _difference(record, machine, model))


def _checked(record: EngineRecord, engine: Path, different: str | None) -> EngineRecord:
    if different:
        raise EngineMismatchError(f"{engine}: {different}; build it again: {record.command}")
    return record


def _difference(record: EngineRecord, machine: Machine, model: Path | None) -> str | None:
    if model is not None and _hash(model) != record.model_sha256:
        return f"model_sha256 is not that of {model}"
    if record.flavour != machine.flavour:
        return f"flavour is {record.flavour}, this machine has {machine.flavour}"
    if not _version_fits(record, machine.version):
        return f"version is {record.version}, this machine has {machine.version}"
    # TensorRT-RTX engines run on Linux and Windows alike.
    if record.flavour == "tensorrt" and record.platform != machine.platform:
        return f"platform is {record.platform}, this machine is {machine.platform}"
    capability = machine.compute_capability
    if capability is not None and not any(
        _capability_fits(allowed, capability) for allowed in record.compute_capabilities
    ):
        allowed = ", ".join(record.compute_capabilities)
        return f"compute_capabilities is {allowed}, this GPU has {capability[0]}.{capability[1]}"
    if record.driver and machine.driver and _numbers(machine.driver) < _numbers(record.driver):
        return f"driver is CUDA {record.driver}, this machine has the older {machine.driver}"
    return None


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _version_fits(record: EngineRecord, version: str) -> bool:
    if record.version == version:
        return True
    built, here = _numbers(record.version), _numbers(version)
    return bool(record.flags.get("version_compatible")) and built[0] == here[0] and built <= here


def _capability_fits(allowed: str, capability: tuple[int, int]) -> bool:
    least = _numbers(allowed.removesuffix("+"))
    return capability >= least if allowed.endswith("+") else capability == least


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _size(values: Any) -> Size:
    batch, height, width = (int(value) for value in values)
    return batch, height, width
