"""`srsdk live`: a camera, file or stream, upscaled while it runs."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from srsdk.cli import entry, options
from srsdk.errors import InputError
from srsdk.signals import signals_held

if TYPE_CHECKING:
    from srsdk.live import Live, LiveStats, Source
    from srsdk.live.sinks import Sink

_REFRESH = 0.5  # seconds between two lines of statistics on a terminal
_REPORT = 10.0  # seconds between two lines in a log


def live(
    source: Annotated[
        str | None,
        typer.Argument(help="Camera number, video file, or rtsp:// or http:// URL."),
    ] = None,
    model: options.Model = options.DEFAULT_MODEL,
    faces: options.Faces = "none",
    detector: options.Detector = "blazeface",
    max_face: options.MaxFace = None,
    strength: options.Strength = 1.0,
    guard: options.Guard = False,
    face_budget: options.FaceBudget = None,
    fast: Annotated[
        str | None, typer.Option("--fast", help="Faster model, for when the time is short.")
    ] = None,
    backend: options.Backend = "auto",
    threads: options.Threads = None,
    precision: options.Precision = "auto",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Record to a video file.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = (
        False
    ),
    window: Annotated[
        bool,
        typer.Option("--window", help="Show a window, as without any output; beside --output."),
    ] = False,
    virtual_camera: Annotated[
        bool,
        typer.Option(
            "--virtual-camera",
            help="Be a camera for other programs (pyvirtualcam); beside --output.",
        ),
    ] = False,
    no_output: Annotated[
        bool, typer.Option("--no-output", help="Show nothing, for measuring.")
    ] = False,
    web: Annotated[
        bool,
        typer.Option("--web", help="Serve a page that shows SOURCE or the browser's camera."),
    ] = False,
    host: Annotated[str, typer.Option(help="For --web: address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="For --web: port; 0 for any free one.")] = 8080,
    token: Annotated[
        str | None,
        typer.Option(help="For --web on other addresses: secret that the page's URL must contain."),
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="Frames a second of the source.", show_default="measured")
    ] = None,
    deadline: Annotated[
        float | None,
        typer.Option(help="Largest age of a picture in milliseconds.", show_default="two frames"),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(help="Seconds after which to end.", show_default="never")
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Play a file again and again.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
) -> None:
    """Upscale a camera, a file or a stream while it runs; the newest frame wins.

    Each frame gets the best quality for which there is time: faces, the model alone, the faster
    model, or bicubic. Without --output, --virtual-camera or --no-output, pictures are shown in a
    window (Esc ends). With --web, a page shows them, and without a SOURCE upscales the browser's
    own camera. Ctrl-C ends it with a summary. A recording that meets a full disk keeps what was
    written before; pictures are shown on.
    """
    from srsdk.live import Live, open_source

    if duration is not None and not duration > 0:
        raise InputError(f"--duration is {duration}, expected more than 0 seconds")
    late = None if deadline is None else deadline / 1e3
    plain = partial(options.open_upscaler, backend=backend, threads=threads, precision=precision)
    full = partial(
        plain, detector=detector, max_face=max_face, guard=guard, face_budget=face_budget
    )
    if web:
        if output or window or virtual_camera or no_output:
            raise InputError("--web is an output: give no other")
        if fast is not None or duration is not None:
            raise InputError("--web runs one model until Ctrl-C: give no --fast and no --duration")
        opened = None if source is None else partial(open_source, source, loop=loop)
        if opened is not None:
            opened().close()  # what cannot be opened is said now
        from srsdk.live.web import serve
        from srsdk.live.web.models import Models

        with closing(
            Models(
                model,
                faces=None if faces == "none" else faces,
                open_upscaler=lambda name, faces: full(name, faces=faces) if faces else plain(name),
                deadline=late,
                fps=fps,
                strength=strength,
            )
        ) as models:
            say = (lambda text: None) if quiet else entry.say
            serve(models, open_source=opened, host=host, port=port, token=token, say=say)
        return
    if source is None:
        raise InputError("give a SOURCE: a camera number such as 0, a video file or a URL")
    with ExitStack() as stack:
        upscaler = stack.enter_context(full(model, faces=faces, strength=strength))
        quick = None if fast is None else stack.enter_context(plain(fast))
        frames = open_source(source, loop=loop)
        sink = _sink(output, overwrite, window, virtual_camera, no_output, fps or frames.fps or 30)
        stack.enter_context(closing(sink))
        working = stack.enter_context(Live(upscaler, deadline=late, fps=fps, fast=quick))
        working.strength = strength
        stats = _run(working, frames, sink, duration, quiet)
    if not quiet:
        entry.say(_summary(stats))


def _run(live: Live, source: Source, sink: Sink, duration: float | None, quiet: bool) -> LiveStats:
    """Show the pictures until the source, the user or the time ends it; Ctrl-C is an end too."""
    ended = threading.Event()
    reporter = threading.Thread(target=_report, args=(live, source, ended), daemon=True)
    if not quiet:
        reporter.start()
    until = float("inf") if duration is None else time.perf_counter() + duration
    try:
        for result in live.follow(source):
            with signals_held():  # an encoder that is torn from a frame cannot finish its file
                wanted = sink.show(result)
            if not wanted or time.perf_counter() >= until:
                break
    except KeyboardInterrupt:
        pass  # how a camera is usually ended
    finally:
        source.close()
        ended.set()
    if not quiet:
        reporter.join()
    return live.stats


def _report(live: Live, source: Source, ended: threading.Event) -> None:
    """One line of statistics that is always up to date; in a log, a line now and then."""
    if not entry.console.is_terminal:
        while not ended.wait(_REPORT):
            entry.say(_line(live, source))
        return
    with entry.console.status("starting") as status:
        while not ended.wait(_REFRESH):
            status.update(_line(live, source))


def _line(live: Live, source: Source) -> str:
    stats = live.stats
    notes = [note for note in (source.status, stats.problem) if note]
    return "; ".join([str(stats), *notes])


def _summary(stats: LiveStats) -> str:
    shares = ", ".join(f"{level} {100 * share:.0f}%" for level, share in stats.shares.items())
    bad = f", {stats.bad} bad" if stats.bad else ""
    return (
        f"{stats.received} frames, {stats.shown} shown, {stats.dropped} dropped{bad}; "
        f"age p50 {1e3 * stats.p50:.0f}, p95 {1e3 * stats.p95:.0f}, p99 {1e3 * stats.p99:.0f} ms"
        f"{'; ' if shares else ''}{shares}"
    )


def _sink(
    output: Path | None,
    overwrite: bool,
    window: bool,
    virtual_camera: bool,
    no_output: bool,
    fps: float,
) -> Sink:
    from srsdk.live.sinks import NoSink, Recording, VirtualCamera, Window, WithRecording

    if window + virtual_camera + no_output > 1 or (no_output and output is not None):
        raise InputError(
            "give one of --window, --virtual-camera and --no-output; --output may be beside the "
            "first two"
        )
    recording = None if output is None else Recording(output, overwrite=overwrite)
    if no_output:
        return NoSink()
    if recording is not None and not (window or virtual_camera):
        return recording
    shown = VirtualCamera(fps) if virtual_camera else Window()
    return shown if recording is None else WithRecording(shown, recording)
