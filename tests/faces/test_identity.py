"""The face descriptor that is shipped, and the guard upon it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

from srsdk import Upscaler
from srsdk.errors import InputError
from srsdk.faces import FaceDescriptor, FaceEnhancer, FaceStream, IdentityGuard, face_squares
from srsdk.faces.detect import Box
from srsdk.faces.identity import cut_chip, share_to_show
from srsdk.types import Pixels

Scene = Callable[..., tuple[Pixels, list[Box]]]


def enlarge(frame: Any) -> Pixels:
    return np.ascontiguousarray(frame.repeat(4, axis=0).repeat(4, axis=1))


def same(batch: Pixels) -> Pixels:
    """A generator with a little detail of its own; the person stays."""
    large = batch.repeat(4, axis=1).repeat(4, axis=2).astype(np.int16)
    large[:, ::2] += 3
    large[:, 1::2] -= 3
    return np.clip(large, 0, 255).astype(np.uint8)


def another(batch: Pixels) -> Pixels:
    """A generator that draws something else: the face upside down."""
    return np.ascontiguousarray(batch[:, ::-1].repeat(4, axis=1).repeat(4, axis=2))


def blurred(chip: Pixels) -> Any:
    return cv2.GaussianBlur(chip.astype(np.float32), (0, 0), 3)


def test_the_descriptor_is_dlibs() -> None:
    """The weights are float16; in float32 the network equals dlib's to 1e-4, see tests/train."""
    dlib = pytest.importorskip("dlib", reason="needs dlib-bin")
    models = pytest.importorskip("face_recognition_models")
    theirs = dlib.face_recognition_model_v1(models.face_recognition_model_location())
    points = dlib.shape_predictor(models.pose_predictor_five_point_model_location())
    rgb = np.ascontiguousarray(data.astronaut())
    chip = dlib.get_face_chip(rgb, points(rgb, dlib.rectangle(178, 75, 268, 170)), 150, 0.25)
    expected = np.array(theirs.compute_face_descriptor(chip))
    ours = FaceDescriptor().describe([chip])[0]
    assert np.abs(ours - expected).max() < 5e-4


def test_the_chip_is_where_dlib_would_cut_it(scene: Scene) -> None:
    dlib = pytest.importorskip("dlib", reason="needs dlib-bin")
    models = pytest.importorskip("face_recognition_models")
    points = dlib.shape_predictor(models.pose_predictor_five_point_model_location())
    rgb = np.ascontiguousarray(data.astronaut())
    theirs = dlib.get_face_chip(rgb, points(rgb, dlib.rectangle(178, 75, 268, 170)), 150, 0.25)
    (face,) = FaceEnhancer(same, scale=4, face_size=32).detector.detect(rgb[..., ::-1])
    x, y, side = face_squares([face.box])[0]
    ours = cut_chip(rgb, (x, y, side, face.roll), "rgb")
    assert FaceDescriptor().distance(ours, theirs) < 0.3


@pytest.mark.parametrize("angle", [-40, 0, 25])
def test_the_chip_turns_with_the_head(angle: float) -> None:
    rgb = data.astronaut()
    upright = blurred(cut_chip(rgb, (225, 107, 180, 0), "rgb"))
    matrix = cv2.getRotationMatrix2D((225, 107), angle, 1)
    turned = np.asarray(cv2.warpAffine(rgb, matrix, (512, 512)), np.uint8)
    chip = cut_chip(turned, (225, 107, 180, np.radians(-angle)), "rgb")
    assert np.abs(blurred(chip) - upright).mean() < 3
    large = np.asarray(cv2.resize(rgb, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC))
    chip = cut_chip(large[..., ::-1], (900, 428, 720, 0), "bgr")
    assert np.abs(blurred(chip) - upright).mean() < 3


def test_the_share_falls_with_the_distance() -> None:
    shares = [share_to_show(d) for d in (0, 0.25, 0.3, 0.4, 0.5, 2)]
    assert shares == sorted(shares, reverse=True)
    assert (shares[1], shares[4]) == (1, 0)


def test_an_image_keeps_the_person(scene: Scene) -> None:
    lr, _ = scene(180, 320, [(140, 50, 50)])
    kept, held = enlarge(lr), enlarge(lr)
    FaceEnhancer(same, scale=4, face_size=32, guard=IdentityGuard()).enhance(lr, kept)
    assert (kept != enlarge(lr)).any()
    result = FaceEnhancer(another, scale=4, face_size=32, guard=IdentityGuard()).enhance(lr, held)
    assert np.array_equal(held, enlarge(lr))
    assert result.count == 0
    assert result.guard > 0


def test_a_stream_holds_back_from_the_first_frame(scene: Scene) -> None:
    lr, _ = scene(180, 320, [(140, 50, 50)])
    stream = FaceStream(FaceEnhancer(another, scale=4, face_size=32, guard=IdentityGuard()))
    for _ in range(12):
        sr = enlarge(lr)
        (face,) = stream.enhance(lr, sr).faces
        assert np.array_equal(sr, enlarge(lr))
        assert face.strength == 0
        assert face.distance is not None
        assert face.distance > 0.5
    assert stream.summary.held_back == 1
    assert stream.summary.comparisons == 2  # at first, and ten frames later
    assert stream.summary.blended == 0


def test_a_face_that_changes_fades_and_does_not_pop(scene: Scene) -> None:
    lr, _ = scene(180, 320, [(140, 50, 50)])
    drawn = [same] * 5 + [another] * 100

    def run(batch: Pixels) -> Pixels:
        return drawn.pop(0)(batch)

    stream = FaceStream(FaceEnhancer(run, scale=4, face_size=32, guard=IdentityGuard()))
    strengths = [stream.enhance(lr, enlarge(lr)).faces[0].strength for _ in range(90)]
    assert strengths[:5] == [1] * 5
    assert strengths[-1] < 0.2
    assert max(np.abs(np.diff(strengths))) < 0.04


def test_strength_of_images(scene: Scene) -> None:
    lr, (box,) = scene(120, 160, [(60, 30, 40)])
    with Upscaler("bicubic-x2", faces="bicubic-x2") as upscaler:
        plain = upscaler(lr, strength=0)
        assert np.array_equal(plain, upscaler.batch([lr], strength=0)[0])
        for strength in (-0.1, 1.1, float("nan"), "half", None):
            with pytest.raises(InputError, match="strength"):
                upscaler(lr, strength=strength)  # type: ignore[arg-type]
            with pytest.raises(InputError, match="strength"):
                upscaler.stream(strength=strength)  # type: ignore[arg-type]
    enhancer = FaceEnhancer(another, scale=4, face_size=32)
    top, left = int(4 * (box[1] + 10)), int(4 * (box[0] + 10))
    part = np.s_[top : top + 40, left : left + 40]
    changes = []
    for strength in (0.0, 0.5, 1.0):
        sr = enlarge(lr)
        enhancer.enhance(lr, sr, strength=strength)
        changes.append(sr[part].astype(float) - enlarge(lr)[part])
    assert not changes[0].any()
    assert np.abs(changes[1] - changes[2] / 2).max() <= 1
    assert np.abs(changes[2]).max() > 20


def test_a_model_may_ask_for_a_mixture(scene: Scene) -> None:
    """The guard judges the mixture that would be shown."""
    lr, _ = scene(180, 320, [(140, 50, 50)])
    part = np.s_[4 * 60 : 4 * 90, 4 * 150 : 4 * 180]
    changes, distances = [], []
    for blend in (0.2, 1.0):
        sr = enlarge(lr)
        enhancer = FaceEnhancer(another, scale=4, face_size=32, blend=blend, guard=IdentityGuard())
        (face,) = FaceStream(enhancer).enhance(lr, sr).faces
        distances.append(face.distance or 0.0)
        sr = enlarge(lr)
        FaceEnhancer(another, scale=4, face_size=32, blend=blend).enhance(lr, sr)
        changes.append(sr[part].astype(float) - enlarge(lr)[part])
    assert np.abs(changes[0] - 0.2 * changes[1]).max() <= 1
    assert distances[0] < 0.5 * distances[1]


def test_strength_is_changed_while_a_stream_runs(scene: Scene) -> None:
    lr, _ = scene(120, 160, [(60, 30, 40)])
    with Upscaler("bicubic-x2", faces="bicubic-x2") as upscaler, upscaler.stream() as stream:
        shown = []
        for strength in (1.0, 0.25, 0.0, 0.5):
            stream.strength = strength
            stream(lr)
            shown.append(stream.faces[0].strength)
        assert shown == [1.0, 0.25, 0.0, 0.5]
        assert stream.face_summary is not None
        assert stream.face_summary.blended == 3
        assert stream.face_summary.tracks == 1
        with pytest.raises(InputError, match="strength is 2"):
            stream.strength = 2
    with Upscaler("bicubic-x2") as upscaler, upscaler.stream() as stream:
        stream.strength = 0.5
        assert stream.face_summary is None


def test_guard_and_budget_need_a_face_generator() -> None:
    for options in ({"guard": True}, {"face_budget_ms": 5.0}):
        with pytest.raises(InputError, match="face generator"):
            Upscaler("bicubic-x2", **options)  # type: ignore[arg-type]
