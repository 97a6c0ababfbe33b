"""`srsdk models`: the bundled generators."""

from __future__ import annotations

from typing import Annotated

import typer

from srsdk.cli import entry


def models(
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """List the bundled models."""
    import json

    from rich.table import Table

    from srsdk import zoo

    known = zoo.models()
    if as_json:
        records = [
            {
                "name": entry_.name,
                "scale": entry_.scale,
                "use": entry_.use,
                "summary": entry_.summary,
                "sha256": entry_.sha256,
                "path": str(entry_.path),
                "card": str(entry_.card),
            }
            for entry_ in known
        ]
        typer.echo(json.dumps(records, indent=2))
        return
    table = Table("model", "scale", "for", "size", "what it is", box=None, pad_edge=False)
    for model in known:
        size = f"{model.path.stat().st_size / 1e6:.2f} MB"
        table.add_row(model.name, f"x{model.scale}", model.use, size, model.summary)
    table.add_row("bicubic-xN", "x1-x9", "frames", "", "bicubic interpolation, to compare with")
    entry.stdout.print(table)
    entry.say("`srsdk info MODEL` shows all of one; ONNX files of srsdk-export work by path")
