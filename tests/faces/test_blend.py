from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from srsdk.errors import InputError
from srsdk.faces import CropPlan, blend_faces, extract, match_tone, plan_crops
from srsdk.faces.crop import BOX_TO_SQUARE
from srsdk.faces.detect import Box
from srsdk.types import Pixels


def square_at(x: float, y: float, side: float) -> Box:
    """A box whose square has this centre and side."""
    width = BOX_TO_SQUARE * side
    return (x - width / 2, y + 0.055 * side - width / 2, width, width)


def enlarged(crops: Pixels, scale: int) -> Pixels:
    return crops.repeat(scale, axis=1).repeat(scale, axis=2)


def noise(shape: tuple[int, ...], seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def by_hand(
    frame: Any, crops: Pixels, plan: CropPlan, scale: int, feather: float
) -> NDArray[np.float64]:
    """The same sum written out in floats, each face over those before it."""
    result = frame.astype(float)
    for crop, ((top, left), (y, x, h, w), square, strength) in zip(crops, plan, strict=True):
        margin = max(1, round(feather * scale * square))
        vectors = []
        for start, size, end in ((y, h, plan.frame_shape[0]), (x, w, plan.frame_shape[1])):
            faded = (start > 0) + (start + size < end)
            m = min(margin, scale * size // max(faded, 1))
            position = np.arange(scale * size) + 0.5
            weight = np.ones(scale * size)
            if start > 0:
                weight = np.minimum(weight, 0.5 - 0.5 * np.cos(np.pi * np.clip(position / m, 0, 1)))
            if start + size < end:
                other = (scale * size - position) / m
                weight = np.minimum(weight, 0.5 - 0.5 * np.cos(np.pi * np.clip(other, 0, 1)))
            vectors.append(weight)
        weight = strength * np.outer(*vectors)[..., None]
        patch = crop[scale * (y - top) :, scale * (x - left) :][: scale * h, : scale * w]
        area = result[scale * y : scale * (y + h), scale * x : scale * (x + w)]
        area += weight * (patch - area)
    return result


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize(
    "faces",
    [
        [(60, 40, 32)],
        [(5, 40, 32)],
        [(118, 77, 30)],
        [(3, 2, 31)],
        [(60, 40, 24), (66, 45, 40), (110, 70, 17)],
    ],
)
def test_faces_fade_into_their_own_rectangles_only(
    scale: int, faces: list[tuple[float, float, float]]
) -> None:
    lr = noise((80, 120, 3))
    plan = plan_crops([square_at(*face) for face in faces], lr.shape, 32)
    assert len(plan) == len(faces)
    frame = noise((80 * scale, 120 * scale, 3), 1)
    crops = noise((len(plan), plan.side * scale, plan.side * scale, 3), 2)
    result = frame.copy()
    blend_faces(result, crops, plan, scale)

    expected = by_hand(frame, crops, plan, scale, 0.22)
    assert np.abs(result - expected).max() < 1.5 + len(faces)
    untouched = np.ones(frame.shape[:2], bool)
    for top, left, rows, columns in (plan.rects * scale).tolist():
        untouched[top : top + rows, left : left + columns] = False
    assert np.array_equal(result[untouched], frame[untouched])


def test_at_the_frames_border_the_face_does_not_fade() -> None:
    plan = plan_crops([square_at(8, 40, 32)], (80, 120), 32)
    frame = np.zeros((320, 480, 3), np.uint8)
    blend_faces(frame, np.full((1, 128, 128, 3), 200, np.uint8), plan, 4)
    assert frame[160, 0, 0] == 200
    assert frame[160, 95, 0] < 5


def test_a_face_in_a_frame_of_its_own_size_replaces_it() -> None:
    lr = noise((30, 28, 3))
    plan = plan_crops([square_at(14, 15, 40)], lr.shape, 32)
    frame = np.zeros((120, 112, 3), np.uint8)
    blend_faces(frame, enlarged(extract(lr, plan), 4), plan, 4)
    assert np.array_equal(frame, enlarged(lr[None], 4)[0])


def test_the_same_pixels_blend_to_themselves() -> None:
    lr = noise((80, 120, 3))
    plan = plan_crops([square_at(40, 40, 32), square_at(56, 50, 50)], lr.shape, 32)
    frame = enlarged(lr[None], 4)[0]
    result = frame.copy()
    blend_faces(result, enlarged(extract(lr, plan), 4), plan, 4)
    assert np.array_equal(result, frame)


def test_large_faces_lie_over_small_ones_in_whatever_order_they_come() -> None:
    boxes = [square_at(60, 40, 20), square_at(64, 40, 50)]
    results = []
    for order in ([0, 1], [1, 0]):
        plan = plan_crops([boxes[k] for k in order], (80, 120), 32)
        frame = np.zeros((320, 480, 3), np.uint8)
        crops = np.stack([np.full((224, 224, 3), 100 + 2 * s, np.uint8) for s in plan.squares])
        blend_faces(frame, crops, plan, 4)
        results.append(frame)
    assert np.array_equal(*results)
    assert results[0][160, 256, 0] == 200  # the centre is the large face's


def test_strength_scales_a_face() -> None:
    plan = plan_crops([square_at(60, 40, 32)], (80, 120), 32, strengths=[0.25])
    frame = np.zeros((320, 480, 3), np.uint8)
    blend_faces(frame, np.full((1, 128, 128, 3), 200, np.uint8), plan, 4)
    assert frame[160, 240, 0] == 50


def test_strided_frames_are_written_in_place() -> None:
    plan = plan_crops([square_at(60, 40, 32)], (80, 120), 32)
    crops = noise((1, 128, 128, 3))
    whole = np.zeros((400, 700, 3), np.uint8)
    part = whole[50:370, 100:580]
    blend_faces(part, crops, plan, 4)
    alone = np.zeros((320, 480, 3), np.uint8)
    blend_faces(alone, crops, plan, 4)
    assert np.array_equal(part, alone)
    whole[50:370, 100:580] = 0
    assert not whole.any()


def test_no_faces_change_nothing() -> None:
    plan = plan_crops([], (80, 120), 32)
    frame = noise((320, 480, 3))
    before = frame.copy()
    blend_faces(frame, np.zeros((0, 0, 0, 3), np.uint8), plan, 4)
    assert np.array_equal(frame, before)


def test_wrong_shapes_are_refused() -> None:
    plan = plan_crops([square_at(60, 40, 32)], (80, 120), 32)
    with pytest.raises(InputError, match="4 times"):
        blend_faces(np.zeros((320, 481, 3), np.uint8), noise((1, 128, 128, 3)), plan, 4)
    with pytest.raises(InputError, match="crops are"):
        blend_faces(np.zeros((320, 480, 3), np.uint8), noise((1, 40, 40, 3)), plan, 4)
    read_only = np.zeros((320, 480, 3), np.uint8)
    read_only.flags.writeable = False
    with pytest.raises(InputError, match="read-only"):
        blend_faces(read_only, noise((1, 128, 128, 3)), plan, 4)


def test_tone_is_that_of_the_input_and_detail_that_of_the_generator() -> None:
    rng = np.random.default_rng(5)
    lr = cv2.GaussianBlur(rng.integers(60, 190, (40, 40, 3), np.uint8), (0, 0), 3)
    detail = rng.integers(-12, 13, (160, 160, 3))
    true = np.clip(enlarged(lr[None], 4)[0].astype(int) + detail, 0, 255)
    slope = np.linspace(-8, 8, 160)[:, None]
    tinted = np.clip(true + np.array([9, -6, 4]) + slope[..., None], 0, 255).astype(np.uint8)
    mended = match_tone(tinted, lr).astype(int)
    assert np.abs((mended - true).mean(axis=(0, 1))).max() < 0.7
    assert np.abs(mended - true).mean() < 0.4 * np.abs(tinted - true).mean()
    same = true.astype(np.uint8)
    assert np.abs(match_tone(same, lr).astype(int) - same).max() <= 1
