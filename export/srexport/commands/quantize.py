"""`srsdk-export quantize`: steps for int8, into a model file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from srexport.commands.arguments import check_target, find_model
from srsdk.cli import entry

if TYPE_CHECKING:
    from srexport.int8 import ImageSet


def quantize(
    model: Annotated[str, typer.Argument(help="ONNX file, or name of a bundled model.")],
    calibration: Annotated[
        list[Path],
        typer.Option(
            help="Folder of pictures, .tar shard of faces, or video; several times for several."
        ),
    ],
    judge: Annotated[
        list[Path] | None,
        typer.Option(help="The same, to judge on; else every other image of --calibration."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; else MODEL itself.")
    ] = None,
    limit: Annotated[int, typer.Option(min=2, help="Images to take of each set.")] = 48,
    zoo: Annotated[
        bool, typer.Option(help="Also bring the manifest beside the model up to date.")
    ] = False,
) -> None:
    """Add steps for the native backend's int8 to a model, and prove how near it is to float32.

    The float32 weights stay as they are. Upscaler(precision="auto") takes int8 where the proof is
    good enough.
    """
    from srexport import card
    from srexport.imageset import read_set, split_set
    from srexport.int8 import quantize_file
    from srexport.onnx import load, read_spec

    path = find_model(model)
    target = output or path
    check_target(target)
    spec = read_spec(load(path), str(path))

    def images(sources: list[Path]) -> list[ImageSet]:
        return [
            read_set(source, scale=spec.scale, face_size=spec.face_size, limit=limit)
            for source in sources
        ]

    calibrated = images(calibration)
    if judge:
        judged = images(judge)
    else:
        calibrated, judged = map(list, zip(*map(split_set, calibrated), strict=True))
    record = quantize_file(path, calibrated, judged, target)
    proof = record.certificate
    if zoo:
        card.update_manifest(target.with_name("manifest.json"), spec, target)
    flicker = "" if proof.flicker is None else f", flickers {proof.flicker:.3f} times as much"
    entry.say(
        f"{target}: int8 is {proof.psnr:.1f} dB from float32, loses {proof.loss:.3f} dB{flicker} "
        f"({proof.images}): {'good enough' if proof.passed else 'NOT good enough'} for "
        "precision=auto"
    )
