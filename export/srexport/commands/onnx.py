"""`srsdk-export onnx`: checkpoint to ONNX."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from srexport.commands.arguments import check_target
from srsdk.cli import entry


class Tail(str, enum.Enum):
    """Where the graph ends."""

    subpixel = "subpixel"
    image = "image"


class PrecisionName(str, enum.Enum):
    """Precision of the graph."""

    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


def onnx(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of srsdk-train.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="ONNX file to write.")],
    tail: Annotated[Tail, typer.Option(help="End before the last pixel shuffle, or after.")] = (
        Tail.subpixel
    ),
    precision: Annotated[
        PrecisionName,
        typer.Option(help="Arithmetic in the graph; int8 is for TensorRT and needs --calibration."),
    ] = PrecisionName.fp32,
    calibration: Annotated[
        Path | None, typer.Option(help="Folder of real faces, or a .tar shard of them.")
    ] = None,
    plugin: Annotated[
        bool,
        typer.Option(
            "--plugin",
            help="Use the plugin of kernels/plugin; only TensorRT can then run the file. For "
            "machines where `make gpu-check` found it faster.",
        ),
    ] = False,
    zoo: Annotated[
        bool, typer.Option(help="Also write the model card and the manifest beside it.")
    ] = False,
    face_sizes: Annotated[
        tuple[int, int] | None,
        typer.Option(
            help="Smallest and largest head, in input pixels, that a face model improves."
        ),
    ] = None,
    face_blend: Annotated[
        float | None,
        typer.Option(help="Share of a face model's result in a face at full strength; default 1."),
    ] = None,
) -> None:
    """Write an ONNX model with its ModelSpec, and check it against PyTorch."""
    from srexport.export import export_onnx

    check_target(output)
    result = export_onnx(
        checkpoint,
        output,
        tail=tail.value,
        precision=precision.value,
        calibration=calibration,
        plugin=plugin,
        zoo=zoo,
        face_sizes=face_sizes,
        face_blend=face_blend,
    )
    if result.kept:
        wider = "float16" if precision is PrecisionName.int8 else "float32"
        entry.say(f"these layers stay in {wider}: {', '.join(result.kept)}")
    entry.say(f"{output}: {result.certificate.parity} with PyTorch")
