"""`srsdk-export`: from a checkpoint to files that the runtimes load."""

from __future__ import annotations

import typer

from srexport.commands.engine import engine as engine_command
from srexport.commands.onnx import onnx as onnx_command
from srexport.commands.quantize import quantize as quantize_command
from srexport.commands.triton import triton as triton_command
from srexport.commands.verify import verify as verify_command
from srsdk.cli import entry

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command("onnx")(onnx_command)
app.command("quantize")(quantize_command)
app.command("verify")(verify_command)
app.command("engine")(engine_command)
app.command("triton")(triton_command)


@app.callback()
def _root() -> None:
    """Export the generators of srsdk-train."""


def main() -> None:
    """Entry point of the `srsdk-export` script; exit codes as in `srsdk.cli.entry`."""
    entry.run(app)
