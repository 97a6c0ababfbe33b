"""A video in, a sharper one out: decode, process and encode at the same time.

    decode thread ──frames──▶ calling thread ──results──▶ encode thread
          └──────────packets of sound and subtitles──────────┘

Packets travel with the frame before which they stand in the file, so the output is interleaved as
the input was and nothing has to be kept for later.

The frames are cut into chunks, each encoded by itself and then kept in the job's folder. A run that
goes on where another one was reads the file from the beginning, so that it sees the same packets of
the other tracks at the same places; but frames of finished chunks are not decoded (see
`srsdk.video.replay`) nor upscaled, and their packets come from the folder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from srsdk.errors import InputError, VideoError
from srsdk.futures import in_flight
from srsdk.timing import StageTimer
from srsdk.video.info import Frame
from srsdk.video.processor import FrameQueue, RememberingProcessor
from srsdk.video.samples import Composer, FrameBuffer
from srsdk.video.stages import Stages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from srsdk.types import Future, Pixels
    from srsdk.video.comparison import SideBySide
    from srsdk.video.job import Chunk, JobFolder
    from srsdk.video.picture import EncodedPacket
    from srsdk.video.processor import FrameProcessor
    from srsdk.video.source import FrameOutput, FrameSource
    from srsdk.video.tracks import TrackPlan

# More than this many packets without a frame go ahead on their own.
_PACKETS_AT_ONCE = 256
# A chunk ends at the first key frame of the input, mostly a change of scene, after so many frames,
# or after so many in any case. x264 begins anew every 250 frames by itself.
_CHUNK_FRAMES = (240, 480)


@dataclass
class _Item:
    """What goes from stage to stage: packets, then the frame that follows them in the file."""

    packets: list[Any] = field(default_factory=list)
    frame: Frame | None = None
    begins_chunk: bool = False
    state: bytes | None = None  # of the processor before this frame, where it begins a chunk
    notes: bytes | None = None  # of the reader on the chunk before this one
    result: FrameBuffer | None = None
    future: Future | None = None


class Pipeline:
    """One run over one video; what its three stages share.

    Args:
        reader: The input.
        process: What upscales a frame; called in the thread that calls `run`.
        plan: What becomes of the tracks beside the picture.
        writer: The output.
        comparison: The second output, None for none.
        folder: Where finished chunks are kept; None keeps none.
        on_progress: Called after each frame with the number of frames and of all, None if unknown.
        depth: Frames that may wait between two stages.
        chunk_frames: Smallest and largest number of frames of a chunk.

    Attributes:
        frames: Frames written so far.
        resumed: Frames among them that an earlier run made.
        start: Timestamp of the first frame, None before it.
        end: Timestamp at which the last one ends.
        timer: Seconds of the stages.
    """

    def __init__(
        self,
        reader: FrameSource,
        process: FrameProcessor,
        plan: TrackPlan | None,
        writer: FrameOutput,
        comparison: SideBySide | None,
        folder: JobFolder | None,
        on_progress: Callable[[int, int | None], None] | None,
        depth: int,
        chunk_frames: tuple[int, int] = _CHUNK_FRAMES,
    ) -> None:
        self.frames = self.end = 0
        self.start: int | None = None
        self.timer = StageTimer()
        self._reader, self._process, self._plan, self._writer = reader, process, plan, writer
        self._comparison, self._folder, self._on_progress = comparison, folder, on_progress
        self._chunk_frames = chunk_frames
        self._done: list[Chunk] = list(folder.chunks) if folder is not None else []
        self.resumed = sum(chunk.frames for chunk in self._done)
        self._stages = Stages()
        self._decoded = self._stages.channel(depth)
        self._processed = self._stages.channel(depth)
        self._queue = process if isinstance(process, FrameQueue) else None
        self._in_flight = self._queue.in_flight if self._queue else 1
        # Every result waits in one of these, is being filled or is being encoded: memory is fixed.
        buffers = depth + 1 + self._in_flight
        self._buffers = self._stages.channel(buffers)
        self._composer = Composer(writer.frame_size, writer.samples)
        scale, info = int(process.scale), reader.info
        for _ in range(buffers):
            self._buffers.put(FrameBuffer.empty(scale * info.width, scale * info.height))

    @property
    def compares(self) -> bool:
        """Whether there is a comparison."""
        return self._comparison is not None

    def run(self) -> None:
        """Write everything; the outputs are complete but have their temporary names.

        Raises:
            BaseException: The first error of any stage.
        """
        self._stages.run(self._upscale, decode=self._decode, encode=self._encode)

    # The decode thread.

    def _decode(self) -> None:
        notes = None if self._folder is None else self._folder.notes(self._done)
        source = self._reader.read(skip=self.resumed, past=notes)
        item = _Item()
        in_chunk = 0
        min_frames, max_frames = self._chunk_frames
        while True:
            with self.timer("decode"):
                entry = next(source, None)
            if isinstance(entry, Frame):
                item.frame = entry
                item.begins_chunk = in_chunk >= (min_frames if entry.key else max_frames)
                in_chunk = 1 if item.begins_chunk else in_chunk + 1
                if item.begins_chunk:
                    item.notes = self._reader.take_notes()
            elif entry is not None:
                item.packets.extend(self._converted(entry))
                if len(item.packets) < _PACKETS_AT_ONCE:
                    continue
            elif self._plan is not None:
                item.packets.extend(self._plan.finish())
            with self.timer("decode.wait"):
                self._decoded.put(item)
            item = _Item()
            if entry is None:
                self._decoded.put(None)
                return

    def _converted(self, packet: Any) -> Iterator[Any]:
        return iter((packet,)) if self._plan is None else self._plan.convert(packet)

    # The calling thread.

    def _upscale(self) -> None:
        for item in in_flight(self._started(), self._in_flight):
            self._finish(item)
        self._processed.put(None)

    def _started(self) -> Iterator[_Item]:
        """The decoded items; drawing one starts the upscaling of its frame."""
        count = 0
        while True:
            with self.timer("process.wait"):
                item: _Item | None = self._decoded.get()
                if item is not None and item.frame is not None and item.frame.pixels.size:
                    item.result = self._buffers.get()
            if item is None:
                return
            if item.frame is not None:
                if count == self.resumed and count:
                    self._restore()
                count += 1
            self._start(item)
            yield item

    def _restore(self) -> None:
        """Remember what an earlier run remembered at this frame."""
        assert self._folder is not None
        state = self._folder.state(self._done[-1])
        if state is not None and isinstance(self._process, RememberingProcessor):
            self._process.restore(state)

    def _start(self, item: _Item) -> None:
        if self._queue is None or item.frame is None or item.result is None:
            return
        with self.timer("process"):
            item.future = self._queue.submit(item.frame.pixels, out=item.result.pixels)

    def _finish(self, item: _Item) -> None:
        if item.frame is not None and item.result is not None:
            if item.begins_chunk and self._folder is not None:
                process = self._process
                item.state = process.state() if isinstance(process, RememberingProcessor) else None
            with self.timer("process"):
                self._fill(item, item.frame.pixels, item.result.pixels)
        with self.timer("process.wait"):
            self._processed.put(item)
        if item.frame is not None:
            self.frames += 1
            if self._on_progress is not None:
                self._on_progress(self.frames, self._reader.info.frames)

    def _fill(self, item: _Item, frame: Pixels, out: Pixels) -> None:
        result = item.future.result() if item.future else self._process(frame, out=out)
        if result is out:
            return
        if getattr(result, "shape", None) != out.shape or result.dtype != out.dtype:
            got = f"{result.dtype} {result.shape}" if isinstance(result, np.ndarray) else result
            raise InputError(f"the processor returned {got}, expected uint8 {out.shape}")
        np.copyto(out, result)

    # The encode thread.

    def _encode(self) -> None:
        chunks = _ChunkWriter(self._writers, self._folder, self._done)
        while True:
            with self.timer("encode.wait"):
                item: _Item | None = self._processed.get()
            if item is None:
                break
            for packet in item.packets:
                with self.timer("mux"):
                    for writer in self._writers:
                        writer.copy(packet)
            if item.frame is not None:
                self._encode_frame(item, item.frame, chunks)
        chunks.check_end()
        with self.timer("encode"):
            self._writer.finish()
        if self._comparison is not None:
            with self.timer("compare"):
                self._comparison.writer.finish()

    @property
    def _writers(self) -> list[FrameOutput]:
        beside = [] if self._comparison is None else [self._comparison.writer]
        return [self._writer, *beside]

    def _encode_frame(self, item: _Item, frame: Frame, chunks: _ChunkWriter) -> None:
        if item.begins_chunk:
            with self.timer("encode"):
                chunks.end(frame.pts, item.state, item.notes)
        if item.result is None:
            with self.timer("mux"):
                chunks.repeat(frame)
        else:
            with self.timer("encode"):
                whole = self._composer.compose(frame, item.result)
                chunks.add(0, self._writer.encode(whole, frame.pts, frame.duration))
            if self._comparison is not None:
                with self.timer("compare"):
                    both = self._comparison.compose(frame.pixels, item.result.pixels)
                    writer = self._comparison.writer
                    chunks.add(1, writer.encode(both, frame.pts, frame.duration))
            chunks.frames += 1
            self._buffers.put(item.result)
        self.start = frame.pts if self.start is None else self.start
        self.end = frame.pts + frame.duration


class _ChunkWriter:
    """Writes packets to the outputs and into the folder, or from the folder to the outputs."""

    def __init__(
        self, writers: list[FrameOutput], folder: JobFolder | None, done: list[Chunk]
    ) -> None:
        self.frames = 0  # of the current chunk
        self._writers, self._folder = writers, folder
        self._done = iter(done)
        self._chunk: Chunk | None = None
        self._again: list[Iterator[EncodedPacket]] = []
        self._next: list[EncodedPacket | None] = []

    def add(self, output: int, packets: list[EncodedPacket]) -> None:
        """Write what was encoded."""
        for packet in packets:
            self._writers[output].mux(packet)
        if self._folder is not None and packets:
            self._folder.keep(output, packets)

    def end(self, next_pts: int, state: bytes | None, notes: bytes | None) -> None:
        """End a chunk; `next_pts` is when the next frame is shown."""
        if self._chunk is not None:
            if self._chunk.frames != self.frames:
                raise self._differs()
            for writer in self._writers:
                writer.end_chunk(next_pts)
            self._mux_again(self.frames + 1)
            self._chunk = None
        else:
            for output, writer in enumerate(self._writers):
                self.add(output, writer.end_chunk(next_pts))
            if self._folder is not None:
                self._folder.end_chunk(self.frames, state, notes)
        self.frames = 0

    def repeat(self, frame: Frame) -> None:
        """Count a frame that an earlier run made, and write the packets that came out with it."""
        if self._chunk is None:
            self._chunk = next(self._done, None)
            if self._chunk is None or self._folder is None:
                raise self._differs()
            self._again = [
                self._folder.packets(self._chunk, output) for output in range(len(self._writers))
            ]
            self._next = [next(packets, None) for packets in self._again]
        self.frames += 1
        for writer in self._writers:
            writer.note(frame.pts, frame.duration)
        self._mux_again(self.frames)

    def _mux_again(self, after: int) -> None:
        for output, writer in enumerate(self._writers):
            packet = self._next[output]
            while packet is not None and packet.after <= after:
                writer.mux_again(packet)
                packet = next(self._again[output], None)
            self._next[output] = packet

    def check_end(self) -> None:
        """Raise where the video ends within chunks of an earlier run."""
        if self._chunk is not None or next(self._done, None) is not None:
            raise self._differs()

    @staticmethod
    def _differs() -> VideoError:
        return VideoError(
            "the input decodes otherwise than in the earlier run; delete the .srsdk-job folder "
            "beside the output and run the command again"
        )
