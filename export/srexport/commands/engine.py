"""`srsdk-export engine`: ONNX to TensorRT engine."""

from __future__ import annotations

import enum
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from srexport.commands.arguments import check_target, find_model
from srsdk.cli import entry


class LibraryName(str, enum.Enum):
    """A TensorRT library."""

    auto = "auto"
    tensorrt = "tensorrt"
    tensorrt_rtx = "tensorrt_rtx"


class HardwareName(str, enum.Enum):
    """GPUs that may run the engine besides this one."""

    this = "this"
    same_compute_capability = "same-compute-capability"
    ampere_plus = "ampere-plus"


def engine(
    model: Annotated[str, typer.Argument(help="ONNX file of srsdk-export, or a zoo model.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Engine to write.")],
    shapes: Annotated[
        list[str] | None,
        typer.Option(
            help="Sizes to build for; may be repeated: faces, close-ups, WIDTHxHEIGHT, "
            "BATCH*WIDTHxHEIGHT, MIN:OPT:MAX. Default: what suits the model."
        ),
    ] = None,
    library: Annotated[LibraryName, typer.Option(help="Which TensorRT.")] = LibraryName.auto,
    hardware: Annotated[
        HardwareName, typer.Option(help="TensorRT: which GPUs may run it.")
    ] = HardwareName.this,
    compute_capability: Annotated[
        list[str] | None, typer.Option(help="TensorRT-RTX: GPUs to build for, such as 8.9.")
    ] = None,
    version_compatible: Annotated[
        bool, typer.Option(help="Let later TensorRT of the same major version run it.")
    ] = False,
    optimization_level: Annotated[
        int | None, typer.Option(min=0, max=5, help="Higher builds longer.")
    ] = None,
    workspace: Annotated[int | None, typer.Option(min=1, help="MiB of scratch memory.")] = None,
    timing_cache: Annotated[
        Path | None, typer.Option(help="TensorRT: measurements to reuse and add to.")
    ] = None,
) -> None:
    """Build a TensorRT engine, with a sidecar that says what it runs on."""
    from srsdk.cli.enginebar import engine_bar
    from srsdk.onnxfile import read_spec
    from srsdk.tensorrt.building import Options, build_engine
    from srsdk.tensorrt.flavour import find_flavour
    from srsdk.tensorrt.profiles import profiles

    check_target(output)
    options = Options(
        hardware.value,
        tuple(compute_capability or ()),
        version_compatible,
        optimization_level,
        workspace,
        timing_cache,
    )
    source = find_model(model)
    wanted = profiles(shapes or [], read_spec(source))
    flavour = find_flavour(library.value)
    with engine_bar(flavour.title) as on_progress:
        record = build_engine(
            source, output, wanted, flavour, options, command=_again(), on_progress=on_progress
        )
    entry.say(
        f"{output}: {record.spec.precision}, {record.engine_bytes / 1e6:.1f} MB, built by "
        f"{flavour.title} in {record.build_seconds:.1f} s for compute capability "
        f"{', '.join(record.compute_capabilities)}; sizes {'; '.join(map(str, record.profiles))}"
    )


def _again() -> str:
    return shlex.join(["srsdk-export", *(part for part in sys.argv[1:] if part != "--debug")])
