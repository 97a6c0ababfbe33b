from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from srsdk.errors import InputError
from srsdk.faces import extract, face_squares, plan_crops
from srsdk.faces.crop import BOX_CENTRE_DOWN, BOX_TO_SQUARE
from srsdk.faces.detect import Box
from srsdk.types import Pixels

Scene = Callable[..., tuple[Pixels, list[Box]]]


def box_of(x: float, y: float, side: float) -> Box:
    """The box of a face whose square is centred on (x, y)."""
    width, height = BOX_TO_SQUARE * side / 1.14, BOX_TO_SQUARE * side * 1.14
    return (x - width / 2, y + (BOX_CENTRE_DOWN - 0.5) * side - height / 2, width, height)


def coordinates(height: int, width: int) -> Pixels:
    """A frame whose pixels say where they are."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([y % 256, x % 256, y // 256 * 16 + x // 256], axis=-1).astype(np.uint8)


def test_square_of_a_box() -> None:
    assert face_squares([box_of(100, 60, 40)]) == pytest.approx(np.array([[100, 60, 40]]))
    assert face_squares([]).shape == (0, 3)


def test_the_square_of_a_detected_face_is_the_aligned_head(scene: Scene) -> None:
    from srsdk.faces import BlazeFaceDetector

    frame, (box,) = scene(180, 320, [(130, 60, 40)])
    (face,) = BlazeFaceDetector().detect(frame)
    wanted, got = face_squares([box])[0], face_squares([face.box])[0]
    assert np.abs(wanted - got)[:2].max() < 3
    assert got[2] == pytest.approx(wanted[2], rel=0.15)
    # Eyes in the portrait are at y = 102; alignment puts them a little above the middle.
    eyes = 60 + (102 - 62.9) * 40 / 89.9
    assert 0.40 < (eyes - (got[1] - got[2] / 2)) / got[2] < 0.52


def test_one_side_for_all_a_multiple_of_8_with_margin() -> None:
    plan = plan_crops([box_of(60, 60, 20), box_of(200, 90, 45)], (180, 320), 32)
    assert plan.side == 48
    assert plan.squares.tolist() == [20, 45]
    assert plan.faces.tolist() == [0, 1]
    for side, margin, expected in ((40, 0, 40), (41, 0, 48), (36, 2, 40), (37, 2, 48)):
        plan = plan_crops([box_of(60, 60, side)], (180, 320), 32, margin=margin)
        assert plan.side == expected


def test_crops_are_the_frames_own_pixels_centred_on_the_face() -> None:
    frame = coordinates(180, 320)
    plan = plan_crops([box_of(150, 80, 32)], frame.shape, 32, margin=2)
    (crop,) = extract(frame, plan)
    assert plan.rects.tolist() == [[64, 134, 32, 32]]
    assert plan.origins.tolist() == [[60, 130]]
    assert np.array_equal(crop, frame[60:100, 130:170])


@pytest.mark.parametrize(("x", "y"), [(5, 90), (315, 90), (160, 3), (160, 178), (2, 2), (318, 179)])
def test_a_face_at_the_border_shifts_its_crop_inside(x: float, y: float) -> None:
    frame = coordinates(180, 320)
    plan = plan_crops([box_of(x, y, 32)], frame.shape, 32)
    ((top, left),) = plan.origins.tolist()
    assert 0 <= top <= 180 - plan.side
    assert 0 <= left <= 320 - plan.side
    assert np.array_equal(
        extract(frame, plan)[0], frame[top : top + plan.side, left : left + plan.side]
    )
    ((rect_top, rect_left, rows, columns),) = plan.rects.tolist()
    assert rect_top == max(0, y - 16)
    assert rect_left == max(0, x - 16)
    assert rect_top + rows == min(180, y + 16)
    assert rect_left + columns == min(320, x + 16)


def test_a_frame_smaller_than_the_crop_is_padded_by_its_border() -> None:
    frame = coordinates(30, 37)
    plan = plan_crops([box_of(20, 14, 34)], frame.shape, 32, margin=2)
    assert plan.side == 40
    assert plan.origins.tolist() == [[-5, -2]]
    padded = np.pad(frame, ((5, 5), (2, 1), (0, 0)), mode="edge")
    assert np.array_equal(extract(frame, plan)[0], padded)


def test_limits_of_size() -> None:
    boxes = [box_of(160, 90, side) for side in (15, 16, 64, 65)]
    assert plan_crops(boxes, (180, 320), 32).faces.tolist() == [1, 2, 3]
    assert plan_crops(boxes, (180, 320), 32, max_side=64).faces.tolist() == [1, 2]
    assert plan_crops(boxes, (180, 320), 32, min_side=0, max_side=15).faces.tolist() == [0]
    assert plan_crops(boxes, (180, 320), 32, max_side=1000).faces.tolist() == [1, 2, 3]


def test_no_faces_make_an_empty_plan() -> None:
    frame = coordinates(20, 20)
    for boxes in ([], np.zeros((0, 4)), [box_of(10, 10, 500)], [box_of(5000, 5000, 32)]):
        plan = plan_crops(boxes, frame.shape, 32)
        assert len(plan) == 0
        assert list(plan) == []
        assert extract(frame, plan).shape == (0, 0, 0, 3)


def test_rubbish_boxes_are_left_out() -> None:
    boxes = [
        (np.nan, 0, 20, 20),
        (np.inf, 0, 20, 20),
        (0, 0, -20, -20),
        (0, 0, 0, 0),
        (1e300, -1e300, 20, 20),
        (0, 0, 1e200, 1e200),
        box_of(100, 80, 32),
    ]
    assert plan_crops(boxes, (180, 320), 32).faces.tolist() == [6]


def test_twenty_faces_small_ones_first() -> None:
    rng = np.random.default_rng(3)
    boxes = [box_of(*rng.uniform((0, 0, 16.5), (320, 180, 63.5))) for _ in range(20)]
    plan = plan_crops(boxes, (180, 320), 32)
    assert len(plan) == 20
    assert sorted(plan.squares.tolist()) == plan.squares.tolist()
    shuffled = plan_crops([boxes[k] for k in rng.permutation(20)], (180, 320), 32)
    assert shuffled.rects.tolist() == plan.rects.tolist()


@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    faces=st.lists(
        st.tuples(st.floats(-30, 120), st.floats(-30, 120), st.floats(1, 120)), max_size=5
    ),
    margin=st.integers(0, 9),
)
def test_whatever_the_faces_each_rectangle_lies_in_frame_and_crop(
    shape: tuple[int, ...], faces: list[tuple[float, float, float]], margin: int
) -> None:
    frame = coordinates(*shape)
    plan = plan_crops([box_of(*face) for face in faces], shape, 32, margin=margin)
    crops = extract(frame, plan)
    for crop, ((top, left), rect, square, _) in zip(crops, plan, strict=True):
        rect_top, rect_left, rows, columns = rect
        assert 16 <= square <= 320
        assert 0 <= rect_top <= rect_top + rows <= shape[0]
        assert 0 <= rect_left <= rect_left + columns <= shape[1]
        inside = crop[rect_top - top :, rect_left - left :][:rows, :columns]
        assert rect_top >= top
        assert rect_left >= left
        assert np.array_equal(
            inside, frame[rect_top : rect_top + rows, rect_left : rect_left + columns]
        )


def test_out_and_strides() -> None:
    wide = coordinates(180, 400)
    frame = wide[:, 40:360][:, ::-1, ::-1]
    plan = plan_crops([box_of(150, 80, 32), box_of(10, 10, 30)], frame.shape, 32)
    out = np.zeros((2, 32, 32, 3), np.uint8)
    assert extract(frame, plan, out=out) is out
    assert np.array_equal(out, extract(np.ascontiguousarray(frame), plan))


def test_bad_arguments_are_refused() -> None:
    plan = plan_crops([box_of(50, 50, 32)], (100, 100), 32)
    with pytest.raises(InputError, match="crops are for"):
        extract(coordinates(99, 100), plan)
    with pytest.raises(InputError, match="expected uint8"):
        extract(coordinates(100, 100), plan, out=np.zeros((1, 8, 8, 3), np.uint8))
    with pytest.raises(InputError, match="not trained on faces"):
        plan_crops([], (100, 100), 0)
    with pytest.raises(InputError, match="boxes have shape"):
        plan_crops([(1, 2, 3)], (100, 100), 32)
    with pytest.raises(InputError, match="strengths"):
        plan_crops([box_of(50, 50, 32)], (100, 100), 32, strengths=[1, 1])
