"""TensorRT and TensorRT-RTX engines.

`Upscaler("x.engine")` runs an engine of `srsdk-export engine`. A model by name, or an ONNX file, is
built into one on first use, which takes minutes, and comes from the cache after that.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from srsdk.cuda.chain import DeviceChain
from srsdk.cuda.device import Stream, open_device
from srsdk.cuda.failure import explained
from srsdk.cuda.workspace import DeviceGenerator, Step
from srsdk.errors import EngineMismatchError, ModelFormatError
from srsdk.spec import ModelSpec
from srsdk.tensorrt.cache import cached_engine
from srsdk.tensorrt.library import Library, load_library
from srsdk.tensorrt.machine import check_engine
from srsdk.tensorrt.plugin import load_plugin
from srsdk.tensorrt.sidecar import EngineRecord, is_engine, read_record
from srsdk.types import Size

log = logging.getLogger(__name__)


class EngineGenerator(DeviceGenerator):
    """A deserialised engine. Make it while the device is current."""

    sized = True

    def __init__(self, path: Path, record: EngineRecord, library: Library) -> None:
        self.library, self.record = library, record
        self.messages = library.messages()
        runtime = library.trt.Runtime(self.messages)
        if record.flags.get("version_compatible"):
            runtime.engine_host_code_allowed = True  # such an engine contains its own runtime
        self.engine = runtime.deserialize_cuda_engine(path.read_bytes())
        if self.engine is None:
            reason = self.why()
            if "cuda" in reason.lower() or "memory" in reason.lower():
                raise explained(reason, f"loading {path.name}")
            raise EngineMismatchError(
                f"{path}: {library.title} does not take it ({reason}); build it again: "
                f"{record.command}"
            )
        self._runtime = runtime  # must outlive the engine
        self.source, self.target = _names(library.trt, self.engine, record.spec, path)

    @property
    def spec(self) -> ModelSpec:
        """The generator's contract."""
        return self.record.spec

    def check(self, size: Size) -> None:
        """Raise `InputError` unless a profile covers batches of this size."""
        self.record.profile_for(size)

    def step(self, stream: Stream) -> EngineStep:
        """The engine on a stream."""
        return EngineStep(self, stream)

    def why(self) -> str:
        """The first error that TensorRT logged since the last call; later ones repeat it."""
        errors, self.messages.errors = self.messages.errors, []
        return errors[0] if errors else "it does not say why"


class EngineStep(Step):
    """An execution context of the engine on a stream."""

    def __init__(self, generator: EngineGenerator, stream: Stream) -> None:
        self.capturable = True
        self._generator, self._stream = generator, stream
        self._context = self._make(fixed=False)
        self._profile: int | None = None  # no profile is set in this context yet

    def resize(self, size: Size, source: int, target: int, *, fixed: bool) -> None:
        generator = self._generator
        profile = generator.record.profile_for(size)
        handle = self._stream.handle
        if fixed:
            self._context = None  # frees its memory before the next is made
            self._context, self._profile = self._make(fixed=True), None
        context = self._context
        count, height, width = size
        done = profile == self._profile or context.set_optimization_profile_async(profile, handle)
        self._profile = profile if done else None
        if not (
            done
            and context.set_input_shape(generator.source, (count, 3, height, width))
            and context.set_tensor_address(generator.source, source)
            and context.set_tensor_address(generator.target, target)
        ):
            raise explained(generator.why(), f"preparing TensorRT for {count}*{width}x{height}")
        if fixed:
            self.capturable = generator.library.capturable(context, handle)

    def enqueue(self) -> None:
        if not self._context.execute_async_v3(self._stream.handle):
            raise explained(self._generator.why(), "running the engine")

    def _make(self, *, fixed: bool) -> Any:
        generator = self._generator
        context = generator.library.execution_context(generator.engine, fixed=fixed)
        if context is None:
            raise explained(generator.why(), "an execution context of the engine")
        return context


def open(model: Path | str, *, threads: int, color: str) -> DeviceChain:  # noqa: A001
    """Open the backend; called by `open_backend`. `threads` is not used.

    Raises:
        EngineMismatchError: The engine was built for something else; says what and how to mend it.
        BackendUnavailableError: TensorRT, the CUDA kernels, the driver or the GPU is
            missing.
    """
    path = Path(model)
    if not is_engine(path):
        open_device()  # before minutes are spent on an engine that could not run
        path = cached_engine(path)
    library = load_library(read_record(path).flavour)
    record = check_engine(path, library.machine())
    if record.spec.plugin:
        load_plugin(library.trt)
    device = open_device()
    with device.current(f"loading {path.name}"):
        generator = EngineGenerator(path, record, library)
    # A tile and its margins must fit into a profile.
    side = max(min(profile.max[1:]) for profile in record.profiles)
    tile = max(side - 2 * record.spec.halo, 1)
    return DeviceChain(
        device, generator, name="tensorrt", version=library.title, color=color, tile=tile
    )


def _names(trt: Any, engine: Any, spec: ModelSpec, path: Path) -> tuple[str, str]:
    """Names of the input and the output; raises unless they match the spec."""
    names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
    inputs, outputs = (
        [name for name in names if engine.get_tensor_mode(name) == mode]
        for mode in (trt.TensorIOMode.INPUT, trt.TensorIOMode.OUTPUT)
    )
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelFormatError(f"{path}: expected one input and one output")
    expected = trt.float32 if spec.precision == "fp32" else trt.float16
    for name, channels in ((inputs[0], 3), (outputs[0], spec.out_channels)):
        shape, dtype = tuple(engine.get_tensor_shape(name)), engine.get_tensor_dtype(name)
        if len(shape) != 4 or shape[1] not in (channels, -1) or dtype != expected:
            raise ModelFormatError(
                f"{path}: {name} is {dtype} {shape}, but its spec says {expected} with {channels} "
                "channels; build it again"
            )
    return inputs[0], outputs[0]
