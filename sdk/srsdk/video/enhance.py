"""`enhance_video`: one video in, one out, and a second one to compare."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srsdk.errors import InputError, VideoError
from srsdk.video.comparison import SideBySide
from srsdk.video.conversion import TrackOptions
from srsdk.video.encoding import EncodeOptions, stored_samples
from srsdk.video.identity import identity_of
from srsdk.video.job import JobFolder, remove_finished
from srsdk.video.pipeline import Pipeline
from srsdk.video.reader import ReadOptions, VideoReader
from srsdk.video.report import VideoReport, make_report
from srsdk.video.samples import PLAIN, Samples
from srsdk.video.target import check_target
from srsdk.video.tracks import TrackPlan
from srsdk.video.writer import VideoWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from srsdk.video.info import VideoInfo
    from srsdk.video.processor import FrameProcessor
    from srsdk.video.size import OutputSize
    from srsdk.video.source import FrameOutput, FrameSource


@dataclass(frozen=True)
class _Outputs:
    """The files to write, by their final names."""

    source: Path
    target: Path
    compare: Path | None


def enhance_video(
    source: str | os.PathLike[str] | FrameSource,
    target: str | os.PathLike[str],
    process: FrameProcessor,
    *,
    read: ReadOptions | None = None,
    encode: EncodeOptions | None = None,
    tracks: TrackOptions | None = None,
    size: OutputSize | None = None,
    overwrite: bool = False,
    compare: str | os.PathLike[str] | None = None,
    identity: Mapping[str, Any] | None = None,
    on_progress: Callable[[int, int | None], None] | None = None,
    depth: int = 4,
) -> VideoReport:
    """Upscale a video; its sound, subtitles, chapters and metadata go along untouched.

    Every frame in gives one frame out, at its own time. The first error of any stage, or Ctrl-C,
    ends all of them and is raised; nothing appears under the final name before it is whole.

    With `identity`, finished parts are kept in the folder `.NAME.srsdk-job` beside the target, and
    the next call with the same arguments goes on where this one was, however it ended: killed, out
    of power, on a full disk. The result is then the same, byte for byte. The folder is gone when
    the job is finished, or when an error comes before the first part is.

    Args:
        source: The input video, or frames from elsewhere.
        target: The output; its ending chooses the format (.mp4, .m4v, .mov, .mkv, .webm).
        process: What upscales a frame; called in the calling thread.
        read: Which part of the input is read, and how; None for all of it.
        encode: How to encode; None for the defaults of the target's format.
        tracks: What becomes of sound, subtitles and data; None copies them.
        size: Size of the output, to which the result is resized; None: as `process` gives it.
        overwrite: Replace `target` and `compare` where they exist.
        compare: Also write a video with bicubic on the left and the result on the right.
        identity: What decides the results of `process`, of JSON's types: model, options, versions.
            None: nothing is kept for another run.
        on_progress: Called in the calling thread after each frame with the number of frames
            processed and the total, None while the file does not say.
        depth: Frames that may wait between two stages.

    Returns:
        An account of the job.

    Raises:
        VideoError: An input or output cannot be read or written.
        InputError: The processor or the options do not fit.
    """
    began = time.perf_counter()
    origin = Path(source) if isinstance(source, (str, os.PathLike)) else source.path
    outputs = _Outputs(origin, Path(target), None if compare is None else Path(compare))
    scale = int(process.scale)
    if scale < 1 or depth < 1:
        raise InputError(f"scale {scale} and depth {depth} must be at least 1")
    _check_distinct(outputs)
    remove_finished(outputs.target)
    kind = check_target(outputs.target, overwrite=overwrite)
    if isinstance(source, (str, os.PathLike)):
        reader: FrameSource = VideoReader(origin, options=read)
    else:
        reader = source
    with contextlib.closing(reader):
        encode = encode or EncodeOptions.for_format(kind)
        encode = encode.fitted(reader.info.samples, outputs.target, str(origin))
        job = _Job(encode, tracks or TrackOptions(), kind, overwrite)
        shown = job.sizes(reader.info, scale, size)
        plan = None
        if isinstance(reader, VideoReader):
            plan = TrackPlan(reader, outputs.target, kind, job.tracks)
        folder = JobFolder(outputs.target, 1 if compare is None else 2)
        writers: list[VideoWriter] = []
        try:
            known = None
            if identity is not None:
                known = identity_of(origin, identity, job.encode, job.tracks, shown, reader.section)
            folder.open(known)
            for number, path in enumerate(p for p in (outputs.target, outputs.compare) if p):
                writers.append(job.writer(number, path, reader, plan, folder, scale, shown))
            pipeline = Pipeline(
                reader,
                process,
                plan,
                writers[0],
                SideBySide(writers[1]) if len(writers) > 1 else None,
                folder if identity is not None else None,
                on_progress,
                depth,
            )
            pipeline.run()
            folder.finish()
            for writer in writers:
                writer.publish()
        except BaseException:
            for writer in writers:
                writer.abort()
            folder.close(keep=identity is not None)
            raise
        folder.close(keep=False)
        wall = time.perf_counter() - began
        report = make_report(
            pipeline, reader, plan, outputs.target, job.encode.codec, shown, writers[0], wall
        )
        return replace(report, compare=outputs.compare, restarted=folder.restarted)


@dataclass(frozen=True)
class _Job:
    """What all outputs of one call share."""

    encode: EncodeOptions
    tracks: TrackOptions
    kind: str
    overwrite: bool

    def sizes(self, info: VideoInfo, scale: int, size: OutputSize | None) -> tuple[int, int]:
        if size is None:
            return scale * info.width, scale * info.height
        even = "444" not in (self.encode.pixel_format or "")
        return size.of(info.width, info.height, even=even)

    def writer(
        self,
        number: int,
        path: Path,
        reader: FrameSource,
        plan: TrackPlan | None,
        folder: JobFolder,
        scale: int,
        size: tuple[int, int],
    ) -> VideoWriter:
        info, copies, options = reader.info, number + 1, self.encode
        stored = stored_samples(options.pixel_format or "yuv420p")
        samples = Samples(min(stored.bits, info.samples.bits), info.samples.alpha)
        if number:  # the comparison is for looking at
            options = replace(options, pixel_format="yuv420p") if samples.alpha else options
            samples = PLAIN
        beside = path.parent.resolve() == folder.path.parent.resolve()
        return VideoWriter(
            path,
            copies * size[0],
            size[1],
            info.time_base,
            rate=info.rate,
            colour=info.colour,
            sample_aspect_ratio=info.sample_aspect_ratio,
            options=options,
            frame_size=(copies * scale * info.width, scale * info.height),
            template=reader if isinstance(reader, VideoReader) else None,
            tracks=plan,
            overwrite=self.overwrite,
            temporary=folder.output(number) if beside else None,
            samples=samples,
        )


def _check_distinct(outputs: _Outputs) -> None:
    source, target, compare = outputs.source, outputs.target, outputs.compare
    for output in (target, compare):
        if output is not None and output.resolve() == source.resolve():
            raise VideoError(f"{output} is the input itself; choose another name for the output")
    if compare is not None and compare.resolve() == target.resolve():
        raise VideoError(f"{compare} is named twice; choose another name for the comparison")


def enhance_frames(
    source: FrameSource,
    open_output: Callable[[tuple[int, int], tuple[int, int]], FrameOutput],
    process: FrameProcessor,
    *,
    size: OutputSize | None = None,
    codec: str = "rawvideo",
    on_progress: Callable[[int, int | None], None] | None = None,
    depth: int = 4,
) -> VideoReport:
    """Upscale the frames of a video into something that holds frames alone: a pipe, pictures.

    Args:
        source: The input; its other tracks are left out.
        open_output: Makes the output, given width and height of the frames that it gets, and of
            what it shall write.
        process: What upscales a frame; called in the calling thread.
        size: Size of the output; None: as `process` gives it.
        codec: What the report calls the output's codec.
        on_progress: See `enhance_video`.
        depth: Frames that may wait between two stages.

    Raises:
        VideoError: An input or output cannot be read or written.
        InputError: The processor or the options do not fit.
    """
    began = time.perf_counter()
    info, scale = source.info, int(process.scale)
    frame_size = (scale * info.width, scale * info.height)
    shown = size.of(info.width, info.height, even=False) if size else frame_size
    if info.samples.alpha:
        raise VideoError(
            f"{source.path} has transparency, which would be lost; flatten it first: "
            "ffmpeg -i IN -pix_fmt yuv420p OUT"
        )
    output = open_output(frame_size, shown)
    try:
        pipeline = Pipeline(source, process, None, output, None, None, on_progress, depth)
        pipeline.run()
        output.publish()
    except BaseException:
        output.abort()
        raise
    wall = time.perf_counter() - began
    return make_report(pipeline, source, None, Path("-"), codec, shown, output, wall)
