"""Enhances one file: what `srsdk enhance` does to each of its inputs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from srsdk.cli.entry import describe, say_warning
from srsdk.cli.jobs import STANDARD, Job
from srsdk.cli.outputs import check_new, made_folder
from srsdk.cli.report import Outcome, face_path, stage_seconds
from srsdk.errors import InputError, SrsdkError
from srsdk.timing import StageTimer

if TYPE_CHECKING:
    from srsdk.cli.progress import Advance
    from srsdk.stream import UpscalerStream
    from srsdk.types import Pixels
    from srsdk.upscaler import Upscaler
    from srsdk.video import OutputSize, ReadOptions, TrackOptions, VideoReport
    from srsdk.video.pipes import RawVideo
    from srsdk.video.source import FrameOutput, FrameSource

_OF_VIDEOS = {
    *("duration", "waits", "codec", "audio_tracks", "subtitle_tracks", "data_tracks"),
    *("converted_tracks", "dropped_tracks", "repaired_timestamps", "resumed_frames", "restarted"),
    *("damage", "warnings"),
}


@dataclass(frozen=True)
class Worker:
    """Everything that all files of one command share.

    Attributes:
        upscaler: Does the work.
        read: Which part of videos is read, and how.
        encode: What was chosen of `EncodeOptions`; the rest is as each format has it.
        tracks: What becomes of sound, subtitles and data.
        size: Size of the outputs; None for the model's scale.
        rate: Pictures per second where pictures become a video.
        raw: What raw pixels on stdin are; None for a format that says so itself.
        raw_output: Write raw pixels to stdout.
        quality: Of JPEG, WebP and AVIF.
        detect_every: Frames of a video from one face detection to the next.
        overwrite: Replace outputs that exist.
        skip_existing: Leave outputs that exist as they are.
        strength: How much of the face model's result is shown.
        choices: What else was chosen on the command line and decides the frames.
    """

    upscaler: Upscaler
    read: ReadOptions
    encode: Mapping[str, Any]
    tracks: TrackOptions
    size: OutputSize | None
    rate: Fraction
    raw: RawVideo | None
    raw_output: bool
    quality: int
    detect_every: int
    overwrite: bool
    skip_existing: bool
    strength: float
    choices: Mapping[str, Any]

    def run(self, job: Job, on_progress: Advance) -> Outcome:
        """Enhance one file; an error is part of the outcome, other exceptions are raised.

        What is refused before the first frame is done is bad input (code 2), what goes wrong after
        that a failure (code 1).
        """
        begun = False

        def progress(done: int, total: int | None) -> None:
            nonlocal begun
            begun = True
            on_progress(done, total)

        if job.kind in ("video", "pictures") and job.target.exists():
            from srsdk.video.job import remove_finished

            remove_finished(job.target)
        if self.skip_existing and job.target != STANDARD and job.target.exists():
            return Outcome(job, skipped=True)
        try:
            self._check_target(job)
            with made_folder(job.target.parent) if job.make_folder else nullcontext():
                return self._enhance(job, progress)
        except (SrsdkError, OSError, MemoryError) as error:
            if isinstance(error, BrokenPipeError) and job.target == STANDARD:
                raise  # who reads has seen enough
            text = describe(error)
            if str(job.source) not in text and str(job.target) not in text:
                text = f"{job.source}: {text}"
            return Outcome(job, 1 if begun or not isinstance(error, SrsdkError) else 2, text)

    def _enhance(self, job: Job, progress: Advance) -> Outcome:
        if job.kind == "image":
            from srsdk.cli.imagework import enhance_image

            return enhance_image(self, job, progress)
        return self._frames(job, progress) if job.kind == "frames" else self._video(job, progress)

    def _check_target(self, job: Job) -> None:
        if job.source != STANDARD:
            if not job.source.exists():
                raise InputError(f"{job.source} does not exist; check the path")
            if not job.source.is_file() and not job.pictures:
                raise InputError(f"{job.source} is not a regular file")
        if job.kind == "frames":
            return
        for path in (job.target, job.compare):
            if path is not None:
                check_new(path, overwrite=self.overwrite, folder_needed=not job.make_folder)

    def _video(self, job: Job, on_progress: Advance) -> Outcome:
        from srsdk.video import EncodeOptions, enhance_video
        from srsdk.video.encoding import FORMATS

        on_frame, suffix = StageTimer(), job.target.suffix.lower()
        with self.stream(on_frame) as stream:
            done = enhance_video(
                self._source(job),
                job.target,
                stream,
                read=self.read,
                encode=EncodeOptions.for_format(FORMATS.get(suffix, ""), **self.encode),
                tracks=self.tracks,
                size=self.size,
                overwrite=self.overwrite,
                compare=job.compare,
                identity=None if job.source == STANDARD else self._identity(),
                on_progress=on_progress,
            )
        return self._outcome(job, done, stream, on_frame)

    def stream(self, timer: StageTimer) -> UpscalerStream:
        """A stream for the frames of one file."""
        return self.upscaler.stream(
            detect_every=self.detect_every, strength=self.strength, timer=timer
        )

    def _frames(self, job: Job, on_progress: Advance) -> Outcome:
        """A video into a pipe or into pictures."""
        from srsdk.video import VideoReader, enhance_frames

        on_frame = StageTimer()
        source = self._source(job)
        reader = VideoReader(source, options=self.read) if isinstance(source, Path) else source
        if isinstance(reader, VideoReader):
            for stream in reader.side_streams:
                name = stream.codec_context.name if stream.codec_context else "no codec"
                say_warning(f"{job.target}: left out {stream.type} track {stream.index} ({name})")

        def open_output(frame_size: tuple[int, int], size: tuple[int, int]) -> FrameOutput:
            return self._output(job, reader, frame_size, size)

        try:
            with self.stream(on_frame) as upscaled:
                done = enhance_frames(
                    reader, open_output, upscaled, size=self.size, on_progress=on_progress
                )
        finally:
            reader.close()
        return self._outcome(job, done, upscaled, on_frame)

    def _source(self, job: Job) -> Path | FrameSource:
        from srsdk.video import VideoReader
        from srsdk.video.pipes import RawReader
        from srsdk.video.sequence import PictureReader

        if job.pictures:
            from srsdk.cli.imagefile import read_image

            def decode(path: Path) -> Pixels:
                return read_image(path).pixels

            return PictureReader(job.source, job.pictures, decode, self.rate)
        if job.source != STANDARD:
            return job.source
        if self.raw is not None:
            return RawReader(_buffer(sys.stdin, "stdin"), self.raw)
        return VideoReader(STANDARD, options=self.read, file=_buffer(sys.stdin, "stdin"))

    def _output(
        self, job: Job, reader: FrameSource, frame_size: tuple[int, int], size: tuple[int, int]
    ) -> FrameOutput:
        from srsdk.video.encoding import stored_samples
        from srsdk.video.pipes import RawWriter, Y4mWriter
        from srsdk.video.samples import PLAIN
        from srsdk.video.sequence import PictureWriter

        if job.target != STANDARD:
            from srsdk.cli.imagemeta import Metadata
            from srsdk.cli.imagewriter import check_image, encode_image

            check_image(job.target, *size, 3)

            def write(path: Path, pixels: Pixels) -> None:
                path.write_bytes(encode_image(path, pixels, Metadata(), self.quality))

            return PictureWriter(job.target, frame_size, size, write)
        if self.raw_output:
            if size != frame_size:
                raise InputError("raw pixels come at the model's scale; leave out --size")
            order = self.raw.order if self.raw else "bgr"
            return RawWriter(_buffer(sys.stdout, "stdout"), frame_size, order)
        info = reader.info
        deep = info.samples.is_deep
        pixel_format = self.encode.get("pixel_format") or ("yuv420p10le" if deep else "yuv420p")
        stored = stored_samples(pixel_format)
        return Y4mWriter(
            _buffer(sys.stdout, "stdout"),
            frame_size,
            size,
            info.rate or Fraction(25),
            info.colour,
            pixel_format,
            stored if deep else PLAIN,
            info.time_base,
        )

    def _identity(self) -> dict[str, Any]:
        """What decides the frames, so that an interrupted job may be gone on with."""
        from srsdk import _kernels

        info = self.upscaler.info
        known: dict[str, Any] = {"model": None, "faces": None}
        for name, generator in (("model", info.frames), ("faces", info.faces)):
            if generator is not None:
                spec = generator.spec
                what = [
                    spec.name,
                    spec.sha256,
                    generator.arithmetic,
                    generator.name,
                    generator.version,
                ]
                known[name] = [*what, generator.device, generator.threads]
        shared = [info.tile, self.detect_every, self.strength, str(self.rate)]
        shared += [self.read.progressive, self.read.on_damage == "salvage"]
        return {**known, "options": [*shared, dict(self.choices)], "processor": _kernels.isa()}

    def _outcome(
        self, job: Job, done: VideoReport, stream: UpscalerStream, on_frame: StageTimer
    ) -> Outcome:
        return Outcome(
            job,
            frames=done.frames,
            faces=stream.faces_total,
            input_size=done.input_size,
            output_size=done.output_size,
            seconds={**done.seconds, **stage_seconds(StageTimer(), on_frame)},
            wall=done.wall,
            video={name: value for name, value in done.to_json().items() if name in _OF_VIDEOS},
            face_path=face_path(stream),
        )


def _buffer(stream: TextIO | None, name: str) -> BinaryIO:
    if stream is None:
        raise InputError(f"{name} is closed")
    return stream.buffer
