"""TensorRT 10, TensorRT 11 and TensorRT-RTX: how building an engine differs between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from srsdk.cuda.driver import find_gpu
from srsdk.errors import BackendUnavailableError, InputError
from srsdk.tensorrt.library import INSTALL, NAMES, Library, Name

Hardware = Literal["this", "same-compute-capability", "ampere-plus"]

_RTX_DEFAULT = "8.0+"
"""GPUs that an engine of TensorRT-RTX runs on by default: Ampere and later."""


@dataclass(frozen=True)
class Flavour(Library):
    """An installed TensorRT that can build engines."""

    @property
    def has_timing_cache(self) -> bool:
        """Whether building measures kernels; TensorRT-RTX does not."""
        return self.name == "tensorrt"

    def network_flags(self) -> int:
        """Flags for a strongly typed network; from TensorRT 11 on all are, and there is no flag."""
        flag = getattr(self.trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
        return 0 if flag is None else 1 << int(flag)

    def aim(self, config: Any, hardware: Hardware, capabilities: Sequence[str]) -> tuple[str, ...]:
        """Set which GPUs the engine is for.

        Args:
            config: The builder's configuration.
            hardware: Which other GPUs may run it; TensorRT only.
            capabilities: Compute capabilities, such as "8.9"; TensorRT-RTX only.

        Returns:
            The compute capabilities as `EngineRecord` has them.

        Raises:
            InputError: This TensorRT has no such option.
        """
        if self.name == "tensorrt_rtx":
            return self._aim_rtx(config, hardware, capabilities)
        if capabilities:
            raise InputError(
                "--compute-capability is for TensorRT-RTX; TensorRT builds for the GPU at hand, "
                "or take --hardware ampere-plus"
            )
        assert self.device is not None
        here = "{}.{}".format(*self.device.compute_capability)
        if hardware == "this":
            return (here,)
        levels = self.trt.HardwareCompatibilityLevel
        level = hardware.replace("-", "_").upper()
        if not hasattr(levels, level):
            raise InputError(f"{self.title} has no hardware compatibility {hardware!r}")
        config.hardware_compatibility_level = getattr(levels, level)
        return ("8.0+",) if hardware == "ampere-plus" else (here,)

    def _aim_rtx(
        self, config: Any, hardware: Hardware, capabilities: Sequence[str]
    ) -> tuple[str, ...]:
        if hardware != "this":
            raise InputError(
                "TensorRT-RTX engines run on Ampere and later GPUs as they are; leave --hardware "
                "out, or name GPUs with --compute-capability"
            )
        if not capabilities:
            return (_RTX_DEFAULT,)
        config.num_compute_capabilities = len(capabilities)
        known = self.trt.ComputeCapability
        for place, capability in enumerate(capabilities):
            target = getattr(known, "SM" + capability.replace(".", ""), None)
            if target is None:
                names = [name for name in known.__members__ if name.startswith("SM")]
                listed = ", ".join(f"{name[2:-1]}.{name[-1]}" for name in names)
                raise InputError(f"compute capability {capability!r}: {self.title} knows {listed}")
            config.set_compute_capability(target, place)
        return tuple(capabilities)


def find_flavour(name: str = "auto") -> Flavour:
    """Import TensorRT or TensorRT-RTX.

    Args:
        name: "tensorrt", "tensorrt_rtx", or "auto": TensorRT if it is installed and there is a
            GPU, which it needs for building; otherwise TensorRT-RTX.

    Raises:
        BackendUnavailableError: It is not installed, or TensorRT has no GPU to build on.
    """
    device = find_gpu()
    order: list[Name] = list(NAMES)
    if name != "auto":
        order = [known for known in order if known == name]
        if not order:
            raise BackendUnavailableError(f"no TensorRT {name!r}; known: tensorrt, tensorrt_rtx")
    installed: list[Flavour] = []
    for known in order:
        try:
            installed.append(Flavour(known, import_module(known), device))
        except (ImportError, OSError):  # OSError: a shared library that it needs is missing
            continue
    if not installed:
        remedies = ", or ".join(INSTALL[known] for known in order)
        raise BackendUnavailableError(f"building engines needs TensorRT: {remedies}")
    usable = [one for one in installed if one.name == "tensorrt_rtx" or device is not None]
    if not usable:
        raise BackendUnavailableError(
            "TensorRT builds only on the GPU that will run the engine, and no CUDA driver answers "
            f"here; build there, or for RTX GPUs {INSTALL['tensorrt_rtx']}"
        )
    return usable[0]
