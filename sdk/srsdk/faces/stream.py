"""The faces of one video's frames."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace

import numpy as np

from srsdk import snapshot
from srsdk.errors import InputError
from srsdk.faces.budget import FaceBudget
from srsdk.faces.crop import CropPlan, box_of_square, face_squares
from srsdk.faces.enhance import FaceEnhancer, FaceResult, FrameFace
from srsdk.faces.frames import Vector, check_frame
from srsdk.faces.identity import share_to_show
from srsdk.faces.track import FaceTracker, Track
from srsdk.types import Pixels

_FADE = 1 / 6  # a frame: how fast a face comes and goes
_GUARD_FADE = 1 / 30  # a frame: how fast the guard's decision takes effect
_FIRST_CHECKS = (0, 10, 30)  # frames from one comparison of a face to the next, at first
_CHECK_EVERY = 90  # and from then on
_PROBE = 64  # side of the crop on which the generator's speed is measured


@dataclass(frozen=True)
class FaceSummary:
    """What was done to the faces of a video so far.

    Attributes:
        tracks: Faces that were followed.
        blended: Faces blended in, each counted once a frame.
        mean_strength: How much of the face generator's result these show, on average.
        comparisons: How often the identity guard compared a face.
        mean_distance: Mean of the distances it found; 0 without comparisons.
        held_back: Tracks of which it let less than all be shown.
        guard_seconds: Time it took within the frames.
    """

    tracks: int = 0
    blended: int = 0
    mean_strength: float = 0.0
    comparisons: int = 0
    mean_distance: float = 0.0
    held_back: int = 0
    guard_seconds: float = 0.0


class FaceStream:
    """Faces of one video's frames, tracked. Give it the frames in order, from one thread at a time.

    A face that comes up within a scene, leaves, or outgrows the generator's range fades in or out
    over a few frames, so nothing pops. With a guard, a face is compared when it comes up and every
    three seconds; the decision takes effect within a second.

    With an executor, detection and the guard run there between the frames, so no frame takes longer
    than another. Faces then come up a frame or two later, a face is not shown before the guard has
    compared it, and the results depend on when the executor is done.

    Args:
        enhancer: Does everything that has no memory; several streams may share it.
        every: Frames from one detection to the next. With 1, the detector is the one for images,
            which finds smaller faces in large frames.
        budget_ms: Milliseconds a frame that faces may take on average. Which faces are enhanced and
            how often faces are looked for then follows from what they cost on this machine, as
            measured. None: no limit.
        executor: Runs detection and the guard; `close` shuts it down. None: they run in `enhance`.

    Attributes:
        strength: How much of the face generator's result to blend in, 0 to 1; may be changed
            between frames.
        summary: What was done to all frames so far.

    Raises:
        InputError: `budget_ms` is not positive.
    """

    def __init__(
        self,
        enhancer: FaceEnhancer,
        *,
        every: int = 5,
        budget_ms: float | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._enhancer = enhancer
        detector = enhancer.detector if every == 1 else enhancer.video_detector
        self._tracker = FaceTracker(detector, every=every, executor=executor)
        self._executor = executor
        self._every = every
        self._states: dict[int, _State] = {}
        self._frame = 0
        self._budget = None
        if budget_ms is not None:
            self._budget = FaceBudget(budget_ms / 1000, self._per_pixel())
        self.strength = 1.0
        self.summary = FaceSummary()

    @property
    def detect_every(self) -> int:
        """Frames from one detection to the next, from now on."""
        return self._every

    @detect_every.setter
    def detect_every(self, frames: int) -> None:
        self._every = self._tracker.every = frames

    def enhance(self, lr: Pixels, sr: Pixels) -> FaceResult:
        """The next frame; otherwise as `FaceEnhancer.enhance`."""
        clock = self._enhancer.clock
        started = clock()
        tracks, plans = self._plan(lr)
        detect = clock() - started
        squares = face_squares([track.box for track in tracks])

        def judge(plan: CropPlan, crops: Pixels, sr: Pixels) -> Vector:
            return self._judge(tracks, squares, plan, crops, sr)

        result = self._enhancer.apply(lr, sr, plans, judge=judge, detect=detect)
        self._tracker.detect_later(self._enhancer.bgr(lr))
        faces = tuple(
            FrameFace(track.id, track.box, state.shown, state.distance)
            for track in tracks
            for state in (self._states[track.id],)
        )
        self._account(result, plans, faces)
        return replace(result, faces=faces)

    def plan(self, lr: Pixels) -> tuple[CropPlan, ...]:
        """Follow the faces into the next frame, and plan their crops."""
        return self._plan(lr)[1]

    def reset(self) -> None:
        """Start over, as for a new video."""
        self._tracker.reset()
        self._states = {}

    def state(self) -> bytes:
        """Everything that the stream remembers, for `restore` in another process.

        Raises:
            InputError: A detector of the caller's own holds what cannot be kept, or there is an
                executor.
        """
        if self._executor is not None:
            raise InputError("faces are looked for beside the frames: there is no state to keep")
        return snapshot.dump(vars(self), self._shared())

    def restore(self, state: bytes) -> None:
        """Go on as the stream that `state` came from, which had the same models and options.

        Raises:
            InputError: The bytes are damaged, or come from another version.
        """
        vars(self).update(snapshot.load(state, self._shared()))

    def close(self) -> None:
        """Shut the executor down; what it runs is finished and not used."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)

    def _shared(self) -> list[object]:
        """The enhancer and its models, which remember nothing of the frames."""
        held = [self._enhancer, *vars(self._enhancer).values()]
        return [item for item in held if not isinstance(item, (int, float, str, type(None)))]

    def _plan(self, lr: Pixels) -> tuple[list[Track], tuple[CropPlan, ...]]:
        check_frame(lr)
        if self._budget is not None:
            self._tracker.every = self._budget.detect_every(self._every)
        tracks = self._tracker.update(self._enhancer.bgr(lr))
        self._frame += 1
        for state in self._states.values():
            if state.running is not None and state.running.done():
                self._decide(state, state.running.result())
        boxes = [track.box for track in tracks]
        sides = face_squares(boxes)[:, 2]
        wanted = self._enhancer.limits.weights(sides)
        wanted[[track.misses >= 2 for track in tracks]] = 0
        old = self._states
        if self._budget is not None:
            shown = [t.id in old and old[t.id].fade > 0 for t in tracks]
            costing = np.where(wanted > 0, sides, 0).tolist()
            wanted = wanted * self._budget.affordable(costing, shown)
        states = {}
        for track, amount in zip(tracks, wanted.tolist(), strict=True):
            state = old.get(track.id) or _State(amount if track.opening else 0.0)
            state.fade += min(max(amount - state.fade, -_FADE), _FADE)
            state.share += min(max(state.wanted_share - state.share, -_GUARD_FADE), _GUARD_FADE)
            state.shown = 0.0
            states[track.id] = state
        self._states = states
        return tracks, self._enhancer.plan(lr, boxes, [self._needed(states[t.id]) for t in tracks])

    def _needed(self, state: _State) -> float:
        """The strength to plan a face with; one that is due for comparison is planned in full."""
        compared = self._enhancer.guard is not None and state.is_due(self._frame)
        return self.strength * state.fade * (1.0 if compared else state.share)

    def _judge(
        self, tracks: Sequence[Track], squares: Vector, plan: CropPlan, crops: Pixels, sr: Pixels
    ) -> Vector:
        """Compare the faces whose turn it is; how much of each to blend in."""
        strengths = np.zeros(len(plan))
        for row, index in enumerate(plan.faces.tolist()):
            track = tracks[index]
            state = self._states[track.id]
            guard = self._enhancer.guard
            if guard is not None and state.is_due(self._frame):
                origin = plan.origins[row].tolist()
                chips = self._enhancer.chips(squares[index], track.roll, crops[row], origin, sr)
                if self._executor is None:
                    self._decide(state, guard.distance(*chips))
                else:
                    state.running = self._executor.submit(guard.distance, *chips)
            unknown = state.running is not None and state.distance is None
            share = 0.0 if unknown else state.share
            state.shown = strengths[row] = self.strength * state.fade * share
        return strengths

    def _decide(self, state: _State, distance: float) -> None:
        """Take a comparison into account."""
        held_before = state.wanted_share < 1
        state.compare(self._frame, distance)
        self._count_comparison(distance, held=state.wanted_share < 1 and not held_before)

    def _count_comparison(self, distance: float, *, held: bool) -> None:
        old = self.summary
        count = old.comparisons + 1
        mean = old.mean_distance + (distance - old.mean_distance) / count
        self.summary = replace(
            old, comparisons=count, mean_distance=mean, held_back=old.held_back + held
        )

    def _account(
        self, result: FaceResult, plans: Sequence[CropPlan], faces: Sequence[FrameFace]
    ) -> None:
        old, blended = self.summary, [face.strength for face in faces if face.strength > 0]
        count = old.blended + len(blended)
        total = old.mean_strength * old.blended + sum(blended)
        self.summary = replace(
            old,
            tracks=max(old.tracks, max((face.id for face in faces), default=0)),
            blended=count,
            mean_strength=total / max(count, 1),
            guard_seconds=old.guard_seconds + result.guard,
        )
        if self._budget is not None:
            pixels = sum(len(plan) * plan.side**2 for plan in plans)
            self._budget.spent_on_crops(pixels, result.generate + result.blend)
            around = result.detect + result.guard
            if self._tracker.detected:
                around += self._tracker.later_seconds
            self._budget.spent_around(around, detected=self._tracker.detected)

    def _per_pixel(self) -> float:
        """Seconds that the generator takes for a pixel of a crop: the best of three, once warm."""
        lr = np.full((_PROBE, _PROBE, 3), 128, np.uint8)
        sr = np.zeros((_PROBE * self._enhancer.scale, _PROBE * self._enhancer.scale, 3), np.uint8)
        box = box_of_square(_PROBE / 2, _PROBE / 2, _PROBE)
        plans = self._enhancer.plan(lr, [box], [1.0])
        pixels = sum(len(plan) * plan.side**2 for plan in plans)
        results = [self._enhancer.apply(lr, sr, plans) for _ in range(4)][1:]
        return min(result.generate + result.blend for result in results) / max(pixels, 1)


@dataclass
class _State:
    """How much of a track is shown: `fade` as it comes, goes and grows, `share` by the guard."""

    fade: float
    share: float = 1.0
    wanted_share: float = 1.0
    shown: float = 0.0
    distance: float | None = None
    compared: int = 0
    next_comparison: int = 0
    running: Future[float] | None = None  # a comparison beside the frames

    def is_due(self, frame: int) -> bool:
        return self.fade > 0 and frame >= self.next_comparison and self.running is None

    def compare(self, frame: int, distance: float) -> None:
        self.running = None
        first = self.distance is None
        # A blink or a turn of the head changes a distance; two comparisons are steadier than one.
        self.distance = distance if self.distance is None else (self.distance + distance) / 2
        self.wanted_share = share_to_show(self.distance)
        if first:
            self.share = self.wanted_share
        self.compared += 1
        rest = _FIRST_CHECKS[self.compared :]
        self.next_comparison = frame + (rest[0] if rest else _CHECK_EVERY)
