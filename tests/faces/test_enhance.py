from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from srsdk.errors import InputError
from srsdk.faces import BlazeFaceDetector, Face, FaceEnhancer, FaceStream
from srsdk.faces.detect import Box
from srsdk.types import Pixels

Scene = Callable[..., tuple[Pixels, list[Box]]]

EXAMPLE = Path(__file__).parents[2] / "examples" / "portrait.mp4"


def marking(batch: Pixels) -> Pixels:
    """Enlarges its input and adds stripes of mean zero, which a test can recognise."""
    large = batch.repeat(4, axis=1).repeat(4, axis=2).astype(np.int16)
    large[:, ::2] += 20
    large[:, 1::2] -= 20
    return np.clip(large, 0, 255).astype(np.uint8)


def enlarge(frame: Any) -> Pixels:
    return np.ascontiguousarray(frame.repeat(4, axis=0).repeat(4, axis=1))


def changed_area(lr: Pixels, sr: Pixels) -> float:
    return float((sr != enlarge(lr)).any(axis=2).mean())


@pytest.fixture(scope="module")
def enhancer() -> FaceEnhancer:
    return FaceEnhancer(marking, scale=4, face_size=32)


class Fixed:
    def __init__(self, boxes: Sequence[Box]) -> None:
        self.faces = [Face(tuple(box), 0.9) for box in boxes]

    def detect(self, frame: Any) -> list[Face]:
        return self.faces


@pytest.mark.parametrize(
    "place", [(140, 60), (4, 60), (290, 60), (140, 3), (140, 142), (4, 4), (292, 140)]
)
def test_a_face_anywhere_is_found_and_blended(
    enhancer: FaceEnhancer, scene: Scene, place: tuple[int, int]
) -> None:
    lr, (box,) = scene(180, 320, [(*place, 26)])
    sr = enlarge(lr)
    result = enhancer.enhance(lr, sr)
    assert result.count == 1
    assert min(result.detect, result.generate, result.blend) > 0
    y, x = int(4 * (box[1] + box[3] / 2)), int(4 * (box[0] + box[2] / 2))
    assert (sr[y, x] != enlarge(lr)[y, x]).any()
    assert 0 < changed_area(lr, sr) < 0.06
    assert np.array_equal(lr, scene(180, 320, [(*place, 26)])[0])


def test_twenty_faces_in_one_batch(scene: Scene) -> None:
    batches = []

    def run(batch: Pixels) -> Pixels:
        batches.append(batch.shape)
        return marking(batch)

    faces = [(40 + 124 * (k % 5), 24 + 84 * (k // 5), 27 + k % 3) for k in range(20)]
    lr, _ = scene(360, 660, faces)
    enhancer = FaceEnhancer(run, scale=4, face_size=32, detector=BlazeFaceDetector())
    assert enhancer.enhance(lr, enlarge(lr)).count == 20
    assert len(batches) == 1
    assert batches[0][0] == 20
    assert batches[0][1] % 8 == 0


def test_no_face_leaves_the_frame_and_the_generator_alone(scene: Scene) -> None:
    def run(batch: Pixels) -> Pixels:
        raise AssertionError("nothing to generate")

    lr, _ = scene(180, 320, [])
    sr = enlarge(lr)
    assert FaceEnhancer(run, scale=4, face_size=32).enhance(lr, sr).count == 0
    assert np.array_equal(sr, enlarge(lr))


def test_faces_outside_the_generators_range_are_left_alone(scene: Scene) -> None:
    lr, _ = scene(180, 320, [(100, 30, 70)])
    sr = enlarge(lr)
    assert FaceEnhancer(marking, scale=4, face_size=32, max_side=64).enhance(lr, sr).count == 0
    assert np.array_equal(sr, enlarge(lr))
    assert FaceEnhancer(marking, scale=4, face_size=64).enhance(lr, sr).count == 1
    small, _ = scene(180, 320, [(100, 50, 20)])
    assert FaceEnhancer(marking, scale=4, face_size=128).enhance(small, enlarge(small)).count == 0


def test_a_frame_smaller_than_the_crop(scene: Scene) -> None:
    lr, _ = scene(40, 36, [(9, 9, 18)])
    sr = enlarge(lr)
    boxes = [(9, 9, 18, 22.7)]
    result = FaceEnhancer(
        marking, scale=4, face_size=32, detector=Fixed(boxes), max_side=80
    ).enhance(lr, sr)
    assert result.count == 1
    assert changed_area(lr, sr) > 0.2


def test_color_order_only_concerns_the_detector(scene: Scene) -> None:
    seen = []

    class Spy(BlazeFaceDetector):
        def detect(self, frame: Any) -> list[Face]:
            seen.append(frame)
            return super().detect(frame)

    bgr, _ = scene(180, 320, [(140, 60, 26)])
    rgb = np.ascontiguousarray(bgr[..., ::-1])
    sr_bgr, sr_rgb = enlarge(bgr), enlarge(rgb)
    FaceEnhancer(marking, scale=4, face_size=32, detector=Spy()).enhance(bgr, sr_bgr)
    swapped = FaceEnhancer(marking, scale=4, face_size=32, detector=Spy(), color="rgb")
    swapped.enhance(rgb, sr_rgb)
    assert np.array_equal(seen[0], seen[1])
    assert np.array_equal(sr_bgr, sr_rgb[..., ::-1])


def test_strided_frames(enhancer: FaceEnhancer, scene: Scene) -> None:
    lr, _ = scene(180, 320, [(140, 60, 26)])
    expected = enlarge(lr)
    enhancer.enhance(lr, expected)
    wide = np.zeros((720, 1500, 3), np.uint8)
    wide[:, 100:1380] = enlarge(lr)
    flipped = np.ascontiguousarray(lr[:, ::-1])[:, ::-1]
    enhancer.enhance(flipped, wide[:, 100:1380])
    assert np.array_equal(wide[:, 100:1380], expected)
    assert not wide[:, :100].any()


def test_several_threads_share_an_enhancer(enhancer: FaceEnhancer, scene: Scene) -> None:
    scenes = [scene(180, 320, [(60 + 40 * k, 60, 26)])[0] for k in range(3)]
    expected = [enlarge(lr) for lr in scenes]
    for lr, sr in zip(scenes, expected, strict=True):
        assert enhancer.enhance(lr, sr).count == 1
    same: list[bool] = []

    def work(k: int) -> None:
        for _ in range(5):
            sr = enlarge(scenes[k])
            enhancer.enhance(scenes[k], sr)
            same.append(np.array_equal(sr, expected[k]))

    threads = [threading.Thread(target=work, args=(k % 3,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same == [True] * 30


def test_wrong_arguments_are_refused(enhancer: FaceEnhancer, scene: Scene) -> None:
    lr, _ = scene(180, 320, [(140, 60, 26)])
    with pytest.raises(InputError):
        enhancer.enhance(lr, np.zeros((720, 1281, 3), np.uint8))
    with pytest.raises(InputError):
        enhancer.enhance(lr[..., 0], enlarge(lr))
    with pytest.raises(InputError):
        FaceEnhancer(marking, scale=4, face_size=0)
    with pytest.raises(InputError):
        FaceEnhancer(marking, scale=4, face_size=32, color="gray")
    wrong = FaceEnhancer(lambda batch: batch, scale=4, face_size=32)
    with pytest.raises(InputError, match="face generator gave"):
        wrong.enhance(lr, enlarge(lr))


def test_a_new_face_in_a_stream_fades_in_and_one_at_the_start_does_not(scene: Scene) -> None:
    lr, (box,) = scene(180, 320, [(140, 60, 26)])
    empty, _ = scene(180, 320, [])
    y, x = int(4 * (box[1] + box[3] / 2)), int(4 * (box[0] + box[2] / 2))

    def amounts(stream: FaceStream, frames: list[Pixels]) -> Iterator[int]:
        for frame in frames:
            sr = enlarge(frame)
            stream.enhance(frame, sr)
            yield int(abs(sr[y, x].astype(int) - enlarge(frame)[y, x]).max())

    enhancer = FaceEnhancer(marking, scale=4, face_size=32)
    opening = list(amounts(FaceStream(enhancer, every=1), [lr] * 3))
    assert min(opening) >= 18
    late = list(amounts(FaceStream(enhancer, every=1), [empty] * 2 + [lr] * 9))
    assert late[:2] == [0, 0]
    assert 0 < late[2] < 8
    assert late[2:] == sorted(late[2:])
    assert late[-1] >= 18


def test_a_face_growing_out_of_range_fades_out(scene: Scene) -> None:
    frame, _ = scene(180, 320, [(120, 40, 40)])
    sizes = [40.0] * 3 + [52.0] * 15
    answers = iter([[Face((120, 40, s, s * 1.26), 0.9)] for s in sizes])

    class Growing:
        def detect(self, _: Pixels) -> list[Face]:
            return next(answers)

    enhancer = FaceEnhancer(marking, scale=4, face_size=32, detector=Growing(), max_side=86)
    stream = FaceStream(enhancer, every=1)
    strengths = []
    for _ in sizes:
        plans = stream.plan(frame)
        strengths.append(float(plans[0].strengths[0]) if plans else 0.0)
    assert strengths[:3] == [1, 1, 1]
    assert strengths[-1] == 0
    assert max(np.abs(np.diff(strengths))) < 0.2


def test_a_near_face_does_not_make_far_ones_expensive(scene: Scene) -> None:
    lr, _ = scene(400, 600, [])
    boxes = [(20 + 60 * n, 20, 21, 26) for n in range(8)] + [(150, 120, 130, 164)]
    batches = []

    def spy(crops: Pixels) -> Pixels:
        batches.append(crops.shape)
        return marking(crops)

    enhancer = FaceEnhancer(spy, scale=4, face_size=32, detector=Fixed(boxes))
    assert enhancer.enhance(lr, enlarge(lr)).count == 9
    assert [shape[0] for shape in batches] == [8, 1]
    assert batches[0][1] <= 64 < 200 < batches[1][1]


def test_a_still_face_keeps_its_rectangle(scene: Scene) -> None:
    lr, _ = scene(180, 320, [(140.3, 60.6, 26)])
    stream = FaceStream(FaceEnhancer(marking, scale=4, face_size=32), every=3)
    rng = np.random.default_rng(0)
    rects = []
    for _ in range(40):
        noisy = np.clip(lr + rng.normal(0, 3, lr.shape), 0, 255).astype(np.uint8)
        rects.append(tuple(stream.plan(noisy)[0].rects[0].tolist()))
    settled = rects[12:]
    assert sum(a != b for a, b in pairwise(settled)) <= 1


def test_streams_do_not_share_their_memory(enhancer: FaceEnhancer, scene: Scene) -> None:
    first, second = FaceStream(enhancer, every=100), FaceStream(enhancer, every=100)
    a, _ = scene(180, 320, [(60, 60, 26)])
    b, _ = scene(180, 320, [(220, 80, 26)])
    for _ in range(3):
        (left,) = first.plan(a)[0].rects[:, 1].tolist()
        (right,) = second.plan(b)[0].rects[:, 1].tolist()
        assert left < 70
        assert right > 190
    first.reset()
    assert len(first.plan(b)) == 1


def test_the_example_clip_is_followed_throughout() -> None:
    stream = FaceStream(FaceEnhancer(marking, scale=4, face_size=32), every=5)
    with av.open(str(EXAMPLE)) as container:
        frames = [f.to_ndarray(format="bgr24") for f in container.decode(video=0)]
    assert len(frames) == 150
    sides = []
    for lr in frames:
        (plan,) = stream.plan(lr)
        assert len(plan) == 1
        assert plan.strengths.tolist() == [1.0]
        sides.append(int(plan.squares[0]))
    assert 24 <= min(sides) < max(sides) <= 62
    jumps = np.abs(np.diff(sides))
    assert np.delete(jumps, 84).max() <= 3  # frame 85 is a cut


def test_real_videos_keep_one_face() -> None:
    folder = Path(os.environ.get("SRSDK_DATA", "-")) / "videos"
    paths = sorted(folder.glob("*.mp4"))
    if not paths:
        pytest.skip("needs the videos in SRSDK_DATA")
    for path in paths:
        stream = FaceStream(FaceEnhancer(marking, scale=4, face_size=32), every=5)
        found = []
        with av.open(str(path)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                if index == 40:
                    break
                lr = frame.to_ndarray(format="bgr24")
                height = round(lr.shape[0] * 320 / lr.shape[1])
                lr = cv2.resize(lr, (320, height), interpolation=cv2.INTER_AREA)
                found.append(len(stream.plan(lr)))
        assert found == [1] * 40, path.name
