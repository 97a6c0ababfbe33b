"""`srsdk bench`: how long each stage of a frame takes here."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from srsdk.cli import entry, options
from srsdk.cli.outputs import check_new, write_whole
from srsdk.errors import InputError

if TYPE_CHECKING:
    from srsdk.cli.measure import Measurement


def bench(
    source: Annotated[
        Path | None, typer.Argument(help="Video whose frames to take; none: made-up frames.")
    ] = None,
    model: options.Model = options.DEFAULT_MODEL,
    faces: options.Faces = "none",
    backend: options.Backend = "auto",
    threads: options.Threads = None,
    detector: options.Detector = "slimface",
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

    fps is of whole frames, u8 in to u8 out, one after another; decoding and encoding are not in it
    (`srsdk enhance` says how fast a whole job was). The graph alone is a part, never called fps.
    """
    from srsdk.cli.measure import measure

    if frames < 1 or warmup < 0:
        raise InputError(f"--frames {frames} --warmup {warmup}: at least 1 and 0 are needed")
    width, height = _size(size)
    path = None if json_file in (None, "-") else Path(str(json_file)).expanduser()
    if path is not None:
        check_new(path, overwrite=overwrite)
    with options.open_upscaler(
        model,
        faces=faces,
        backend=backend,
        threads=threads,
        detector=detector,
        max_face=max_face,
    ) as upscaler:
        result = measure(
            upscaler,
            model,
            source=source,
            size=(width, height),
            frames=frames,
            warmup=warmup,
            detect_every=detect_every,
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


def _show(result: Measurement) -> None:
    from rich.table import Table

    facts: dict[str, Any] = result.to_json()
    (width, height), (large_width, large_height) = facts["size"], facts["output_size"]
    with_faces = f", faces by {facts['face_model']}" if facts["face_model"] else ""
    entry.stdout.print(
        f"{facts['model']} on {facts['backend']}, {facts['threads']} threads{with_faces}: "
        f"{width}x{height} to {large_width}x{large_height}, {facts['frames']} frames",
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("stage", style="cyan")
    for name in ("p50 ms", "p95 ms", "p99 ms", "mean ms", "calls"):
        table.add_column(name, justify="right")
    for name, stage in facts["stages"].items():
        values = [f"{1000 * stage[key]:.2f}" for key in ("p50", "p95", "p99", "mean")]
        table.add_row(name, *values, str(stage["calls"]))
    entry.stdout.print(table)
    entry.stdout.print(f"{facts['fps']:.1f} fps, whole frames without decoding and encoding")
    if facts["face_model"] and not facts["faces"]:
        entry.say_warning("no face was in these frames; give a video with faces")
