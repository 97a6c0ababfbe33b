"""Faces that are looked for between the frames."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from srsdk import Upscaler
from srsdk.errors import DetectorError, InputError
from srsdk.faces import (
    BlazeFaceDetector,
    Face,
    FaceEnhancer,
    FaceStream,
    FaceTracker,
    IdentityGuard,
    Track,
)
from srsdk.faces.detect import Box
from srsdk.types import Pixels
from tests.faces.test_identity import another, enlarge, same

Scene = Callable[..., tuple[Pixels, list[Box]]]


class Later(Executor):
    """Does what it was given when it is told to, so that a test decides how late that is."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.done = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def work() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except Exception as error:
                future.set_exception(error)

        self.waiting.append(work)
        return future

    def work(self) -> None:
        """Do all that waits."""
        waiting, self.waiting = self.waiting, []
        for work in waiting:
            work()
        self.done += len(waiting)


def follow(tracker: FaceTracker, later: Later, frame: Pixels, *, work: bool) -> list[Track]:
    """One frame, and whether what waits is then done."""
    tracks = tracker.update(frame)
    tracker.detect_later(frame)
    if work:
        later.work()
    return tracks


def centre(box: Box) -> NDArray[np.float64]:
    return np.array([box[0] + box[2] / 2, box[1] + box[3] / 2])


@pytest.mark.parametrize("delay", [1, 2, 4])
@pytest.mark.parametrize("speed", [0.7, 2.0, 6.0])
def test_a_moving_face_is_followed_without_lag(scene: Scene, speed: float, delay: int) -> None:
    later = Later()
    tracker = FaceTracker(BlazeFaceDetector(), every=5, executor=later)
    errors = []
    for k in range(25):
        frame, (box,) = scene(180, 320, [(40 + speed * k, 50 + 0.3 * k, 34)])
        (track,) = follow(tracker, later, frame, work=k % delay == delay - 1)
        errors.append(centre(track.box) - centre(box))
    assert later.done >= 3
    # What is found belongs to a frame `delay` frames ago, so lag would come to `delay * speed`.
    assert np.abs(errors).max() < 2.0


def test_a_new_face_comes_up_where_it_has_moved_to(scene: Scene) -> None:
    later = Later()
    tracker = FaceTracker(BlazeFaceDetector(), every=1, executor=later)
    assert follow(tracker, later, scene(180, 320, [])[0], work=True) == []
    for k in range(4):
        frame, (box,) = scene(180, 320, [(100 + 3 * k, 60, 40)])
        # The first search of these frames is done when the last one comes.
        tracks = follow(tracker, later, frame, work=k in (0, 2))
        if k == 0:
            assert tracks == []
    (track,) = tracks
    assert not track.opening
    assert tracker.detected
    assert np.abs(centre(track.box) - centre(box)).max() < 3


def test_the_first_frame_and_a_cut_are_searched_at_once(scene: Scene) -> None:
    later = Later()
    tracker = FaceTracker(BlazeFaceDetector(), every=1, executor=later)
    for _ in range(3):
        (before,) = follow(tracker, later, scene(180, 320, [(60, 50, 40)])[0], work=False)
        assert before.opening
    assert len(later.waiting) == 1, "one search at a time"
    second, (box,) = scene(180, 320, [(200, 90, 30)])
    second = 255 - (255 - second) // 2
    (after,) = follow(tracker, later, second, work=True)
    assert after.opening
    assert after.id != before.id
    assert np.abs(centre(after.box) - centre(box)).max() < 3
    (still,) = follow(tracker, later, second, work=True)
    assert still.id == after.id, "what was found before the cut is not used"


def test_a_jump_during_a_search_leaves_no_stale_face(scene: Scene) -> None:
    """Too far for the flow to follow, too little for a cut."""
    later = Later()
    near, _ = scene(180, 320, [(60, 50, 24)])
    far, (box,) = scene(180, 320, [(160, 60, 24)])
    tracker = FaceTracker(BlazeFaceDetector(), every=1, executor=later)
    (first,) = follow(tracker, later, near, work=True)
    (kept,) = follow(tracker, later, far, work=True)
    assert kept.id == first.id, "found where it was, and nothing better is known yet"
    (found,) = follow(tracker, later, far, work=True)
    assert np.abs(centre(found.box) - centre(box)).max() < 3


def test_a_face_whose_motion_is_unknown_is_not_begun(scene: Scene) -> None:
    later = Later()
    tracker = FaceTracker(BlazeFaceDetector(), every=1, executor=later)
    follow(tracker, later, scene(180, 320, [])[0], work=True)
    near, _ = scene(180, 320, [(60, 50, 24)])
    far, (box,) = scene(180, 320, [(160, 60, 24)])
    assert follow(tracker, later, near, work=True) == []
    assert follow(tracker, later, far, work=True) == []
    (found,) = follow(tracker, later, far, work=True)
    assert np.abs(centre(found.box) - centre(box)).max() < 3


def test_a_detector_that_fails_says_so(scene: Scene) -> None:
    class Failing:
        calls = 0

        def detect(self, frame: Any) -> list[Face]:
            self.calls += 1
            if self.calls > 1:
                raise DetectorError("the detector is gone")
            return []

    later = Later()
    tracker = FaceTracker(Failing(), every=1, executor=later)
    frame = scene(180, 320, [(60, 50, 40)])[0]
    follow(tracker, later, frame, work=True)
    follow(tracker, later, frame, work=True)
    with pytest.raises(DetectorError, match="gone"):
        follow(tracker, later, frame, work=True)


def test_a_face_is_shown_once_the_guard_has_compared_it(scene: Scene) -> None:
    lr, _ = scene(180, 320, [(140, 50, 50)])
    for run, shown in ((same, 1.0), (another, 0.0)):
        later = Later()
        enhancer = FaceEnhancer(run, scale=4, face_size=32, guard=IdentityGuard())
        stream = FaceStream(enhancer, executor=later)
        strengths = []
        for n in range(8):
            sr = enlarge(lr)
            result = stream.enhance(lr, sr)
            (face,) = result.faces
            strengths.append(face.strength)
            assert np.array_equal(sr, enlarge(lr)) == (face.strength == 0)
            assert result.count == int(face.strength > 0)
            if n == 2:
                later.work()
        assert strengths == [0, 0, 0] + 5 * [shown]
        assert stream.summary.comparisons == 1
        assert stream.summary.held_back == int(shown == 0)


def test_its_time_counts_in_the_budget(scene: Scene) -> None:
    """A detection of 100 ms beside the frames makes the next ones rarer, as within them."""

    class Slow:
        calls = 0

        def detect(self, frame: Any) -> list[Face]:
            self.calls += 1
            threading.Event().wait(0.1)
            return []

    lr, _ = scene(180, 320, [])
    calls = {}
    for budget in (None, 10.0):
        later, slow = Later(), Slow()
        enhancer = FaceEnhancer(same, scale=4, face_size=32, detector=slow)
        stream = FaceStream(enhancer, every=5, budget_ms=budget, executor=later)
        for _ in range(60):
            stream.enhance(lr, enlarge(lr))
            later.work()
        calls[budget] = slow.calls
    assert calls[None] == 12
    assert calls[10.0] <= 4


def test_a_stream_with_it_has_no_state_to_keep_and_ends_its_thread(scene: Scene) -> None:
    lr, _ = scene(180, 320, [(140, 50, 50)])

    def threads() -> list[threading.Thread]:
        return [t for t in threading.enumerate() if t.name.startswith("srsdk-faces")]

    before = len(threads())
    with Upscaler("bicubic-x2", faces="bicubic-x2") as upscaler:
        with upscaler.stream(detect_every=1, detect_later=True) as stream:
            for _ in range(3):
                stream(lr)
                assert len(stream.faces) == 1
            assert len(threads()) == before + 1
            with pytest.raises(InputError, match="no state"):
                stream.state()
            mine = threads()[-1]
        mine.join(10)
        assert not mine.is_alive()


def test_a_still_face_gives_still_pixels_and_the_same_as_within_the_frames(scene: Scene) -> None:
    lr, _ = scene(180, 320, [(140, 50, 50)])
    with Upscaler("edge-x4", faces="portrait-x4") as upscaler:
        expected = upscaler.stream()(lr)
        assert not np.array_equal(expected, upscaler(lr, strength=0))
        for detect_later in (False, True):
            with upscaler.stream(detect_every=2, detect_later=detect_later) as stream:
                for _ in range(20):
                    assert np.array_equal(stream(lr), expected)
