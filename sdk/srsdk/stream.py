"""`UpscalerStream`: the frames of one video, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from srsdk import snapshot
from srsdk.errors import InputError
from srsdk.futures import DeferredFuture, in_flight
from srsdk.image import PreparedImage
from srsdk.tiling import TiledBackend
from srsdk.timing import StageTimer
from srsdk.types import Future, Pixels

if TYPE_CHECKING:
    from srsdk.faces import FaceStream, FaceSummary, FrameFace

_IN_FLIGHT = 2
"""Frames of a video on a GPU at a time: one is computed while the other is copied."""


class UpscalerStream:
    """The frames of one video, in order, from one thread at a time; made by `Upscaler.stream`.

    A context manager: it ends with `close`. A stream that is not closed costs memory, and with
    `detect_later` an idle thread, until it is collected.

    Args:
        generator: Upscales frames.
        faces: Enhances the faces in frame after frame; None leaves faces to the generator.
        timer: Collects the seconds of the stages "frame", "detect", "faces", "guard" and "blend".

    Attributes:
        scale: Upscaling factor.
        in_flight: Frames that are worth having in flight at a time: 2 on a GPU, otherwise 1.
        faces: The faces in the frame whose result came last; their boxes are in pixels of the input
            frame, and a face keeps its id while it is followed. Empty without a face generator.
        faces_total: Faces enhanced in all frames so far, each counted once a frame.
        enhance_faces: Whether the next frames' faces are detected and enhanced. Setting it to False
            saves their time; tracks go on from the last frame when it is True again.
    """

    def __init__(
        self,
        generator: TiledBackend,
        *,
        faces: FaceStream | None = None,
        timer: StageTimer | None = None,
    ) -> None:
        self.scale = generator.info.spec.scale
        self.in_flight = _IN_FLIGHT if generator.overlaps else 1
        self.faces: tuple[FrameFace, ...] = ()
        self.faces_total = 0
        self.enhance_faces = faces is not None
        self._generator, self._enhancer = generator, faces
        self._timer = timer or StageTimer()
        self._strength = 1.0
        self._queue: deque[_FrameFuture] = deque()  # frames in flight, oldest first
        self._closed = False

    @property
    def strength(self) -> float:
        """How much of the face generator's result to blend in, 0 to 1, from now on."""
        return self._strength

    @strength.setter
    def strength(self, strength: float) -> None:
        check_strength(strength)
        self._strength = strength
        if self._enhancer is not None:
            self._enhancer.strength = strength

    @property
    def face_summary(self) -> FaceSummary | None:
        """What was done to the faces of all frames so far; None without a face generator."""
        return None if self._enhancer is None else self._enhancer.summary

    @property
    def detect_every(self) -> int:
        """Frames from one face detection to the next, from now on; 0 without a face generator."""
        return 0 if self._enhancer is None else self._enhancer.detect_every

    @detect_every.setter
    def detect_every(self, frames: int) -> None:
        if self._enhancer is not None:
            self._enhancer.detect_every = frames

    def __call__(self, frame: Any, out: Pixels | None = None) -> Pixels:
        """Upscale the next frame; as `Upscaler.__call__` of an image in host memory."""
        return self.submit(frame, out).result()

    def submit(self, frame: Any, out: Pixels | None = None) -> Future:
        """Start upscaling the next frame; on the CPU it is upscaled at once.

        The faces are enhanced when the result is asked for, in the order of the frames: asking for
        a later frame first finishes the frames before it.

        Args:
            frame: As for `Upscaler.__call__`; must not change until its result is there.
            out: As for `Upscaler.__call__`.

        Returns:
            The future of the result.

        Raises:
            InputError: `frame` or `out` is not as described, or the stream is closed.
        """
        if self._closed:
            raise InputError("this stream is closed; make a new one with Upscaler.stream()")
        started = perf_counter()
        image = PreparedImage(frame, out, self.scale, self._generator.empty)
        generated = self._generator.submit(image.lr, image.sr)
        future = _FrameFuture(self, image, generated, perf_counter() - started)
        self._queue.append(future)
        return future

    def map(self, frames: Iterable[Any], *, in_flight: int | None = None) -> Iterator[Pixels]:
        """Upscale all frames; on a GPU, copying some overlaps computing others.

        Args:
            frames: As for `submit`.
            in_flight: Frames that may have been taken without their result given, at least 1; each
                above the first is a frame of delay. None: as the attribute `in_flight`.

        Yields:
            The results, in order, each a new array.

        Raises:
            InputError: `in_flight` is below 1, or a frame is not as described.
        """
        if in_flight is not None and in_flight < 1:
            raise InputError(f"in_flight is {in_flight}, expected at least 1")
        return self._map(frames, in_flight or self.in_flight)

    def _map(self, frames: Iterable[Any], count: int) -> Iterator[Pixels]:
        for future in in_flight(map(self.submit, frames), count):
            yield future.result()

    def state(self) -> bytes:
        """What the stream remembers of the frames whose results are there: tracks and counts.

        Raises:
            InputError: A detector of the caller's own holds what cannot be kept, or faces are
                looked for between frames (`detect_later`).
        """
        tracked = None if self._enhancer is None else self._enhancer.state()
        return snapshot.dump((self.faces_total, tracked))

    def restore(self, state: bytes) -> None:
        """Go on as the stream that `state` came from, which had the same models and options.

        Raises:
            InputError: The bytes are damaged, or come from another version.
        """
        self.faces_total, tracked = snapshot.load(state)
        if self._enhancer is not None and tracked is not None:
            self._enhancer.restore(tracked)

    def close(self) -> None:
        """Finish the frames in flight, whose results stay available, and take no further frames."""
        self._closed = True
        if self._queue:
            self._finish_through(self._queue[-1])
        if self._enhancer is not None:
            self._enhancer.close()

    def __enter__(self) -> UpscalerStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _finish_through(self, last: _FrameFuture) -> None:
        """Finish the frames in flight, in order, up to `last`."""
        while last in self._queue:
            self._queue.popleft().wait()

    def _finish(self, image: PreparedImage, generated: Future, seconds: float) -> Pixels:
        """Wait for the generator, enhance the faces and complete the image.

        Args:
            image: The oldest frame in flight.
            generated: Of the generator's result for it.
            seconds: What submitting it took.
        """
        started = perf_counter()
        generated.result()
        seconds += perf_counter() - started
        if self._enhancer is None or not self.enhance_faces:
            self.faces = ()
        else:
            result = self._enhancer.enhance(image.lr, image.sr)
            self.faces = result.faces
            self.faces_total += result.count
            self._timer.add("detect", result.detect)
            self._timer.add("faces", result.generate)
            self._timer.add("guard", result.guard)
            self._timer.add("blend", result.blend)
        started = perf_counter()
        pixels = image.finish()
        self._timer.add("frame", seconds + perf_counter() - started)
        return pixels


class _FrameFuture(DeferredFuture):
    """A frame in a stream's queue."""

    def __init__(
        self, stream: UpscalerStream, image: PreparedImage, generated: Future, seconds: float
    ) -> None:
        super().__init__()
        self._stream, self._image = stream, image
        self._generated, self._seconds = generated, seconds

    def result(self) -> Pixels:
        self._stream._finish_through(self)
        return super().result()

    def _finish(self) -> Pixels:
        return self._stream._finish(self._image, self._generated, self._seconds)


def check_strength(strength: float) -> None:
    """Refuse a strength that is not a share.

    Raises:
        InputError: It is below 0 or above 1, or no number.
    """
    if not isinstance(strength, (int, float, np.number)) or not 0 <= strength <= 1:
        raise InputError(f"strength is {strength!r}, expected a number from 0 to 1")
