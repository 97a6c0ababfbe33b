"""The benchmark of the face path: what it writes, and that no face path is no change."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from srsdk.faces.identity import FaceDescriptor
from tests.benchmarks import faces

CLIP = Path(__file__).parents[2] / "examples" / "portrait.mp4"


@pytest.fixture(scope="module")
def close_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's talking head, nearer: ten frames."""
    path = tmp_path_factory.mktemp("clip") / "close-up.mkv"
    with av.open(str(CLIP)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "bgr0"
        for frame in islice(source.decode(video=0), 10):
            pixels = frame.to_ndarray(format="bgr24")[30:120, 127:247]
            large = cv2.resize(pixels, (640, 480), interpolation=cv2.INTER_CUBIC)
            target.mux(stream.encode(av.VideoFrame.from_ndarray(large, format="bgr24")))
        target.mux(stream.encode())
    return path


def test_all_parts(close_up: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "LOOKED_AT", slice(7, 9))
    file, text = tmp_path / "faces.json", tmp_path / "faces.md"
    given = [str(close_up), "--models", "portrait-x2"]
    faces.main([*given, "--json", str(file), "--markdown", str(text)])
    (row,) = json.loads(file.read_text("utf-8"))
    assert row["model"] == "portrait-x2"
    assert row["on"]["psnr"] != row["off"]["psnr"]
    assert text.read_text("utf-8").count("| portrait-x2 |") == 2


def test_a_perfect_result_and_a_blurred_one(
    close_up: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faces, "LOOKED_AT", slice(7, 9))
    pair = faces.pair_of(faces.read(close_up), 2)
    assert pair is not None
    perfect = faces.judge(pair, pair.hr, FaceDescriptor())
    assert (perfect.flicker, perfect.identity, perfect.spectrum) == (0, 0, 0)
    size = (pair.hr[0].shape[1], pair.hr[0].shape[0])
    blurred = faces.judge(pair, [faces._resize(frame, size) for frame in pair.lr], FaceDescriptor())
    assert np.isfinite(blurred.psnr)
    assert min(blurred.flicker, blurred.identity, blurred.spectrum) > 0


def test_without_clips_the_face_has_the_size_that_the_models_are_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("skimage")
    monkeypatch.delenv("SRSDK_DATA", raising=False)
    monkeypatch.setattr(faces, "FRAMES", 4)
    (frames,) = faces._clips([]).values()
    given = frames()
    for scale in (2, 4):
        pair = faces.pair_of(given, scale)
        assert pair is not None
        assert 30 <= pair.face.box[3] / scale <= 150
