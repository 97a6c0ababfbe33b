from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from srsdk.errors import InputError
from srsdk.faces import BlazeFaceDetector, Face, FaceTracker, Track
from srsdk.faces.detect import Box
from srsdk.types import Pixels

Scene = Callable[..., tuple[Pixels, list[Box]]]
Overlap = Callable[[Box, Box], float]

RNG = np.random.default_rng


class Counting:
    """A real detector, its calls counted."""

    def __init__(self) -> None:
        self.calls = 0
        self.inner = BlazeFaceDetector()

    def detect(self, frame: Any) -> list[Face]:
        self.calls += 1
        return self.inner.detect(frame)


class Scripted:
    """Returns the faces it was given, for what no real detector does on demand."""

    def __init__(self, answers: Iterable[list[Face]]) -> None:
        self.answers = iter(answers)

    def detect(self, frame: Any) -> list[Face]:
        return next(self.answers)


def noisy(frame: Any, seed: int, amount: float = 3.0) -> Pixels:
    grain = RNG(seed).normal(0, amount, frame.shape)
    return np.clip(np.rint(frame + grain), 0, 255).astype(np.uint8)


def centre(box: Box) -> NDArray[np.float64]:
    return np.array([box[0] + box[2] / 2, box[1] + box[3] / 2])


def size(box: Box) -> float:
    return float(np.sqrt(box[2] * box[3]))


def test_a_still_face_does_not_tremble(scene: Scene) -> None:
    frame, _ = scene(180, 320, [(140.3, 60.6, 30)])
    frames = [noisy(frame, seed) for seed in range(45)]
    detector = BlazeFaceDetector()
    raw = np.array([detector.detect(f)[0].box for f in frames])
    assert np.ptp(raw, axis=0).max() >= 1, "the test needs a detector that trembles"

    for every in (1, 5):
        tracker = FaceTracker(detector, every=every)
        boxes = np.array([tracker.update(f)[0].box for f in frames])
        settled = boxes[15:]
        assert np.ptp(settled, axis=0).max() < 0.6
        assert np.abs(np.diff(settled, axis=0)).max() < 0.15


@pytest.mark.parametrize("speed", [0.7, 2.0, 6.0])
@pytest.mark.parametrize("every", [1, 5, 10])
def test_a_moving_face_is_followed_without_lag(scene: Scene, speed: float, every: int) -> None:
    tracker = FaceTracker(BlazeFaceDetector(), every=every)
    errors = []
    for k in range(25):
        x = 40 + speed * k
        frame, (box,) = scene(180, 320, [(x, 50 + 0.3 * k, 34)])
        (track,) = tracker.update(noisy(frame, k))
        errors.append(centre(track.box) - centre(box))
    # The detector itself is off by up to 1.5 pixels; lag would come to `every * speed`.
    assert np.abs(errors).max() < 2.0


def test_an_approaching_face_grows_with_its_box(scene: Scene) -> None:
    tracker = FaceTracker(BlazeFaceDetector(), every=5)
    sizes = []
    for k in range(30):
        width = 24 * 1.02**k
        frame, (box,) = scene(180, 320, [(160 - width / 2, 90 - width / 2, width)])
        (track,) = tracker.update(frame)
        if k > 3:
            sizes.append(size(track.box) / size(box))
    assert np.ptp(sizes) < 0.15
    assert np.mean(sizes) == pytest.approx(1.0, abs=0.13)


def test_ids_stay_with_their_faces_and_detection_is_rare(scene: Scene) -> None:
    detector = Counting()
    tracker = FaceTracker(detector, every=5)
    ids = {}
    for k in range(25):
        faces = [(30 + 2 * k, 40, 30), (250 - 2 * k, 100, 34)]
        tracks = tracker.update(scene(180, 320, faces)[0])
        assert len(tracks) == 2
        for track in tracks:
            which = int(track.box[1] > 70)
            assert ids.setdefault(which, track.id) == track.id
    assert sorted(ids.values()) == [1, 2]
    assert detector.calls <= 6


def test_a_cut_leaves_no_stale_box_and_is_seen_at_once(scene: Scene, overlap: Overlap) -> None:
    detector = Counting()
    tracker = FaceTracker(detector, every=50)
    first, _ = scene(180, 320, [(60, 50, 40)])
    for _ in range(3):
        before = tracker.update(first)
    second, boxes = scene(180, 320, [(200, 90, 30)])
    second = 255 - (255 - second) // 2  # another room, brighter
    after = tracker.update(second)
    assert detector.calls == 2
    assert len(after) == 1
    assert after[0].id != before[0].id
    assert after[0].opening
    assert overlap(after[0].box, boxes[0]) > 0.6
    assert tracker.update(np.zeros_like(second)) == []


def test_a_cut_between_like_scenes_is_seen_by_the_flow(scene: Scene) -> None:
    detector = Counting()
    tracker = FaceTracker(detector, every=50)
    tracker.update(scene(180, 320, [(60, 50, 30)])[0])
    tracker.update(scene(180, 320, [(60, 50, 30)])[0])
    frame, (box,) = scene(180, 320, [(220, 80, 30)])
    tracks = tracker.update(frame)
    assert detector.calls == 2
    assert len(tracks) == 1
    assert np.abs(centre(tracks[0].box) - centre(box)).max() < 3


def test_a_face_that_leaves_is_forgotten(scene: Scene) -> None:
    tracker = FaceTracker(BlazeFaceDetector(), every=3, max_misses=2)
    frame, _ = scene(180, 320, [(140, 60, 30)])
    empty, _ = scene(180, 320, [])
    assert len(tracker.update(frame)) == 1
    left = [len(tracker.update(empty)) for _ in range(12)]
    assert left[-1] == 0
    assert all(a >= b for a, b in pairwise(left))


def test_a_face_that_a_detector_misses_now_and_then_is_kept(scene: Scene) -> None:
    frame, (box,) = scene(180, 320, [(140, 60, 30)])
    found = [Face(box, 0.9)]
    tracker = FaceTracker(Scripted([found, [], [], found, [], found]), every=1, max_misses=2)
    tracks = [tracker.update(frame) for _ in range(6)]
    assert [[t.id for t in each] for each in tracks] == [[1]] * 6
    assert [each[0].misses for each in tracks] == [0, 1, 2, 0, 1, 0]


def test_a_doubtful_face_is_kept_but_not_begun(scene: Scene) -> None:
    frame, (box,) = scene(180, 320, [(140, 60, 30)])
    sure, doubtful = [Face(box, 0.9)], [Face(box, 0.52)]
    assert FaceTracker(Scripted([doubtful])).update(frame) == []
    tracker = FaceTracker(Scripted([sure, doubtful]), every=1)
    tracker.update(frame)
    assert tracker.update(frame)[0].score == 0.52


def test_reset_forgets_but_never_repeats_an_id(scene: Scene) -> None:
    tracker = FaceTracker(BlazeFaceDetector())
    frame, _ = scene(180, 320, [(140, 60, 30)])
    (first,) = tracker.update(frame)
    tracker.reset()
    (second,) = tracker.update(frame)
    assert (first.id, second.id) == (1, 2)


def test_a_change_of_size_starts_a_new_scene(scene: Scene) -> None:
    tracker = FaceTracker(BlazeFaceDetector(), every=50)
    tracker.update(scene(180, 320, [(140, 60, 30)])[0])
    frame, (box,) = scene(360, 640, [(280, 120, 60)])
    (track,) = tracker.update(frame)
    assert isinstance(track, Track)
    assert size(track.box) == pytest.approx(size(box), rel=0.15)


def test_bad_options_and_frames_are_refused() -> None:
    with pytest.raises(InputError):
        FaceTracker(BlazeFaceDetector(), every=0)
    with pytest.raises(InputError):
        FaceTracker(BlazeFaceDetector(), max_misses=-1)
    with pytest.raises(InputError):
        FaceTracker(BlazeFaceDetector()).update(np.zeros((10, 10), np.uint8))


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (20, 17)])
def test_odd_little_frames_are_no_trouble(shape: tuple[int, ...]) -> None:
    tracker = FaceTracker(BlazeFaceDetector(), every=2)
    for k in range(4):
        assert tracker.update(np.full((*shape, 3), 40 * k, np.uint8)) == []
