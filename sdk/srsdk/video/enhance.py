"""`enhance_video`: one video in, one out, and a second one to compare."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srsdk.errors import InputError, VideoError
from srsdk.video.comparison import SideBySide
from srsdk.video.conversion import TrackOptions
from srsdk.video.encoding import EncodeOptions
from srsdk.video.identity import identity_of
from srsdk.video.job import JobFolder
from srsdk.video.pipeline import Pipeline
from srsdk.video.reader import VideoReader
from srsdk.video.report import VideoReport
from srsdk.video.target import check_target
from srsdk.video.tracks import TrackPlan
from srsdk.video.writer import VideoWriter

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from srsdk.video.damage import OnDamage
    from srsdk.video.processor import FrameProcessor


@dataclass(frozen=True)
class _Outputs:
    """The files to write, by their final names."""

    source: Path
    target: Path
    compare: Path | None


def enhance_video(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    process: FrameProcessor,
    *,
    encode: EncodeOptions | None = None,
    tracks: TrackOptions | None = None,
    on_damage: OnDamage = "conceal",
    size: tuple[int, int] | None = None,
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
        source: The input video.
        target: The output; its ending chooses the format (.mp4, .m4v, .mov, .mkv, .webm).
        process: What upscales a frame; called in the calling thread.
        encode: How to encode; None for the defaults of the target's format.
        tracks: What becomes of sound, subtitles and data; None copies them.
        on_damage: What to do where the input is damaged, see `srsdk.video.damage.OnDamage`.
        size: Width and height of the output; the result is resized to it. None: as `process` gives.
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
    outputs = _Outputs(Path(source), Path(target), None if compare is None else Path(compare))
    scale = int(process.scale)
    if scale < 1 or depth < 1:
        raise InputError(f"scale {scale} and depth {depth} must be at least 1")
    _check_distinct(outputs)
    kind = check_target(outputs.target, overwrite=overwrite)
    encode = encode or EncodeOptions.for_format(kind)
    tracks = tracks or TrackOptions()
    with VideoReader(outputs.source, on_damage=on_damage) as reader:
        info = reader.info
        size = size or (scale * info.width, scale * info.height)
        plan = TrackPlan(reader, outputs.target, kind, tracks)
        folder = JobFolder(outputs.target, 1 if compare is None else 2)
        writers: list[VideoWriter] = []
        try:
            job = None
            if identity is not None:
                job = identity_of(outputs.source, identity, encode, tracks, size, reader.section)
            folder.open(job)
            for number, path in enumerate(p for p in (outputs.target, outputs.compare) if p):
                writers.append(
                    VideoWriter(
                        path,
                        (number + 1) * size[0],
                        size[1],
                        info.time_base,
                        rate=info.rate,
                        colour=info.colour,
                        sample_aspect_ratio=info.sample_aspect_ratio,
                        options=encode,
                        frame_size=((number + 1) * scale * info.width, scale * info.height),
                        template=reader,
                        tracks=plan,
                        overwrite=overwrite,
                        temporary=folder.output(number),
                    )
                )
            comparison = SideBySide(writers[1]) if len(writers) > 1 else None
            keeping = folder if identity is not None else None
            pipeline = Pipeline(
                reader, process, plan, writers[0], comparison, keeping, on_progress, depth
            )
            pipeline.run()
            for writer in writers:
                writer.publish()
        except BaseException:
            for writer in writers:
                writer.abort()
            folder.close(keep=identity is not None)
            raise
        folder.close(keep=False)
        wall = time.perf_counter() - began
        return _report(pipeline, reader, plan, folder, outputs, encode, size, wall)


def _check_distinct(outputs: _Outputs) -> None:
    source, target, compare = outputs.source, outputs.target, outputs.compare
    for output in (target, compare):
        if output is not None and output.resolve() == source.resolve():
            raise VideoError(f"{output} is the input itself; choose another name for the output")
    if compare is not None and compare.resolve() == target.resolve():
        raise VideoError(f"{compare} is named twice; choose another name for the comparison")


def _report(
    pipeline: Pipeline,
    reader: VideoReader,
    plan: TrackPlan,
    folder: JobFolder,
    outputs: _Outputs,
    encode: EncodeOptions,
    size: tuple[int, int],
    wall: float,
) -> VideoReport:
    info, timer = reader.info, pipeline.timer
    stages = ("decode", "process", "encode", "mux") + (("compare",) if outputs.compare else ())
    return VideoReport(
        source=outputs.source,
        target=outputs.target,
        compare=outputs.compare,
        frames=pipeline.frames,
        resumed_frames=pipeline.resumed,
        restarted=folder.restarted,
        input_size=(info.width, info.height),
        output_size=size,
        duration=float((pipeline.end - (pipeline.start or 0)) * info.time_base),
        seconds={stage: timer.total(stage) for stage in stages},
        waits={stage: timer.total(f"{stage}.wait") for stage in ("decode", "process", "encode")},
        wall=wall,
        fps=pipeline.frames / wall,
        codec=encode.codec,
        audio_tracks=plan.audio,
        subtitle_tracks=plan.subtitles,
        data_tracks=plan.data,
        converted_tracks=tuple(plan.converted),
        dropped_tracks=tuple(plan.dropped),
        repaired_timestamps=reader.repaired_timestamps,
        damage=tuple(reader.damage),
        warnings=tuple(reader.warnings),
    )
