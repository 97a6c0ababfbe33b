"""`srsdk enhance`: images, videos and folders in, sharper ones out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from srsdk.cli import entry, options
from srsdk.cli.outputs import check_new, write_whole
from srsdk.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from srsdk.cli.report import Outcome
    from srsdk.video import EncodeOptions


def enhance(
    inputs: Annotated[list[str], typer.Argument(help="Images, videos, folders.")],
    output: Annotated[
        str,
        typer.Option("--output", "-o", help="File; a folder for a folder or several inputs."),
    ],
    model: options.Model = options.DEFAULT_MODEL,
    faces: options.Faces = "none",
    backend: options.Backend = "auto",
    threads: options.Threads = None,
    detector: options.Detector = "blazeface",
    detect_every: options.DetectEvery = 5,
    max_face: options.MaxFace = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Search the folders of folders too.")
    ] = False,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Also write NAME.compare.EXT: bicubic left, result right."),
    ] = False,
    report: Annotated[
        str | None, typer.Option("--report", help="Write a JSON account; - for stdout.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that exist.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    codec: Annotated[
        str | None,
        typer.Option(help="Encoder: libx264 (default), libx265, libsvtav1, libvpx-vp9."),
    ] = None,
    crf: Annotated[
        float | None, typer.Option(help="Quality of the video, lower is better; default 18.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Speed setting of the encoder.")] = None,
    pixel_format: Annotated[
        str | None, typer.Option(help="Stored pixel format; default yuv420p.")
    ] = None,
) -> None:
    """Upscale images and videos; sound, subtitles, timing and metadata of videos go along.

    One file in, one file out. A folder or several inputs give a folder, under the same names.
    Files that fail do not stop the others; they are listed, and the exit code says so: 2 if they
    were refused before any work, 1 if the work itself failed.
    """
    from srsdk.cli.jobs import plan
    from srsdk.cli.progress import Bar
    from srsdk.cli.report import build_report, to_text
    from srsdk.cli.work import Worker

    jobs, skipped = plan(inputs, output, recursive=recursive, compare=compare)
    encode = _encode_options(codec, crf, preset, pixel_format)
    report_file = _report_file(report, [j.source for j in jobs], overwrite=overwrite)
    if skipped and not quiet:
        entry.say(f"skipped {skipped} files that are no images or videos")
    outcomes: list[Outcome] = []
    with options.open_upscaler(
        model,
        faces=faces,
        backend=backend,
        threads=threads,
        detector=detector,
        max_face=max_face,
    ) as upscaler:
        worker = Worker(upscaler, encode, detect_every, overwrite)
        upscaler.stream(detect_every=detect_every)  # refuses bad options before any work
        with Bar(len(jobs), quiet=quiet) as bar:
            for job in jobs:
                outcome = worker.run(job, bar.begin(job.source.name))
                outcomes.append(outcome)
                if outcome.error:
                    entry.say_error(outcome.error)
                elif not quiet:
                    entry.say(_summary(outcome))
        account = to_text(build_report(upscaler.info, outcomes))
    if report_file is not None:
        write_whole(report_file, account.encode("ascii"))
    elif report:
        sys.stdout.write(account)
    failed = [outcome for outcome in outcomes if outcome.error]
    if failed:
        if len(jobs) > 1:
            entry.say_error(f"{len(failed)} of {len(jobs)} files failed")
        raise typer.Exit(min(outcome.code for outcome in failed))


def _summary(outcome: Outcome) -> str:
    width, height = outcome.output_size
    fps = outcome.fps or 0.0
    what = f"{width}x{height}"
    if outcome.job.kind == "video":
        what += f", {outcome.frames} frames at {fps:.1f} fps"
    else:
        what += f", {outcome.wall:.2f} s"
    if outcome.faces:
        what += f", {outcome.faces} faces"
    beside = f" and {outcome.job.compare}" if outcome.job.compare else ""
    for track in (outcome.video or {}).get("dropped_tracks", ()):
        entry.say_warning(f"{outcome.job.target}: left out {track}")
    return f"{outcome.job.target}{beside}: {what}"


def _encode_options(
    codec: str | None, crf: float | None, preset: str | None, pixel_format: str | None
) -> EncodeOptions:
    from srsdk.video import EncodeOptions

    default = EncodeOptions()
    return EncodeOptions(
        codec=codec or default.codec,
        crf=default.crf if crf is None else crf,
        preset=preset,
        pixel_format=pixel_format or default.pixel_format,
    )


def _report_file(report: str | None, sources: Sequence[Path], *, overwrite: bool) -> Path | None:
    """Where the report goes, checked before the work; None for stdout or none."""
    if report is None or report == "-":
        return None
    path = Path(report).expanduser()
    if path.resolve() in {source.resolve() for source in sources}:
        raise InputError(f"--report {report} is one of the inputs")
    check_new(path, overwrite=overwrite)
    return path
