"""TensorRT and TensorRT-RTX: how loading and running an engine differs between them.

`flavour.py` extends this with how building differs.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from srsdk.cuda.driver import GpuInfo, find_gpu
from srsdk.errors import BackendUnavailableError
from srsdk.tensorrt.machine import Machine, this_machine

log = logging.getLogger(__name__)

Name = Literal["tensorrt", "tensorrt_rtx"]
NAMES: tuple[Name, ...] = ("tensorrt", "tensorrt_rtx")

INSTALL = {
    "tensorrt": "pip install tensorrt (on a Jetson: apt install nvidia-jetpack)",
    "tensorrt_rtx": "pip install tensorrt-rtx-cu13",
}


@dataclass(frozen=True)
class Library:
    """An installed TensorRT.

    Attributes:
        name: "tensorrt" or "tensorrt_rtx".
        trt: The Python module.
        device: The GPU that it would use; None without a GPU.
    """

    name: Name
    trt: Any
    device: GpuInfo | None

    @property
    def version(self) -> str:
        """Version of the library."""
        return str(self.trt.__version__)

    @property
    def title(self) -> str:
        """Its usual name, with the version."""
        return f"{'TensorRT' if self.name == 'tensorrt' else 'TensorRT-RTX'} {self.version}"

    def machine(self) -> Machine:
        """The machine at hand, with this library."""
        return this_machine(self.trt)

    def messages(self) -> Any:
        """An `ILogger` that hands messages to `logging` and keeps errors in `errors`."""
        return _messages(self.trt)

    def execution_context(self, engine: Any, *, fixed: bool) -> Any:
        """An execution context; None if there is too little memory for it.

        It uses the memory that the current profile needs, not that of the largest profile.

        Args:
            engine: The engine.
            fixed: Whether it runs batches of one size only, as a CUDA graph. TensorRT-RTX then
                compiles the kernels for this size at once. Otherwise it compiles them in the
                background, and a graph would record the slower kernels that run in the meantime.
        """
        strategy = self.trt.ExecutionContextAllocationStrategy.ON_PROFILE_CHANGE
        if self.name == "tensorrt":
            return engine.create_execution_context(strategy)
        config = engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(strategy)
        if fixed:
            kinds = self.trt.DynamicShapesKernelSpecializationStrategy
            config.dynamic_shapes_kernel_specialization_strategy = kinds.EAGER
        return engine.create_execution_context(config)

    def capturable(self, context: Any, stream: int) -> bool:
        """Whether a CUDA graph can record the context's work on a stream."""
        ask = getattr(context, "is_stream_capturable", None)
        return ask is None or bool(ask(stream))


def load_library(name: str) -> Library:
    """Import the TensorRT that an engine was built with.

    Raises:
        BackendUnavailableError: It is not installed, or does not load.
    """
    for known in NAMES:
        if known == name:
            try:
                return Library(known, import_module(known), find_gpu())
            except (ImportError, OSError) as error:
                raise BackendUnavailableError(
                    f"this engine needs {name}, which cannot be imported ({error}): {INSTALL[name]}"
                ) from error
    raise BackendUnavailableError(f"no TensorRT {name!r}; known: {', '.join(NAMES)}")


def _messages(trt: Any) -> Any:
    levels = {
        trt.ILogger.Severity.INTERNAL_ERROR: logging.ERROR,
        trt.ILogger.Severity.ERROR: logging.ERROR,
        trt.ILogger.Severity.WARNING: logging.INFO,
        trt.ILogger.Severity.INFO: logging.DEBUG,
    }

    class Messages(trt.ILogger):  # type: ignore[misc]
        """Keeps errors, which become exceptions of srsdk."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            level = levels.get(severity)
            if level == logging.ERROR:
                self.errors.append(message)
                level = logging.DEBUG
            if level is not None:
                log.log(level, "TensorRT: %s", message)

    return Messages()
