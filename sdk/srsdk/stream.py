"""`UpscalerStream`: the frames of one video, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from srsdk import image as images
from srsdk.backends.base import Pixels, Ticket
from srsdk.errors import InputError
from srsdk.timing import StageTimer

if TYPE_CHECKING:
    from srsdk.faces import FaceResult, FrameFace


class _Faces(Protocol):
    """`srsdk.faces.FaceStream`."""

    detect_every: int

    def enhance(self, lr: Pixels, sr: Pixels) -> FaceResult: ...


class Work:
    """An image to be upscaled: what the generator reads and writes, and what becomes of it.

    Attributes:
        lr: `(H, W, 3)`, three channels of the image.
        sr: Where the generator's result goes.
    """

    def __init__(self, image: Any, out: Pixels | None, scale: int) -> None:
        self._original = images.split(image)
        if out is None:
            out = np.empty(images.result_shape(image, scale), np.uint8)
        else:
            images.check_out(out, image, scale)
        self._out, self._scale = out, scale
        self.lr = self._original.color
        self.sr = out
        if not self._original.is_plain:
            height, width = self.lr.shape[:2]
            self.sr = np.empty((height * scale, width * scale, 3), np.uint8)

    def finish(self, enhance: Callable[[Pixels, Pixels], None]) -> Pixels:
        """The result, once `sr` is complete, with what `enhance(lr, sr)` makes of it."""
        enhance(self.lr, self.sr)
        if not self._original.is_plain:
            images.join(self.sr, self._original, self._scale, self._out)
        return self._out


class UpscalerStream:
    """The frames of one video, in order, from one thread at a time; made by `Upscaler.stream`.

    A context manager: it ends with `close`. A stream that is not closed costs memory, nothing else.

    Args:
        start: Begins to fill the `sr` of a frame's `Work`.
        scale: Upscaling factor.
        in_flight: Frames that are worth having on their way at a time.
        faces: What enhances the faces of frame after frame; None: nothing.
        timer: See `Upscaler.stream`.

    Attributes:
        scale: Upscaling factor.
        in_flight: Frames that are worth having on their way at a time: 2 on a GPU, otherwise 1.
        faces: The faces in the frame whose result came last; their boxes are in pixels of the input
            frame, and a face keeps its id while it is followed. Empty without a face generator.
        faces_total: Faces enhanced in all frames so far, each counted once a frame.
        enhance_faces: Whether the next frames' faces are detected and enhanced. Setting it to False
            saves their time; tracks go on from the last frame when it is True again.
    """

    def __init__(
        self,
        start: Callable[[Work], Ticket],
        *,
        scale: int,
        in_flight: int,
        faces: _Faces | None,
        timer: StageTimer | None,
    ) -> None:
        self.scale, self.in_flight = scale, in_flight
        self._start, self._enhancer = start, faces
        self._timer = timer or StageTimer()
        self._on_the_way: deque[_FrameTicket] = deque()
        self._closed = False
        self.faces: tuple[FrameFace, ...] = ()
        self.faces_total = 0
        self.enhance_faces = faces is not None

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

    def submit(self, frame: Any, out: Pixels | None = None) -> Ticket:
        """Start upscaling the next frame; on the CPU it is upscaled at once.

        Faces are enhanced when a result is asked for, and where that is out of order, those of the
        frames before come first.

        Args:
            frame: As for `Upscaler.__call__`; it must stay as it is until its result comes.
            out: As for `Upscaler.__call__`.

        Returns:
            The ticket for its result.

        Raises:
            InputError: `frame` or `out` is not as described, or the stream is closed.
        """
        if self._closed:
            raise InputError("this stream is closed; make a new one with Upscaler.stream()")
        started = perf_counter()
        work = Work(frame, out, self.scale)
        ticket = _FrameTicket(self, work, self._start(work))
        ticket.seconds = perf_counter() - started
        self._on_the_way.append(ticket)
        return ticket

    def map(self, frames: Iterable[Any], *, in_flight: int | None = None) -> Iterator[Pixels]:
        """Upscale all frames; on a GPU the copies of some overlap the computing of others.

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

    def close(self) -> None:
        """Wait for the frames on their way; their results can still be asked for, more cannot."""
        self._closed = True
        if self._on_the_way:
            self._settle(self._on_the_way[-1])

    def __enter__(self) -> UpscalerStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _map(self, frames: Iterable[Any], in_flight: int) -> Iterator[Pixels]:
        tickets: deque[Ticket] = deque()
        for frame in frames:
            tickets.append(self.submit(frame))
            if len(tickets) >= in_flight:
                yield tickets.popleft().result()
        while tickets:
            yield tickets.popleft().result()

    def _settle(self, last: _FrameTicket) -> None:
        """Finish the frames up to this one."""
        while last in self._on_the_way:
            ticket = self._on_the_way.popleft()
            started = perf_counter()
            faces = _Stopwatch()
            ticket.settle(partial(self._enhance, faces))
            self._timer.add("frame", ticket.seconds + perf_counter() - started - faces.seconds)

    def _enhance(self, faces: _Stopwatch, lr: Pixels, sr: Pixels) -> None:
        if self._enhancer is None or not self.enhance_faces:
            self.faces = ()
            return
        result = self._enhancer.enhance(lr, sr)
        self.faces = result.faces
        self.faces_total += result.count
        faces.seconds = result.detect + result.generate + result.blend
        self._timer.add("detect", result.detect)
        self._timer.add("faces", result.generate)
        self._timer.add("blend", result.blend)


class _Stopwatch:
    seconds = 0.0


class _FrameTicket:
    """A frame that was handed in; see `Ticket`."""

    def __init__(self, stream: UpscalerStream, work: Work, generated: Ticket) -> None:
        self.seconds = 0.0
        self._stream, self._work, self._generated = stream, work, generated
        self._result: Pixels | None = None
        self._error: BaseException | None = None

    def result(self) -> Pixels:
        """See `Ticket.result`."""
        self._stream._settle(self)
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    def settle(self, enhance: Callable[[Pixels, Pixels], None]) -> None:
        """Wait for the generator and enhance the faces; an error is kept for `result`."""
        try:
            self._generated.result()
            self._result = self._work.finish(enhance)
        except BaseException as error:
            self._error = error
            if not isinstance(error, Exception):  # Ctrl-C is not for later
                raise
