"""`srsdk-export`: from a checkpoint to files that run anywhere."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from srsdk.cli import entry

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


class Tail(str, enum.Enum):
    """Where the graph ends."""

    subpixel = "subpixel"
    image = "image"


@app.callback()
def _root() -> None:
    """Export the generators of srsdk-train."""


@app.command()
def onnx(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of srsdk-train.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="ONNX file to write.")],
    tail: Annotated[Tail, typer.Option(help="End before the last pixel shuffle, or after.")] = (
        Tail.subpixel
    ),
    zoo: Annotated[
        bool, typer.Option(help="Also write the model card and the manifest beside it.")
    ] = False,
) -> None:
    """Write an ONNX model with its ModelSpec, and check it against PyTorch."""
    from srexport import card, verify
    from srexport.onnx import build, read_spec, save
    from srexport.source import read_checkpoint

    model = build(read_checkpoint(checkpoint), tail=tail.value)
    draft = output.with_name(f".{output.name}.draft")
    try:
        save(model, draft)
        parity = verify.compare(
            verify.torch_upscale(checkpoint), verify.onnx_upscale(draft), verify.probe_frames()
        )
        parity.check(str(checkpoint))
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
    if zoo:
        spec = read_spec(model)
        output.with_suffix(".md").write_text(card.model_card(spec, output, parity), "utf-8")
        card.update_manifest(output.with_name("manifest.json"), spec, output)
    entry.say(f"{output}: agrees with PyTorch within {parity.largest} of 255")


def main() -> None:
    """Entry point of the `srsdk-export` script; exit codes as in `srsdk.cli.entry`."""
    entry.run(app)
