"""Enhances one file: what `srsdk enhance` does to each of its inputs."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from srsdk.cli.entry import describe
from srsdk.cli.jobs import Job
from srsdk.cli.outputs import check_new, made_folder, write_whole
from srsdk.cli.report import Outcome
from srsdk.errors import InputError, SrsdkError
from srsdk.timing import StageTimer

if TYPE_CHECKING:
    from srsdk.types import Pixels
    from srsdk.upscaler import Upscaler
    from srsdk.video import EncodeOptions

_OF_VIDEOS = {
    *("duration", "waits", "codec", "audio_tracks", "subtitle_tracks", "data_tracks"),
    *("dropped_tracks", "repaired_timestamps"),
}

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Worker:
    """Everything that all files of one command share.

    Attributes:
        upscaler: Does the work.
        encode: How videos are encoded.
        detect_every: Frames of a video from one face detection to the next.
        overwrite: Replace outputs that exist.
    """

    upscaler: Upscaler
    encode: EncodeOptions
    detect_every: int
    overwrite: bool

    def run(self, job: Job, on_progress: Progress) -> Outcome:
        """Enhance one file; an error is part of the outcome, other exceptions are raised.

        What is refused before the first frame is done is bad input (code 2), what goes wrong after
        that a failure (code 1).
        """
        begun = False

        def progress(done: int, total: int | None) -> None:
            nonlocal begun
            begun = True
            on_progress(done, total)

        try:
            self._check_target(job)
            with made_folder(job.target.parent) if job.make_folder else nullcontext():
                return (self._image if job.kind == "image" else self._video)(job, progress)
        except (SrsdkError, OSError, MemoryError) as error:
            text = describe(error)
            if str(job.source) not in text and str(job.target) not in text:
                text = f"{job.source}: {text}"
            return Outcome(job, 1 if begun or not isinstance(error, SrsdkError) else 2, text)

    def _check_target(self, job: Job) -> None:
        if not job.source.exists():
            raise InputError(f"{job.source} does not exist; check the path")
        if not job.source.is_file():
            raise InputError(f"{job.source} is not a regular file")
        for path in (job.target, job.compare):
            if path is not None:
                check_new(path, overwrite=self.overwrite, folder_needed=not job.make_folder)

    def _image(self, job: Job, on_progress: Progress) -> Outcome:
        import cv2
        import numpy as np

        from srsdk.cli.entry import say_warning
        from srsdk.cli.imagefile import check_image, encode_image, read_image

        timer, began = StageTimer(), time.perf_counter()
        on_frame = StageTimer()
        stream = self.upscaler.stream(detect_every=1, timer=on_frame)
        with timer("decode"):
            picture = read_image(job.source)
        lr = picture.pixels
        (height, width), scale = lr.shape[:2], stream.scale
        size, channels = (width * scale, height * scale), 1 if lr.ndim == 2 else lr.shape[2]
        check_image(job.target, *size, channels)
        if job.compare is not None:
            check_image(job.compare, 2 * size[0], size[1], channels)
        with timer("process"):
            sr = stream(lr)
        on_progress(1, 1)
        results: list[tuple[Path, Pixels]] = [(job.target, sr)]
        if job.compare is not None:
            with timer("compare"):
                before = cv2.resize(lr, size, interpolation=cv2.INTER_CUBIC)
                results.append((job.compare, np.concatenate([before, sr], axis=1)))
        with timer("encode"):
            written = [
                (path, *encode_image(path.suffix, pixels, picture.header.icc))
                for path, pixels in results
            ]
            # Both are ready before either appears.
            for path, data, _ in written:
                write_whole(path, data)
        if picture.header.icc and not written[0][2]:
            say_warning(f"{job.target}: this OpenCV cannot write the colour profile; 4.12 can")
        wall = time.perf_counter() - began
        seconds = _seconds(timer, on_frame)
        return Outcome(job, 0, "", 1, stream.faces_total, (width, height), size, seconds, wall)

    def _video(self, job: Job, on_progress: Progress) -> Outcome:
        from srsdk.video import enhance_video

        on_frame = StageTimer()
        stream = self.upscaler.stream(detect_every=self.detect_every, timer=on_frame)
        done = enhance_video(
            job.source,
            job.target,
            stream,
            encode=self.encode,
            overwrite=self.overwrite,
            compare=job.compare,
            on_progress=on_progress,
        )
        return Outcome(
            job,
            frames=done.frames,
            faces=stream.faces_total,
            input_size=done.input_size,
            output_size=done.output_size,
            seconds={**done.seconds, **_seconds(StageTimer(), on_frame)},
            wall=done.wall,
            video={name: value for name, value in done.to_json().items() if name in _OF_VIDEOS},
        )


def _seconds(timer: StageTimer, on_frame: StageTimer) -> dict[str, float]:
    return {
        **{stage: timer.total(stage) for stage in timer.stages},
        **{f"process.{stage}": on_frame.total(stage) for stage in on_frame.stages},
    }
