# Longer than other functions here: typer reads each option from the signature.
"""`srsdk enhance`: images, videos and folders in, sharper ones out."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from srsdk.cli import entry, options
from srsdk.cli.outputs import check_new, typed_path, write_whole
from srsdk.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from srsdk.cli.jobs import Job, Skipped
    from srsdk.cli.report import Outcome
    from srsdk.video.pipes import RawVideo

_VIDEO, _IMAGE, _FACES = "Videos", "Images", "Faces"


def enhance(
    inputs: Annotated[list[str], typer.Argument(help="Images, videos, folders; - for stdin.")],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="File; a folder for a folder or several inputs; a video's name for a folder of "
            "pictures; frames/%06d.png for pictures of a video; - for stdout.",
        ),
    ],
    model: options.Model = options.DEFAULT_MODEL,
    faces: options.Faces = "none",
    backend: options.Backend = "auto",
    precision: options.Precision = "auto",
    threads: options.Threads = None,
    detector: options.Detector = "blazeface",
    detect_every: options.DetectEvery = 5,
    max_face: options.MaxFace = None,
    strength: options.Strength = 1.0,
    guard: options.Guard = False,
    face_budget: options.FaceBudget = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Search the folders of folders too.")
    ] = False,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Also write NAME.compare.EXT: bicubic left, result right."),
    ] = False,
    scale: Annotated[
        float | None, typer.Option(help="Size of the result over the input's, for instance 2.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Size of the result: 1920x1080, 1920x or x1080.")
    ] = None,
    report: Annotated[
        str | None, typer.Option("--report", help="Write a JSON report; - for stdout.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that exist.")
    ] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave outputs that exist as they are.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    start: Annotated[
        str, typer.Option(help="Where to begin: seconds, or 1:02:03.5.", rich_help_panel=_VIDEO)
    ] = "0",
    duration: Annotated[
        str | None,
        typer.Option(help="How long: seconds, or 1:02:03.5.", rich_help_panel=_VIDEO),
    ] = None,
    on_damage: Annotated[
        str,
        typer.Option(
            help="conceal: show what a player shows, and say where; stop: fail; salvage: also take "
            "files that are cut short.",
            rich_help_panel=_VIDEO,
        ),
    ] = "conceal",
    progressive: Annotated[
        bool,
        typer.Option(
            "--progressive",
            help="Frames are whole although the file says that they are interlaced.",
            rich_help_panel=_VIDEO,
        ),
    ] = False,
    audio: Annotated[
        str,
        typer.Option(help="copy, aac (converts what is not AAC), none.", rich_help_panel=_VIDEO),
    ] = "copy",
    subtitles: Annotated[
        str,
        typer.Option(
            help="copy, convert (text that the output cannot hold as it is), none.",
            rich_help_panel=_VIDEO,
        ),
    ] = "copy",
    data: Annotated[
        str, typer.Option(help="Data tracks, attachments: copy, none.", rich_help_panel=_VIDEO)
    ] = "copy",
    codec: Annotated[
        str | None,
        typer.Option(
            help="Encoder: libx264 (default), libx265, libsvtav1, libvpx-vp9 (default of .webm), "
            "or hardware: h264_nvenc, h264_videotoolbox, h264_v4l2m2m, ...",
            rich_help_panel=_VIDEO,
        ),
    ] = None,
    crf: Annotated[
        float | None,
        typer.Option(help="Quality, lower is better; default 18.", rich_help_panel=_VIDEO),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Speed setting of the encoder.", rich_help_panel=_VIDEO)
    ] = None,
    pixel_format: Annotated[
        str | None,
        typer.Option(
            help="Stored pixel format; default yuv420p, yuv420p10le for 10-bit input.",
            rich_help_panel=_VIDEO,
        ),
    ] = None,
    rate: Annotated[
        float,
        typer.Option(help="Pictures a second of a folder of pictures.", rich_help_panel=_VIDEO),
    ] = 25.0,
    raw: Annotated[
        str | None,
        typer.Option(
            help="Stdin and stdout are raw pixels: WIDTHxHEIGHT of the input, with --rate.",
            rich_help_panel=_VIDEO,
        ),
    ] = None,
    raw_order: Annotated[
        str, typer.Option(help="Order of raw pixels: bgr, rgb.", rich_help_panel=_VIDEO)
    ] = "bgr",
    jpeg_quality: Annotated[
        int,
        typer.Option(help="Quality of JPEG, WebP and AVIF, 1 to 100.", rich_help_panel=_IMAGE),
    ] = 95,
) -> None:
    """Upscale images and videos; sound, subtitles, timing and metadata of videos go along.

    One file in, one file out. A folder or several inputs give a folder, under the same names.
    Files that fail do not stop the others; they are listed, and the exit code says so: 2 if they
    were refused before any work, 1 if the work itself failed. A video that was
    interrupted continues where it stopped when the same command is run again.
    """
    from srsdk.cli.jobs import STANDARD, plan
    from srsdk.cli.progress import Bar
    from srsdk.cli.report import build_report, to_text
    from srsdk.cli.work import Worker
    from srsdk.video import EncodeOptions, OutputSize, ReadOptions, TrackOptions

    if not 1 <= jpeg_quality <= 100:
        raise InputError(f"--jpeg-quality is {jpeg_quality}, expected 1 to 100")
    if overwrite and skip_existing:
        raise InputError("give --overwrite or --skip-existing, not both")
    read = ReadOptions(
        on_damage=on_damage,  # type: ignore[arg-type]  # checked there, as the three below
        start=_seconds("--start", start),
        duration=None if duration is None else _seconds("--duration", duration),
        progressive=progressive,
    )
    tracks = TrackOptions(audio=audio, subtitles=subtitles, data=data)  # type: ignore[arg-type]
    jobs, skipped = plan(inputs, output, recursive=recursive, compare=compare)
    given: dict[str, Any] = {"codec": codec, "crf": crf, "preset": preset}
    given["pixel_format"] = pixel_format
    encode = {name: value for name, value in given.items() if value is not None}
    EncodeOptions(**encode)  # refuses bad options before any work
    if report == "-" and any(job.target == STANDARD for job in jobs):
        raise InputError("--report - and -o - cannot share stdout; name a file for the report")
    report_file = _report_file(report, [j.source for j in jobs], overwrite=overwrite)
    if not quiet:
        _say_skipped(skipped)
    outcomes: list[Outcome] = []
    with options.open_upscaler(
        model,
        faces=faces,
        backend=backend,
        precision=precision,
        threads=threads,
        detector=detector,
        max_face=max_face,
        guard=guard,
        face_budget=face_budget,
        strength=strength,
    ) as upscaler:
        worker = Worker(
            upscaler,
            read=read,
            encode=encode,
            tracks=tracks,
            size=OutputSize.parse(size, scale),
            rate=_rate(rate),
            raw=_raw(raw, rate, raw_order),
            raw_output=raw is not None,
            quality=jpeg_quality,
            detect_every=detect_every,
            overwrite=overwrite,
            skip_existing=skip_existing,
            strength=strength,
            choices={
                "detector": detector,
                "max_face": max_face,
                "guard": guard,
                "face_budget": face_budget,
            },
        )
        # Refuses bad options before any work.
        upscaler.stream(detect_every=detect_every, strength=strength)
        with Bar(len(jobs), quiet=quiet) as bar:
            for job in jobs:
                outcome = worker.run(job, bar.begin(job.source.name))
                outcomes.append(outcome)
                _say_outcome(outcome, quiet=quiet)
        account = to_text(build_report(upscaler.info, outcomes, skipped))
    if report_file is not None:
        write_whole(report_file, account.encode("ascii"))
    elif report:
        sys.stdout.write(account)
    failed = [outcome for outcome in outcomes if outcome.error]
    if failed:
        if len(jobs) > 1:
            entry.say_error(f"{len(failed)} of {len(jobs)} files failed")
        raise typer.Exit(min(outcome.code for outcome in failed))


def _say_skipped(skipped: Sequence[Skipped]) -> None:
    for item in skipped:
        entry.say(f"skipped {item.path}: {item.reason}")


def _say_outcome(outcome: Outcome, *, quiet: bool) -> None:
    if outcome.error:
        kept = outcome.code == 1 and _job_folder(outcome.job)
        hint = "; run the same command again to go on where it was" if kept else ""
        entry.say_error(f"{outcome.error}{hint}")
        return
    if quiet:
        return
    if outcome.skipped:
        entry.say(f"skipped {outcome.job.source}: {outcome.job.target} exists")
        return
    video: dict[str, Any] = outcome.video or {}
    for text in video.get("warnings", ()):
        entry.say_warning(f"{outcome.job.source}: {text}")
    for track in video.get("dropped_tracks", ()):
        entry.say_warning(f"{outcome.job.target}: left out {track}")
    if video.get("restarted"):
        entry.say(f"{outcome.job.target}: began anew, since {video['restarted']}")
    entry.say(_summary(outcome))


def _job_folder(job: Job) -> bool:
    """Whether an unfinished job was kept for this output."""
    if job.kind not in ("video", "pictures"):
        return False
    from srsdk.video.job import folder_of

    return folder_of(job.target).is_dir()


def _summary(outcome: Outcome) -> str:
    width, height = outcome.output_size
    fps = outcome.fps or 0.0
    what = f"{width}x{height}"
    if outcome.job.kind != "image":
        what += f", {outcome.frames} frames at {fps:.1f} fps"
    else:
        what += f", {outcome.wall:.2f} s"
    resumed = (outcome.video or {}).get("resumed_frames")
    if resumed:
        what += f" ({resumed} of them done before)"
    if outcome.faces:
        what += f", {outcome.faces} faces"
    beside = f" and {outcome.job.compare}" if outcome.job.compare else ""
    return f"{outcome.job.target}{beside}: {what}"


def _seconds(name: str, text: str) -> float:
    """Seconds from 90, 90.5, 1:30 or 0:01:30."""
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or any(not 0 <= part < 1e9 for part in parts):
        raise InputError(f"{name} is {text!r}, expected seconds or hours:minutes:seconds")
    seconds = 0.0
    for part in parts:
        seconds = 60 * seconds + part
    return seconds


def _rate(rate: float) -> Fraction:
    if not 0.001 <= rate <= 1000:
        raise InputError(f"--rate is {rate:g}, expected 0.001 to 1000 pictures a second")
    return Fraction(rate).limit_denominator(1001)


def _raw(raw: str | None, rate: float, order: str) -> RawVideo | None:
    from srsdk.video.pipes import RawVideo

    if order not in ("bgr", "rgb"):
        raise InputError(f"--raw-order is {order!r}; choose bgr or rgb")
    if raw is None:
        return None
    width, cross, height = raw.lower().partition("x")
    if not cross or not width.isdecimal() or not height.isdecimal():
        raise InputError(f"--raw is {raw!r}, expected the size of a frame, for instance 640x360")
    return RawVideo(int(width), int(height), _rate(rate), order)


def _report_file(report: str | None, sources: Sequence[Path], *, overwrite: bool) -> Path | None:
    """Where the report goes, checked before the work; None for stdout or none."""
    if report is None or report == "-":
        return None
    path = typed_path(report)
    if path.resolve() in {source.resolve() for source in sources}:
        raise InputError(f"--report {report} is one of the inputs")
    check_new(path, overwrite=overwrite)
    return path
