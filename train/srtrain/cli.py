"""`srsdk-train`: run recipes and judge checkpoints."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from srsdk.cli import entry
from srsdk.errors import InputError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _root() -> None:
    """Train the generators of srsdk."""


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="TOML recipe.")],
    data: Annotated[Path, typer.Option(help="Folder that holds the recipe's shards.")],
    output: Annotated[Path | None, typer.Option(help="Folder for checkpoints.")] = None,
    budget: Annotated[str, typer.Option(help="Wall clock, for instance 90s, 20m, 2h.")] = "",
    device: Annotated[str, typer.Option(help="torch device.")] = "cpu",
    threads: Annotated[int, typer.Option(help="CPU threads; 0: torch's choice.")] = 0,
    override: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value, may be repeated.")
    ] = None,
) -> None:
    """Train a recipe; run it again to resume."""
    import torch

    from srtrain.config import load_recipe
    from srtrain.loop import run as train

    if threads:
        torch.set_num_threads(threads)
    loaded = load_recipe(recipe, override or ())
    folder = output or Path("runs") / loaded.name
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=entry.console,
    ) as bar:  # fmt: skip
        task = bar.add_task(loaded.name, total=1.0)

        def advance(step: int, done: float, losses: Mapping[str, float]) -> None:
            shown = "  ".join(f"{name} {value:.5f}" for name, value in losses.items())
            bar.update(task, completed=done, description=f"step {step}  {shown}")

        last = train(loaded, data, folder, budget=_seconds(budget), device=device, on_step=advance)
    for name, score in last.scores.items():
        entry.say(f"{name}: {score:.3f} dB")
    entry.say(f"checkpoint: {folder / 'last.pt'}")


@app.command(name="evaluate")
def evaluate_command(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint to judge.")],
    data: Annotated[Path, typer.Option(help="Folder that holds the dev shards.")],
) -> None:
    """Print PSNR on the dev sets, beside bicubic."""
    from srtrain.checkpoint import Checkpoint
    from srtrain.loop import evaluate, load_dev
    from srtrain.metrics import bicubic_psnr

    saved = Checkpoint.load(checkpoint)
    dev = load_dev(saved.recipe, data)
    for name, score in evaluate(saved.build(), dev).items():
        base = bicubic_psnr(dev[name])
        entry.say(f"{name}: {score:.3f} dB (bicubic {base:.3f}, {score - base:+.3f})")


def _seconds(text: str) -> float:
    if not text:
        return math.inf
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if match is None or float(match[1]) <= 0:
        raise InputError(f"budget {text!r} is not a time such as 90s, 20m or 2h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def main() -> None:
    """Entry point of the `srsdk-train` script; exit codes as in `srsdk.cli.entry`."""
    entry.run(app, level=logging.INFO)
