from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from srsdk.errors import DetectorError, InputError, ModelNotFoundError
from srsdk.faces import BlazeFaceDetector, Face, FaceDetector, YuNetDetector
from srsdk.faces.crop import face_squares
from srsdk.faces.detect import Box
from srsdk.faces.network import open_network
from srsdk.types import Pixels

Scene = Callable[..., tuple[Pixels, list[Box]]]
Overlap = Callable[[Box, Box], float]

ROW = [(30 + 100 * k, 60.0, 26.0) for k in range(3)]


@pytest.fixture(params=["blazeface", "yunet"])
def detector(request: pytest.FixtureRequest) -> FaceDetector:
    if request.param == "blazeface":
        return BlazeFaceDetector()
    path = Path(os.environ.get("SRSDK_DATA", "-")) / "weights/face_detection_yunet_2026may.onnx"
    if not path.is_file():
        pytest.skip("needs the YuNet file in SRSDK_DATA")
    return YuNetDetector(path)


def check(found: list[Face], boxes: list[Box], overlap: Overlap, least: float = 0.7) -> None:
    assert len(found) == len(boxes)
    for box in boxes:
        assert max(overlap(face.box, box) for face in found) > least


@pytest.mark.parametrize(
    ("height", "width", "faces"),
    [
        (180, 320, [(140, 60, 20)]),
        (180, 320, [(140, 50, 60)]),
        (180, 320, [(105, 20, 110)]),
        (180, 320, ROW),
        (360, 640, [(x * 2, y * 2, w * 2) for x, y, w in ROW]),
        (1080, 1920, [(x * 6, y * 6, w * 6) for x, y, w in ROW]),
        (320, 181, [(70.5, 120.5, 40.0)]),
        (90, 120, [(40, 20, 20)]),
    ],
)
def test_finds_faces_where_they_are(
    detector: FaceDetector,
    scene: Scene,
    overlap: Overlap,
    height: int,
    width: int,
    faces: list[tuple[float, float, float]],
) -> None:
    frame, boxes = scene(height, width, faces)
    check(detector.detect(frame), boxes, overlap)


def test_scores_are_confidences_in_order_and_landmarks_lie_in_the_box(
    detector: FaceDetector, scene: Scene
) -> None:
    found = detector.detect(scene(180, 320, ROW)[0])
    scores = [face.score for face in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0.5 <= score <= 1 for score in scores)
    for face in found:
        if face.landmarks is not None:
            eyes, nose = face.landmarks[:2], face.landmarks[2]
            assert eyes[0, 0] < nose[0] < eyes[1, 0]
            assert nose[1] > eyes[:, 1].max()
            inside = (face.landmarks - face.box[:2]) / face.box[2:]
            assert (inside > 0).all()
            assert (inside < 1).all()


def test_strides_and_read_only_frames_change_nothing(detector: FaceDetector, scene: Scene) -> None:
    frame, _ = scene(180, 320, ROW)
    expected = [face.box for face in detector.detect(frame)]
    assert expected
    wide = np.zeros((180, 500, 3), np.uint8)
    wide[:, 100:420] = frame
    rgb = np.ascontiguousarray(frame[..., ::-1])
    planar = np.ascontiguousarray(frame.transpose(2, 0, 1)).transpose(1, 2, 0)
    upside_down = np.ascontiguousarray(frame[::-1])[::-1]
    read_only = frame.copy()
    read_only.flags.writeable = False
    for view in (wide[:, 100:420], rgb[..., ::-1], planar, upside_down, read_only):
        before = view.copy()
        assert [face.box for face in detector.detect(view)] == expected
        assert np.array_equal(view, before)


def test_gray_pictures_in_three_channels_work(
    detector: FaceDetector, scene: Scene, overlap: Overlap
) -> None:
    frame, boxes = scene(180, 320, ROW)
    gray = np.repeat(frame.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    check(detector.detect(gray), boxes, overlap)


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (7, 9), (16, 16), (5, 3000)])
def test_tiny_and_thin_frames_have_no_faces(detector: FaceDetector, shape: tuple[int, ...]) -> None:
    assert detector.detect(np.full((*shape, 3), 127, np.uint8)) == []


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((20, 20), np.uint8),
        np.zeros((20, 20, 4), np.uint8),
        np.zeros((20, 20, 3), np.float32),
        np.zeros((0, 20, 3), np.uint8),
        [[1, 2, 3]],
    ],
)
def test_refuses_what_is_not_a_frame(detector: FaceDetector, frame: Any) -> None:
    with pytest.raises(InputError, match="expected"):
        detector.detect(frame)


def test_several_threads_get_the_same_answers(detector: FaceDetector, scene: Scene) -> None:
    frames = [scene(180, 320, ROW[: k + 1])[0] for k in range(3)]
    expected = [[f.box for f in detector.detect(frame)] for frame in frames]
    results: list[bool] = []

    def work(k: int) -> None:
        for _ in range(5):
            results.append([f.box for f in detector.detect(frames[k])] == expected[k])

    threads = [threading.Thread(target=work, args=(k % 3,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 30


@pytest.fixture
def without_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    open_network.cache_clear()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    yield
    open_network.cache_clear()


def test_opencv_stands_in_for_onnxruntime(scene: Scene, request: pytest.FixtureRequest) -> None:
    """The base install has no ONNX Runtime."""
    frame, _ = scene(180, 320, ROW)
    expected = BlazeFaceDetector().detect(frame)
    request.getfixturevalue("without_onnxruntime")
    found = BlazeFaceDetector().detect(frame)
    assert len(found) == len(expected) == len(ROW)
    for a, b in zip(found, expected, strict=True):
        assert a.box == pytest.approx(b.box, abs=0.01)
        assert a.score == pytest.approx(b.score, abs=1e-3)


@pytest.mark.parametrize("angle", [-45, -30, -15, 0, 15, 30, 45])
@pytest.mark.parametrize("width", [26, 60])
def test_tilted_heads_are_found(scene: Scene, width: int, angle: int) -> None:
    """The square turns with the head: its centre stays on the face."""
    frame, (box,) = scene(180, 320, [(160 - width / 2, 88 - width / 2, width)])
    centre = (160.0, 90.0)
    matrix = cv2.getRotationMatrix2D(centre, angle, 1)
    turned = cv2.warpAffine(frame, matrix, (320, 180), borderMode=cv2.BORDER_REFLECT)
    x, y, side = face_squares([box])[0]
    expected = matrix @ (x, y, 1)
    faces = BlazeFaceDetector().detect(np.asarray(turned, np.uint8))
    assert len(faces) == 1
    got = face_squares([faces[0].box])[0]
    assert np.hypot(*(got[:2] - expected)) < 0.1 * side
    assert got[2] == pytest.approx(side, rel=0.3)
    assert faces[0].landmarks is not None
    dx, dy = faces[0].landmarks[1] - faces[0].landmarks[0]
    assert np.degrees(np.arctan2(dy, dx)) == pytest.approx(-angle, abs=18)


def test_missing_and_broken_yunet_files(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"nothing\.onnx"):
        YuNetDetector(tmp_path / "nothing.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    with pytest.raises(DetectorError, match=r"broken\.onnx"):
        YuNetDetector(broken)


def test_importing_loads_no_detector() -> None:
    code = "import sys, srsdk.faces; print('onnxruntime' in sys.modules, 'torch' in sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert shown.stdout.split() == ["False", "False"]
