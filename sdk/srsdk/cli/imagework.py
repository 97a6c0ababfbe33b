"""Enhances one image file, still or animated."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from srsdk.cli.entry import say_warning
from srsdk.cli.imagefile import ImageFile
from srsdk.cli.imagewriter import (
    ANIMATED,
    check_image,
    encode_animation,
    encode_image,
    lost_metadata,
)
from srsdk.cli.outputs import write_whole
from srsdk.cli.report import Outcome, face_path, stage_seconds
from srsdk.errors import InputError
from srsdk.timing import StageTimer
from srsdk.types import Pixels

if TYPE_CHECKING:
    from srsdk.cli.jobs import Job
    from srsdk.cli.progress import Advance
    from srsdk.cli.work import Worker
    from srsdk.video.size import OutputSize


def enhance_image(worker: Worker, job: Job, on_progress: Advance) -> Outcome:
    """Enhance one image file.

    Args:
        worker: What all files of the command share.
        job: What and where to.
        on_progress: Called after each picture.

    Raises:
        InputError: The image is refused, or does not fit into the output's format.
        VideoError: The output cannot be written.
    """
    file = ImageFile(job.source)
    if file.frames > 1:
        return _animation(worker, job, file, on_progress)
    timer, began, on_frame = StageTimer(), time.perf_counter(), StageTimer()
    stream = worker.upscaler.stream(detect_every=1, strength=worker.strength, timer=on_frame)
    with timer("decode"):
        picture = file.read()
    lr = picture.pixels
    shown = _shown(lr, worker.size, stream.scale)
    channels = 1 if lr.ndim == 2 else lr.shape[2]
    check_image(job.target, *shown, channels)
    if job.compare is not None:
        check_image(job.compare, 2 * shown[0], shown[1], channels)
    with timer("process"):
        sr = _resized(stream(lr), shown)
    on_progress(1, 1)
    results: list[tuple[Path, Pixels]] = [(job.target, sr)]
    if job.compare is not None:
        with timer("compare"):
            before = cv2.resize(lr, shown, interpolation=cv2.INTER_CUBIC)
            results.append((job.compare, np.concatenate([before, sr], axis=1)))
    with timer("encode"):
        written = [
            (path, encode_image(path, pixels, picture.metadata, worker.quality))
            for path, pixels in results
        ]
        for path, data in written:  # both are ready before either appears
            write_whole(path, data)
    if lost := lost_metadata(job.target, picture.metadata):
        say_warning(f"{job.target}: this format does not hold {lost}")
    wall = time.perf_counter() - began
    seconds = stage_seconds(timer, on_frame)
    return Outcome(
        job,
        frames=1,
        faces=stream.faces_total,
        input_size=(lr.shape[1], lr.shape[0]),
        output_size=shown,
        seconds=seconds,
        wall=wall,
        face_path=face_path(stream),
    )


def _animation(worker: Worker, job: Job, file: ImageFile, on_progress: Advance) -> Outcome:
    if job.target.suffix.lower() not in ANIMATED:
        raise InputError(
            f"{job.source} is an animation of {file.frames} pictures, which "
            f"{job.target.suffix or 'such a name'} does not hold; name the output "
            f"{', '.join(ANIMATED)}, or .mp4 for a video"
        )
    if job.compare is not None:
        raise InputError(f"{job.source} is an animation; --compare takes images and videos")
    timer, began, on_frame = StageTimer(), time.perf_counter(), StageTimer()
    width, height = file.size
    scale = worker.upscaler.scale
    shown = (width * scale, height * scale)
    shown = worker.size.of(width, height, even=False) if worker.size else shown
    check_image(job.target, *shown, 3)
    with worker.stream(on_frame) as stream:

        def pictures() -> Iterator[tuple[Pixels, float]]:
            for done, (lr, milliseconds) in enumerate(file.animation(), 1):
                with timer("process"):
                    sr = _resized(stream(lr), shown)
                on_progress(done, file.frames)
                yield sr, milliseconds

        data = encode_animation(job.target, pictures(), file.loop, worker.quality)
    with timer("encode"):
        write_whole(job.target, data)
    wall = time.perf_counter() - began
    seconds = stage_seconds(timer, on_frame)
    return Outcome(
        job,
        frames=file.frames,
        faces=stream.faces_total,
        input_size=(width, height),
        output_size=shown,
        seconds=seconds,
        wall=wall,
        face_path=face_path(stream),
    )


def _shown(lr: Pixels, size: OutputSize | None, scale: int) -> tuple[int, int]:
    height, width = lr.shape[:2]
    return size.of(width, height, even=False) if size else (width * scale, height * scale)


def _resized(sr: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize the result to the requested size: area averages to shrink, Lanczos to enlarge."""
    if (sr.shape[1], sr.shape[0]) == size:
        return sr
    smaller = size[0] <= sr.shape[1] and size[1] <= sr.shape[0]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(sr, size, interpolation=method), np.uint8)
