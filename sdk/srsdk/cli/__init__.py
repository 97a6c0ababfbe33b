"""`srsdk`: the command line of the runtime. One file a command."""

from __future__ import annotations

from typing import Annotated

import typer

import srsdk
from srsdk.cli import entry
from srsdk.cli.bench import bench as bench_command
from srsdk.cli.doctor import doctor as doctor_command
from srsdk.cli.enhance import enhance as enhance_command
from srsdk.cli.info import info as info_command
from srsdk.cli.live import live as live_command
from srsdk.cli.models import models as models_command

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("enhance")(enhance_command)
app.command("models")(models_command)
app.command("live")(live_command)
app.command("info")(info_command)
app.command("doctor")(doctor_command)
app.command("bench")(bench_command)


def _version(wanted: bool) -> None:
    if wanted:
        entry.stdout.print(f"srsdk {srsdk.__version__}", markup=False)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks and log messages (any position).")
    ] = False,
) -> None:
    """Super resolution of human portraits in images and video."""


def main() -> None:
    """Entry point of the `srsdk` script."""
    entry.run(app)
