"""A video in, a sharper one out: decode, process and encode at the same time.

    decode thread ──frames──▶ calling thread ──results──▶ encode thread
          └──────────packets of sound and subtitles──────────┘

Packets travel with the frame before which they stand in the file, so the output is interleaved as
the input was and nothing has to be kept for later.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from srsdk.errors import InputError, VideoError
from srsdk.futures import in_flight
from srsdk.timing import StageTimer
from srsdk.video.colour import FrameBuffer
from srsdk.video.comparison import SideBySide
from srsdk.video.encoding import EncodeOptions
from srsdk.video.reader import Frame, VideoReader
from srsdk.video.report import VideoReport
from srsdk.video.stages import Stages
from srsdk.video.writer import VideoWriter

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from srsdk.types import Future, Pixels

# More than this many packets without a frame go ahead on their own.
_PACKETS_AT_ONCE = 256


class FrameProcessor(Protocol):
    """What makes frames larger; called with one frame at a time, in order, from one thread."""

    @property
    def scale(self) -> int:
        """Size of the result over the size of the frame."""
        ...

    def __call__(self, frame: Pixels, out: Pixels | None = None) -> Pixels:
        """Upscale one frame.

        Args:
            frame: `(H, W, 3)` uint8 BGR; rows may be padded. Must not be modified.
            out: `(scale*H, scale*W, 3)` uint8 to write into; rows may be padded. A processor may
                ignore it and return an array of its own, at the price of a copy.

        Returns:
            The result, `out` or another array of that shape.
        """
        ...


@runtime_checkable
class FrameQueue(FrameProcessor, Protocol):
    """A processor that takes frames while others are in flight, as `UpscalerStream` on a GPU."""

    @property
    def in_flight(self) -> int:
        """Frames that it can have at a time, at least 1."""
        ...

    def submit(self, frame: Pixels, out: Pixels | None = None) -> Future:
        """Start upscaling a frame; `frame` and `out` are left alone until its result is there."""
        ...


@dataclass
class _Item:
    """What goes from stage to stage: packets, then the frame that follows them in the file."""

    packets: list[Any] = field(default_factory=list)
    frame: Frame | None = None
    result: FrameBuffer | None = None
    future: Future | None = None


class _Job:
    """One run of the pipeline; what its three stages share."""

    def __init__(
        self,
        reader: VideoReader,
        process: FrameProcessor,
        writer: VideoWriter,
        comparison: SideBySide | None,
        on_progress: Callable[[int, int | None], None] | None,
        depth: int,
    ) -> None:
        self.reader, self.process, self.writer = reader, process, writer
        self.comparison, self.on_progress = comparison, on_progress
        self.frames = 0
        self.end = 0
        self.start: int | None = None
        self.timer = StageTimer()
        self.stages = Stages()
        self.decoded = self.stages.channel(depth)
        self.processed = self.stages.channel(depth)
        self.queue = process if isinstance(process, FrameQueue) else None
        self.in_flight = self.queue.in_flight if self.queue else 1
        # Every result waits in one of these, is being filled or is being encoded: memory is fixed.
        buffers = depth + 1 + self.in_flight
        self.buffers = self.stages.channel(buffers)
        for _ in range(buffers):
            self.buffers.put(FrameBuffer.empty(writer.width, writer.height))

    def run(self) -> None:
        self.stages.run(self.upscale, decode=self.decode, encode=self.encode)

    def decode(self) -> None:
        source = self.reader.read()
        item = _Item()
        while True:
            with self.timer("decode"):
                entry = next(source, None)
            if isinstance(entry, Frame):
                item.frame = entry
            elif entry is not None:
                item.packets.append(entry)
                if len(item.packets) < _PACKETS_AT_ONCE:
                    continue
            with self.timer("decode.wait"):
                self.decoded.put(item)
            item = _Item()
            if entry is None:
                self.decoded.put(None)
                return

    def upscale(self) -> None:
        for item in in_flight(self._started(), self.in_flight):
            self._finish(item)
        self.processed.put(None)

    def _started(self) -> Iterator[_Item]:
        """The decoded items; drawing one starts the upscaling of its frame."""
        while True:
            with self.timer("process.wait"):
                item: _Item | None = self.decoded.get()
                if item is not None and item.frame is not None:
                    item.result = self.buffers.get()
            if item is None:
                return
            self._start(item)
            yield item

    def _start(self, item: _Item) -> None:
        if self.queue is None or item.frame is None or item.result is None:
            return
        with self.timer("process"):
            item.future = self.queue.submit(item.frame.pixels, out=item.result.pixels)

    def _finish(self, item: _Item) -> None:
        if item.frame is not None and item.result is not None:
            with self.timer("process"):
                self._fill(item, item.frame.pixels, item.result.pixels)
        with self.timer("process.wait"):
            self.processed.put(item)
        if item.frame is not None:
            self.frames += 1
            if self.on_progress is not None:
                self.on_progress(self.frames, self.reader.info.frames)

    def _fill(self, item: _Item, frame: Pixels, out: Pixels) -> None:
        result = item.future.result() if item.future else self.process(frame, out=out)
        if result is out:
            return
        if getattr(result, "shape", None) != out.shape or result.dtype != out.dtype:
            got = f"{result.dtype} {result.shape}" if isinstance(result, np.ndarray) else result
            raise InputError(f"the processor returned {got}, expected uint8 {out.shape}")
        np.copyto(out, result)

    def encode(self) -> None:
        while True:
            with self.timer("encode.wait"):
                item: _Item | None = self.processed.get()
            if item is None:
                break
            for packet in item.packets:
                with self.timer("mux"):
                    self.writer.copy(packet)
                    if self.comparison is not None:
                        self.comparison.writer.copy(packet)
            if item.frame is not None and item.result is not None:
                self._encode(item.frame, item.result)
        with self.timer("encode"):
            self.writer.finish()
        if self.comparison is not None:
            with self.timer("compare"):
                self.comparison.writer.finish()

    def _encode(self, frame: Frame, result: FrameBuffer) -> None:
        with self.timer("encode"):
            self.writer.write(result, frame.pts, frame.duration)
        if self.comparison is not None:
            with self.timer("compare"):
                self.comparison.write(frame.pixels, result.pixels, frame.pts, frame.duration)
        self.buffers.put(result)
        self.start = frame.pts if self.start is None else self.start
        self.end = frame.pts + frame.duration


def enhance_video(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    process: FrameProcessor,
    *,
    encode: EncodeOptions | None = None,
    overwrite: bool = False,
    compare: str | os.PathLike[str] | None = None,
    on_progress: Callable[[int, int | None], None] | None = None,
    depth: int = 4,
) -> VideoReport:
    """Upscale a video; its sound, subtitles, chapters and metadata go along untouched.

    Every frame in gives one frame out, at its own time. The first error of any stage, or Ctrl-C,
    ends all of them, removes what was written and is raised; nothing appears under the final name
    before it is whole.

    Args:
        source: The input video.
        target: The output; its ending chooses the format (.mp4, .m4v, .mov, .mkv, .webm).
        process: What upscales a frame; called in the calling thread.
        encode: How to encode; None for the defaults.
        overwrite: Replace `target` and `compare` where they exist.
        compare: Also write a video with bicubic on the left and the result on the right.
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
    source, target = Path(source), Path(target)
    compare = None if compare is None else Path(compare)
    scale = int(process.scale)
    if scale < 1 or depth < 1:
        raise InputError(f"scale {scale} and depth {depth} must be at least 1")
    _check_distinct(source, target, compare)
    encode = encode or EncodeOptions()
    with VideoReader(source) as reader:
        info = reader.info

        def open_writer(path: Path, copies: int) -> VideoWriter:
            return VideoWriter(
                path,
                copies * scale * info.width,
                scale * info.height,
                info.time_base,
                rate=info.rate,
                colour=info.colour,
                sample_aspect_ratio=info.sample_aspect_ratio,
                options=encode,
                template=reader,
                overwrite=overwrite,
            )

        writer = open_writer(target, 1)
        beside: VideoWriter | None = None
        try:
            beside = open_writer(compare, 2) if compare is not None else None
            comparison = SideBySide(beside) if beside is not None else None
            job = _Job(reader, process, writer, comparison, on_progress, depth)
            job.run()
            for output in (writer, beside):
                if output is not None:
                    output.publish()
        except BaseException:
            for output in (writer, beside):
                if output is not None:
                    output.abort()
            raise
        return _report(job, source, target, compare, encode, time.perf_counter() - began)


def _check_distinct(source: Path, target: Path, compare: Path | None) -> None:
    for output in (target, compare):
        if output is not None and output.resolve() == source.resolve():
            raise VideoError(f"{output} is the input itself; choose another name for the output")
    if compare is not None and compare.resolve() == target.resolve():
        raise VideoError(f"{compare} is named twice; give the comparison a name of its own")


def _report(
    job: _Job, source: Path, target: Path, compare: Path | None, encode: EncodeOptions, wall: float
) -> VideoReport:
    info, writer, tracks, timer = job.reader.info, job.writer, job.writer.tracks, job.timer
    stages = ("decode", "process", "encode", "mux") + (("compare",) if compare else ())
    return VideoReport(
        source=source,
        target=target,
        compare=compare,
        frames=job.frames,
        input_size=(info.width, info.height),
        output_size=(writer.width, writer.height),
        duration=float((job.end - (job.start or 0)) * info.time_base),
        seconds={stage: timer.total(stage) for stage in stages},
        waits={stage: timer.total(f"{stage}.wait") for stage in ("decode", "process", "encode")},
        wall=wall,
        fps=job.frames / wall,
        codec=encode.codec,
        audio_tracks=tracks.audio if tracks else 0,
        subtitle_tracks=tracks.subtitles if tracks else 0,
        data_tracks=tracks.data if tracks else 0,
        dropped_tracks=tuple(tracks.dropped) if tracks else (),
        repaired_timestamps=job.reader.repaired_timestamps,
    )
