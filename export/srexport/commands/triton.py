"""`srsdk-export triton`: a model repository for NVIDIA Triton Inference Server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srexport.commands.arguments import find_model
from srsdk.cli import entry


def triton(
    model: Annotated[
        str, typer.Argument(help="ONNX file or engine of srsdk-export, or a zoo model.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Repository to add it to.")],
    name: Annotated[str | None, typer.Option(help="The model's name there.")] = None,
    version: Annotated[int, typer.Option(min=1, help="Number of this version.")] = 1,
    max_batch: Annotated[
        int | None, typer.Option(min=1, help="Largest batch; default 16 for faces, else 1.")
    ] = None,
    delay: Annotated[
        int, typer.Option(min=0, help="Microseconds a request may wait to be batched.")
    ] = 2000,
) -> None:
    """Write a model repository, batching face crops of different requests."""
    from srexport.triton import write_repository

    folder = write_repository(
        find_model(model), output, name=name, version=version, max_batch=max_batch, delay=delay
    )
    entry.say(f"{folder}: version {version}; run `tritonserver --model-repository {output}`")
