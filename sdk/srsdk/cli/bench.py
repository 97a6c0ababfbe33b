"""`srsdk bench`: how long each stage of a frame takes here."""

from __future__ import annotations

import json
import re
import sys
from contextlib import ExitStack, closing
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from srsdk.cli import entry, options
from srsdk.cli.outputs import check_new, typed_path, write_whole
from srsdk.errors import (
    BackendUnavailableError,
    InputError,
    ModelFormatError,
    ModelNotFoundError,
)

if TYPE_CHECKING:
    from srsdk.cli.measure import BenchChoice
    from srsdk.cli.record import Record, Row
    from srsdk.upscaler import Upscaler

_COVERS = "all that the sensor covers, idle power included"


def bench(
    source: Annotated[
        Path | None, typer.Argument(help="Video whose frames to take; none: made-up frames.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="As for enhance; several times to compare models."),
    ] = None,
    faces: options.Faces = "none",
    backend: Annotated[
        list[str] | None,
        typer.Option("--backend", help="As for enhance; several times to compare backends."),
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option("--precision", help="As for enhance; several times to compare precisions."),
    ] = None,
    threads: options.Threads = None,
    detector: options.Detector = "blazeface",
    detect_every: options.DetectEvery = 5,
    max_face: options.MaxFace = None,
    size: Annotated[str, typer.Option(help="Size of made-up frames, WIDTHxHEIGHT.")] = "320x180",
    frames: Annotated[int, typer.Option(help="Frames to measure.")] = 200,
    warmup: Annotated[int, typer.Option(help="Frames before that.")] = 20,
    json_file: Annotated[
        str | None, typer.Option("--json", help="Also write JSON to a file; - for stdout alone.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the JSON file.")] = False,
) -> None:
    """Time whole frames and their stages: p50, p95, p99 in milliseconds.

    Every model runs on every backend in every precision, on the same frames and in turn. fps
    counts whole frames, u8 in to u8 out, one after another. Decoding and encoding are separate
    stages that fps leaves out; `srsdk enhance` shows how fast a whole job was.
    """
    from srsdk import zoo
    from srsdk.cli.bench_frames import BenchFrames
    from srsdk.cli.measure import BenchChoice, measure
    from srsdk.cli.record import Record
    from srsdk.power import open_meter

    if frames < 1 or warmup < 0:
        raise InputError(f"--frames {frames} --warmup {warmup}: at least 1 and 0 are needed")
    given = BenchFrames(source, _size(size), frames, warmup, detect_every)
    path = None if json_file in (None, "-") else typed_path(str(json_file))
    if path is not None:
        check_new(path, overwrite=overwrite)
    models, backends = model or [options.DEFAULT_MODEL], backend or ["auto"]
    precisions = precision or ["auto"]
    for one_model in models:
        zoo.find(one_model)  # a wrong name is an error, a wrong pair is left out
    choices = {
        " ".join(
            [
                one_model,
                *([f"on {one_backend}"] if len(backends) > 1 else []),
                *([f"in {one_precision}"] if len(precisions) > 1 else []),
            ]
        ): BenchChoice(one_model, faces, one_backend, threads, detector, max_face, one_precision)
        for one_model, one_backend, one_precision in product(models, backends, precisions)
    }
    with ExitStack() as stack:
        chosen, skipped = _open(choices, stack)
        (scale,) = {upscaler.scale for _, upscaler in chosen.values()}
        gpu = any(upscaler.info.frames.device != "cpu" for _, upscaler in chosen.values())
        with closing(open_meter(gpu=gpu)) as meter:
            (width, height), rows = measure(chosen, given, meter)
    result = Record(
        input_size=(width, height),
        output_size=(width * scale, height * scale),
        rows=tuple(rows),
        skipped=skipped,
        source=None if source is None else source.name,
        sensor=meter.sensor,
        power_note="; ".join((*([_COVERS] if meter.sensor else []), *meter.missing)),
    )
    text = json.dumps(result.to_json(), indent=2) + "\n"
    if json_file == "-":
        sys.stdout.write(text)
        return
    _show(result)
    if path is not None:
        write_whole(path, text.encode("utf-8"))


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if match is None:
        raise InputError(f"--size {text!r} is not WIDTHxHEIGHT, for instance 320x180")
    return int(match[1]), int(match[2])


def _open(
    choices: dict[str, BenchChoice], stack: ExitStack
) -> tuple[dict[str, tuple[BenchChoice, Upscaler]], tuple[tuple[str, str], ...]]:
    """Open the choices. One that cannot be opened is left out, and the reason returned."""
    chosen: dict[str, tuple[BenchChoice, Upscaler]] = {}
    skipped: list[tuple[str, str]] = []
    last: Exception | None = None
    for name, choice in choices.items():
        try:
            chosen[name] = (choice, stack.enter_context(choice.open()))
        except (BackendUnavailableError, ModelFormatError, ModelNotFoundError) as error:
            skipped.append((name, str(error)))
            last = error
    if last is not None and not chosen:
        raise last
    scales = {upscaler.scale for _, upscaler in chosen.values()}
    if len(scales) > 1:
        raise InputError("the models have different scales; compare those of one scale")
    return chosen, tuple(skipped)


def _show(record: Record) -> None:
    (width, height), (large_width, large_height) = record.input_size, record.output_size
    for row in record.rows:
        with_faces = f", faces by {row.face_model}" if row.face_model else ""
        entry.stdout.print(
            f"{row.model} on {row.backend} in {row.precision}, {row.threads} threads{with_faces}: "
            f"{width}x{height} to {large_width}x{large_height}, {row.total.calls} frames",
            soft_wrap=True,
        )
        _show_stages(row)
        if row.face_model and not row.faces:
            entry.say_warning("no face was in these frames; give a video with faces")
    for name, reason in record.skipped:
        entry.say_warning(f"{name} left out: {reason}")
    _show_rows(record)
    entry.stdout.print("fps: whole frames without decoding and encoding", soft_wrap=True)
    what = "energy: " + (f"{record.sensor}; " if record.sensor else "not shown; ")
    entry.stdout.print(what + record.power_note, soft_wrap=True, markup=False)


def _show_stages(row: Row) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("stage", style="cyan")
    for name in ("p50 ms", "p95 ms", "p99 ms", "mean ms", "calls"):
        table.add_column(name, justify="right")
    for name, stage in (*row.stages.items(), ("total", row.total)):
        values = [f"{1000 * each:.2f}" for each in (stage.p50, stage.p95, stage.p99, stage.mean)]
        table.add_row(name, *values, str(stage.calls))
    entry.stdout.print(table)


def _show_rows(record: Record) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("", style="cyan")
    for name in ("fps", "p50 ms", "p99 ms", "peak MB", *(["J a frame"] if record.sensor else [])):
        table.add_column(name, justify="right")
    for row in record.rows:
        values = [f"{row.fps or 0:.1f}", f"{1e3 * row.total.p50:.2f}", f"{1e3 * row.total.p99:.2f}"]
        values.append("?" if row.peak_memory is None else f"{row.peak_memory / 1e6:.0f}")
        if record.sensor:
            values.append("?" if row.joules is None else f"{row.joules:.3g}")
        table.add_row(row.name, *values)
    entry.stdout.print(table)
