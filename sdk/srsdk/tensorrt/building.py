"""Building TensorRT engines. Needs neither onnx nor torch nor, for TensorRT-RTX, a GPU."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srsdk import onnxfile
from srsdk.errors import EngineBuildError, ModelFormatError
from srsdk.files import sha256_of, write_whole
from srsdk.signals import signals_held
from srsdk.spec import CERTIFICATE_KEY, ModelSpec
from srsdk.tensorrt.flavour import Flavour, Hardware
from srsdk.tensorrt.machine import this_platform
from srsdk.tensorrt.plugin import prepare_builder
from srsdk.tensorrt.profiles import Profile
from srsdk.tensorrt.progress import OnProgress, monitor
from srsdk.tensorrt.sidecar import EngineRecord, write_record


@dataclass(frozen=True)
class Options:
    """How to build.

    Attributes:
        hardware: Which other GPUs may run the engine; TensorRT only.
        capabilities: Compute capabilities to build for; TensorRT-RTX only.
        version_compatible: Whether later TensorRT of the same major version may run it.
        optimization_level: 0 to 5, higher builds longer; None: the builder's default.
        workspace: MiB of scratch memory that the engine may use; None: all memory of the device.
        timing_cache: File of kernel measurements, which are reused and added to; None: no file.
    """

    hardware: Hardware = "this"
    capabilities: tuple[str, ...] = ()
    version_compatible: bool = False
    optimization_level: int | None = None
    workspace: int | None = None
    timing_cache: Path | None = None


def build_engine(
    model: Path,
    output: Path,
    profiles: Sequence[Profile],
    flavour: Flavour,
    options: Options,
    *,
    command: str,
    on_progress: OnProgress = lambda share, phase: None,
) -> EngineRecord:
    """Build an engine and write it with its sidecar.

    Args:
        model: ONNX file from `srsdk-export onnx`.
        output: Engine to write; the sidecar goes to `OUTPUT.json`.
        profiles: Input sizes.
        flavour: From `find_flavour`.
        options: How to build.
        command: The command that builds it again, for the sidecar.
        on_progress: Called with the share that is done, 0 to 1, and the name of the phase.

    Raises:
        ModelNotFoundError: The model does not exist.
        ModelFormatError: It carries no spec, or has operators that this TensorRT does not take.
        BackendUnavailableError: It needs the plugin, which is not installed here.
        InputError: This TensorRT does not have one of the options.
        EngineBuildError: The builder failed.
    """
    file = onnxfile.read(model)
    spec = ModelSpec.from_metadata(file.metadata, source=str(model))
    trt = flavour.trt
    messages = flavour.messages()
    builder = trt.Builder(messages)
    config = builder.create_builder_config()
    if spec.plugin:
        prepare_builder(flavour)
    capabilities = flavour.aim(config, options.hardware, options.capabilities)
    network = parse(model.read_bytes(), flavour, builder, messages, str(model))
    _configure(trt, config, options)
    for profile in profiles:
        _add_profile(builder, config, profile, file.input)
    cache = _attach_cache(config, flavour, options.timing_cache)
    started = time.perf_counter()
    progress = monitor(trt, on_progress)
    config.progress_monitor = progress
    with signals_held(progress.stop):
        plan = builder.build_serialized_network(network, config)
    if progress.failure is not None:
        raise progress.failure
    if plan is None:
        why = messages.errors[-1] if messages.errors else "it does not say why"
        raise EngineBuildError(f"{flavour.title} could not build {model}: {why}")
    seconds = time.perf_counter() - started
    on_progress(1.0, "done")
    if cache is not None and options.timing_cache is not None:
        write_whole(options.timing_cache, bytes(config.get_timing_cache().serialize()))
    engine = bytes(plan)
    certificate = file.metadata.get(CERTIFICATE_KEY)
    record = EngineRecord(
        spec=spec,
        model=model.name,
        model_sha256=sha256_of(model),
        engine_sha256=hashlib.sha256(engine).hexdigest(),
        engine_bytes=len(engine),
        flavour=flavour.name,
        version=flavour.version,
        compute_capabilities=capabilities,
        device=flavour.device.name if flavour.device else "",
        driver=flavour.device.driver if flavour.device else "",
        platform=this_platform(),
        profiles=tuple(profiles),
        flags={
            "strongly_typed": True,
            "hardware": options.hardware,
            "version_compatible": options.version_compatible,
            "optimization_level": config.builder_optimization_level,
            "workspace_mib": options.workspace,
            "timing_cache": cache is not None,
        },
        layers=dict(sorted(Counter(layer_kinds(network)).items())),
        build_seconds=round(seconds, 3),
        command=command,
        parity=None if certificate is None else json.loads(certificate),
    )
    # The engine is written first. If the process ends between the two, loading notices that the old
    # sidecar does not match the new engine.
    write_whole(output, engine)
    write_record(output, record)
    return record


def parse(model: bytes, flavour: Flavour, builder: Any, messages: Any, name: str) -> Any:
    """The strongly typed network of a model.

    Args:
        model: The ONNX file's bytes.
        flavour: From `find_flavour`.
        builder: TensorRT's builder.
        messages: TensorRT's logger.
        name: What to call the model in an error.

    Raises:
        ModelFormatError: The model has an operator that this TensorRT does not take.
    """
    network = builder.create_network(flavour.network_flags())
    parser = flavour.trt.OnnxParser(network, messages)
    if not parser.parse(model):
        first = parser.get_error(0)
        operator, node = first.node_operator(), first.node_name()
        raise ModelFormatError(
            f"{name}: {flavour.title} does not take operator {operator} (node {node or '?'}); "
            "export the model again with `srsdk-export onnx`"
        )
    return network


def layer_kinds(network: Any) -> list[str]:
    """Kind and output type of each layer, such as "convolution half"."""
    found = []
    for number in range(network.num_layers):
        layer = network.get_layer(number)
        found.append(f"{layer.type.name} {layer.get_output(0).dtype.name}".lower())
    return found


def _configure(trt: Any, config: Any, options: Options) -> None:
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.optimization_level is not None:
        config.builder_optimization_level = options.optimization_level
    if options.workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace << 20)


def _add_profile(builder: Any, config: Any, profile: Profile, name: str) -> None:
    shapes = [
        (batch, 3, height, width)
        for batch, height, width in (profile.min, profile.opt, profile.max)
    ]
    made = builder.create_optimization_profile()
    made.set_shape(name, *shapes)
    if config.add_optimization_profile(made) < 0:
        raise EngineBuildError(f"TensorRT does not take the sizes of {profile}")


def _attach_cache(config: Any, flavour: Flavour, path: Path | None) -> Any:
    if path is None or not flavour.has_timing_cache:
        return None
    cache = config.create_timing_cache(path.read_bytes() if path.is_file() else b"")
    return cache if config.set_timing_cache(cache, False) else None
