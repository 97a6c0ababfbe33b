"""`Live`: frames of a camera in, the newest finished picture out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from srsdk.arguments import check_positive
from srsdk.errors import InputError, SrsdkError
from srsdk.live.cost import CostModel, MeasuredCost
from srsdk.live.incoming import Cadence, to_frame
from srsdk.live.levels import Level
from srsdk.live.render import Renderer, UpscalerRenderer
from srsdk.live.scheduler import Scheduler
from srsdk.live.slot import Slot
from srsdk.live.stats import Counts, LiveState, LiveStats
from srsdk.stream import check_strength

if TYPE_CHECKING:
    from srsdk.live.sources import Source
    from srsdk.types import Pixels
    from srsdk.upscaler import Upscaler

_STARVED = 0.5  # seconds without a picture after which a late one is better than none
_STALLED = 1.0  # seconds without a frame after which the camera is said to stall
_READ_TIMEOUT = 1.0  # seconds

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveFrame:
    """A finished picture.

    Attributes:
        pixels: uint8 `(scale*H, scale*W, 3)`, in the upscaler's colour order.
        index: Number of its frame, counted from 0 over all frames handed in.
        captured: When its frame was handed in, in seconds of the clock.
        finished: When it was ready.
        level: What it was given.
        faces: Faces enhanced in it.
    """

    pixels: Pixels
    index: int
    captured: float
    finished: float
    level: Level
    faces: int


@dataclass(frozen=True)
class _Frame:
    pixels: Pixels
    index: int
    captured: float


class Live:
    """Upscales the frames of a camera in a thread; the newest frame wins.

        with Upscaler("edge-x4", faces="portrait-x4") as upscaler, Live(upscaler) as live:
            for result in live.follow(open_source("0")):
                cv2.imshow("srsdk", result.pixels)
                cv2.waitKey(1)

    An app with its own loop calls `put` with each frame, from any thread, and `get` for the newest
    finished picture. One frame waits and one picture waits; when a newer one comes, the older one
    is dropped, so nothing queues. Each frame is upscaled as well as the time allows: with faces, by
    the generator alone, by a faster generator, or bicubically (see `Scheduler`).

    Args:
        upscaler: Does the work; it must stay open as long as this is. Or a `Renderer`.
        deadline: Seconds that a picture may be old when it is finished. A later one is dropped,
            unless no picture came for half a second, or the lowest level is too slow as well. None:
            two intervals between frames.
        fps: Frames a second of the camera; None: measured.
        fast: A faster upscaler of the same scale, for the level "fast".
        costs: Predicts what a frame costs at each level; None: measured.
        clock: Seconds, for every time here; for tests.

    Attributes:
        faces: Whether levels with faces may be used; may be changed at any time.

    Raises:
        InputError: An option is out of its range, or the scales differ.
    """

    def __init__(
        self,
        upscaler: Upscaler | Renderer,
        *,
        deadline: float | None = None,
        fps: float | None = None,
        fast: Upscaler | None = None,
        costs: CostModel | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        check_positive("deadline", deadline, "seconds", 60)
        check_positive("fps", fps, "frames a second", 1000)
        if isinstance(upscaler, Renderer):
            self._renderer = upscaler
        else:
            self._renderer = UpscalerRenderer(upscaler, fast=fast)
        levels = self._renderer.levels
        self._scheduler = Scheduler(len(levels), costs or MeasuredCost(len(levels)))
        self._deadline, self._cadence, self._clock = deadline, Cadence(fps), clock
        self._lock = threading.Lock()  # frames are numbered in the order in which they wait
        self._inbox, self._outbox = Slot[_Frame](), Slot[LiveFrame]()
        self._counts, self._next_index = Counts(), 0
        self._shape: tuple[int, ...] = ()
        self._arrived = self._finished = float("-inf")
        self._late = False
        self._error: BaseException | None = None
        self._threads: list[threading.Thread] = []
        self.faces = self._faces_allowed = True
        self._strength = 1.0

    @property
    def strength(self) -> float:
        """How much of the face generator's result to blend in, 0 to 1; may be changed any time.

        Raises:
            InputError: It is set to something else.
        """
        return self._strength

    @strength.setter
    def strength(self, strength: float) -> None:
        check_strength(strength)
        self._strength = strength

    @property
    def stats(self) -> LiveStats:
        """What was done so far."""
        now = self._clock()
        return self._counts.snapshot(now, self._state(now))

    def put(self, frame: Any, captured: float | None = None) -> bool:
        """Hand in the next frame, from any thread. Never waits.

        Args:
            frame: uint8 `(H, W, 3)`, gray or with a fourth channel that is dropped; copied. What
                cannot be used, None for instance, is counted, and the last picture stays.
            captured: When the camera took it, in seconds of the clock; None: now.

        Returns:
            Whether the frame could be used; False also after `close`.
        """
        if self._inbox.closed:
            return False
        try:
            pixels = to_frame(frame)
        except InputError as error:
            if self._counts.received(str(error)) == 1:  # a camera may give bad ones for hours
                log.warning("%s", error)
            return False
        with self._lock:
            now = self._clock()
            self._cadence.arrived(now)
            self._counts.received()
            self._arrived = now
            waiting = _Frame(pixels, self._next_index, now if captured is None else captured)
            self._next_index += 1
            if self._inbox.put(waiting):
                self._counts.dropped()
        return True

    def get(self, timeout: float | None = None) -> LiveFrame | None:
        """The newest finished picture that was not handed out yet.

        Args:
            timeout: Seconds to wait for one; None: until one comes or this is closed; 0: not at
                all.

        Returns:
            The picture, always a later one than before; None if there is none.

        Raises:
            SrsdkError: Upscaling failed at every level; as it was raised.
        """
        result = self._outbox.take(timeout)
        if result is None:
            if self._error is not None:
                raise self._error
            return None
        now = self._clock()
        self._counts.shown(now, now - result.captured, str(result.level), result.faces)
        return result

    def step(self, timeout: float | None = 0.0) -> bool:
        """Upscale the frame that waits, in this thread.

        The thread of a `Live` that was entered does this; a program with its own loop can do
        without that thread.

        Args:
            timeout: Seconds to wait for a frame; None: until one comes or this is closed.

        Returns:
            Whether there was a frame.
        """
        frame = self._inbox.take(timeout)
        if frame is None:
            return False
        if frame.pixels.shape != self._shape:
            self._shape = frame.pixels.shape
            self._scheduler.reset()
        self._allow_faces()
        started = self._clock()
        interval = self._cadence.interval
        deadline = self._deadline or 2 * interval
        index = self._scheduler.choose(started, started - frame.captured, interval, deadline)
        rendered = self._render(frame.pixels, index)
        if rendered is None:
            return True
        pixels, faces = rendered
        now = self._clock()
        self._scheduler.record(index, now - started)
        level = self._renderer.levels[index]
        late, was_late = now - frame.captured > deadline, self._late
        self._late = late
        slowest = was_late and level == self._renderer.levels[-1]  # no faster one will come
        if late and not slowest and now - self._finished < _STARVED:
            self._counts.dropped(late=True)
            return True
        self._finished = now
        result = LiveFrame(pixels, frame.index, frame.captured, now, level, faces)
        if self._outbox.put(result):
            self._counts.dropped()
        return True

    def follow(self, source: Source) -> Iterator[LiveFrame]:
        """Read a source in a thread, and give the finished pictures as they come.

        Args:
            source: From `srsdk.live.open_source`.

        Yields:
            Pictures, until the source ends.

        Raises:
            VideoError: The source broke off for good.
            SrsdkError: As `get`.
            InputError: This was not entered with `with`.
        """
        if not self._threads:
            raise InputError("follow needs the thread of an entered Live: use `with Live(...)`")
        reader = threading.Thread(target=self._read, args=(source,), name="srsdk-read", daemon=True)
        self._threads.append(reader)
        reader.start()
        try:
            # With a timeout, since Ctrl-C does not end a wait without one on every system.
            while (result := self.get(0.5)) is not None or not self._outbox.closed:
                if result is not None:
                    yield result
        finally:
            source.close()

    def close(self) -> None:
        """Stop the threads; the frame in work is finished first. Calling twice is fine."""
        self._inbox.close()
        for index, thread in enumerate(self._threads):
            # Nobody can wake a thread that waits for a camera; it ends with its next frame.
            thread.join(None if index == 0 else _READ_TIMEOUT)
        self._outbox.close()
        self._renderer.close()

    def __enter__(self) -> Live:
        if self._threads or self._inbox.closed:
            raise InputError("a Live is entered once: make a new one")
        worker = threading.Thread(target=self._work, name="srsdk-live", daemon=True)
        self._threads.append(worker)
        worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self) -> None:
        try:
            while self.step(None):
                pass
        except BaseException as error:
            self._error = error
        self._inbox.close()
        self._outbox.close()

    def _read(self, source: Source) -> None:
        try:
            while not self._inbox.closed and (frame := source.read()) is not None:
                self.put(frame)
        except Exception as error:
            self._error = error
        self._inbox.close()

    def _allow_faces(self) -> None:
        """Do as `faces` says, which another thread may have changed."""
        if self.faces == self._faces_allowed:
            return
        self._faces_allowed = self.faces
        for index, level in enumerate(self._renderer.levels):
            if level.kind == "faces":
                self._scheduler.allow(index, self._faces_allowed)

    def _render(self, frame: Pixels, index: int) -> tuple[Pixels, int] | None:
        """The picture at a level; a level that fails is not used again."""
        level = self._renderer.levels[index]
        self._renderer.strength = self._strength
        try:
            return self._renderer.render(frame, level)
        except (SrsdkError, MemoryError) as error:
            problem = f"level {level} failed and is left out from now on: {error}"
            log.warning("%s", problem)
            self._counts.failed(problem)
            self._counts.dropped()
            if not self._scheduler.exclude(index):
                raise
            return None

    def _state(self, now: float) -> LiveState:
        if self._inbox.closed:
            return "ended"
        if self._arrived == float("-inf"):
            return "waiting"
        if now - self._arrived > max(_STALLED, 5 * self._cadence.interval):
            return "stalled"
        return "overloaded" if self._late else "live"
