"""Checks that an engine runs on a machine, before the engine is deserialised.

An engine runs only with the library that built it and on GPUs of the kind that it was built for.
Deserialising any other engine can crash the process. The checks need neither TensorRT nor a driver.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from srsdk.cuda.driver import find_gpu
from srsdk.errors import EngineMismatchError
from srsdk.files import sha256_of
from srsdk.tensorrt.sidecar import EngineRecord, read_record


def this_platform() -> str:
    """Operating system and processor, for instance "Linux aarch64"."""
    return f"{platform.system()} {platform.machine()}"


@dataclass(frozen=True)
class Machine:
    """The machine that an engine is to run on.

    Attributes:
        flavour: "tensorrt" or "tensorrt_rtx".
        version: Version of that library.
        compute_capability: Of the GPU; None without a GPU.
        driver: Newest CUDA version that the driver supports; "" without a driver.
        platform: Operating system and processor.
    """

    flavour: str
    version: str
    compute_capability: tuple[int, int] | None = None
    driver: str = ""
    platform: str = field(default_factory=this_platform)


def this_machine(trt: Any, device: int = 0) -> Machine:
    """The machine at hand.

    Args:
        trt: The Python module, `tensorrt` or `tensorrt_rtx`.
        device: Number of the GPU.
    """
    flavour = "tensorrt_rtx" if trt.__name__ == "tensorrt_rtx" else "tensorrt"
    gpu = find_gpu(device)
    if gpu is None:
        return Machine(flavour, str(trt.__version__))
    return Machine(flavour, str(trt.__version__), gpu.compute_capability, gpu.driver)


def check_whole(engine: Path) -> EngineRecord:
    """Read an engine's sidecar and check the engine's size and hash against it.

    Raises:
        ModelNotFoundError: The engine does not exist.
        ModelFormatError: Its sidecar is missing or damaged.
        EngineMismatchError: The engine is truncated, or not the one that the sidecar describes.
    """
    record = read_record(engine)
    different = None
    size = engine.stat().st_size
    if size != record.engine_bytes:
        different = f"engine_bytes is {size}, its sidecar says {record.engine_bytes}"
    elif sha256_of(engine) != record.engine_sha256:
        different = "engine_sha256 is not the one in its sidecar"
    return _checked(record, engine, different)


def check_engine(engine: Path, machine: Machine, model: Path | None = None) -> EngineRecord:
    """Check that an engine is whole and runs on a machine, before it is deserialised.

    Args:
        engine: The engine, with its sidecar beside it.
        machine: The machine that it is to run on.
        model: The ONNX file that it must have been built from; None skips that check.

    Returns:
        The sidecar's record.

    Raises:
        ModelNotFoundError: The engine does not exist.
        ModelFormatError: Its sidecar is missing or damaged.
        EngineMismatchError: A field differs; the message names the first one, and the command that
            builds the engine again.
    """
    record = check_whole(engine)
    return _checked(record, engine, _difference(record, machine, model))


def _checked(record: EngineRecord, engine: Path, different: str | None) -> EngineRecord:
    if different:
        raise EngineMismatchError(f"{engine}: {different}; build it again: {record.command}")
    return record


def _difference(record: EngineRecord, machine: Machine, model: Path | None) -> str | None:
    if model is not None and sha256_of(model) != record.model_sha256:
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


def _version_fits(record: EngineRecord, version: str) -> bool:
    if record.version == version:
        return True
    built, here = _numbers(record.version), _numbers(version)
    return bool(record.flags.get("version_compatible")) and built[0] == here[0] and built <= here


def _capability_fits(allowed: str, capability: tuple[int, int]) -> bool:
    lowest = _numbers(allowed.removesuffix("+"))
    return capability >= lowest if allowed.endswith("+") else capability == lowest


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
