"""`srsdk-export quantize`: from images to steps and a certificate in the model's file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from srexport.cli import app
from srexport.imageset import read_set, split_set
from srexport.int8 import ImageSet, flicker, psnr, quantize_file
from srexport.onnx import annotate, build, load, save, weights_sha256
from srexport.rounding import rounded
from srexport.source import LayeredGenerator
from srsdk import InputError, Upscaler, onnxfile
from srsdk.backends import open_backend
from srsdk.int8 import METADATA_KEY, Int8Record, read_int8
from tests.sdk.conftest import edge, residual


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Smooth pictures, as nature makes them, with an edge in each."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(3)
    for number in range(6):
        picture = random.integers(0, 256, (9, 9, 3)).astype(np.uint8)
        picture = cv2.resize(picture, (96, 96), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
        picture[:, 40 + 3 * number :] //= 2
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "edge-x2.onnx"
    save(build(edge(2)), path)
    return path


def test_steps_and_proof_are_in_the_file(
    model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = weights_sha256(load(model))
    target = tmp_path / "quantized.onnx"
    arguments = ["quantize", str(model), "--calibration", str(pictures), "-o", str(target)]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "dB from float32" in result.output
    assert weights_sha256(load(target)) == before
    record = read_int8(onnxfile.read(target).metadata, source="it")
    assert record is not None
    assert record.certificate.passed
    assert "3 of 48x48" in record.certificate.images
    # The proof is of pixels that the SDK gives.
    lr = split_set(read_set(pictures, scale=2, face_size=0))[1].lr
    exact, integer = (
        open_backend("native", target, color="rgb", precision=precision).run(lr)
        for precision in ("fp32", "int8")  # type: ignore[attr-defined]
    )
    assert psnr(exact, integer) == pytest.approx(record.certificate.psnr, abs=0.01)
    np.testing.assert_array_equal(exact, open_backend("native", model, color="rgb").run(lr))


def test_quantizing_again_replaces_the_steps(model: Path, pictures: Path) -> None:
    images = read_set(pictures, scale=2, face_size=0)
    first = quantize_file(model, [images], [images], model)
    again = quantize_file(model, [images], [images], model)
    assert first == again
    keys = [entry.key for entry in onnx.load(model).metadata_props]
    assert len(keys) == len(set(keys))


VIDEO = Path(__file__).parents[2] / "examples" / "portrait.mp4"


def test_pairs_of_frames_come_from_videos() -> None:
    images = read_set(VIDEO, scale=2, face_size=0, limit=12)
    assert images.clip
    assert images.hr.shape == (6, 2 * images.lr.shape[1], 2 * images.lr.shape[2], 3)
    change = np.abs(np.diff(images.hr.astype(float), axis=0)).mean(axis=(1, 2, 3))
    assert change[::2].max() < change[1::2].min()  # within pairs, and from pair to pair
    first, rest = split_set(images)
    np.testing.assert_array_equal(first.lr, images.lr[[0, 1, 4, 5]])
    np.testing.assert_array_equal(rest.hr, images.hr[[2, 3]])
    with pytest.raises(InputError, match="two pairs"):
        split_set(rest)


def test_flicker_is_the_error_of_changes() -> None:
    hr = np.zeros((4, 2, 2, 3), np.uint8)
    hr[1] = 10
    frames = hr + 7  # wrong everywhere, but as wrong before as after
    assert flicker(frames, hr) == 0
    frames[3, 0] += 4
    assert flicker(frames, hr) == pytest.approx(4 / 2 / 2)


def test_clips_are_judged_by_their_flicker(model: Path, pictures: Path) -> None:
    stills = read_set(pictures, scale=2, face_size=0)
    assert quantize_file(model, [stills], [stills], model).certificate.flicker is None
    parity = model.with_suffix(".parity.json")
    parity.write_text('{"passed": true}')
    clip = read_set(VIDEO, scale=2, face_size=0, limit=8)
    record = quantize_file(model, [stills, clip], [stills, clip], model)
    results = [
        open_backend("native", model, color="rgb", precision=precision).run(clip.lr)
        for precision in ("fp32", "int8")  # type: ignore[attr-defined]
    ]
    exact, integer = (
        np.abs((sr[1::2] - clip.hr[1::2]) - (sr[::2] - clip.hr[::2])).mean()
        for sr in (result.astype(float) for result in results)
    )
    assert record.certificate.flicker == pytest.approx(integer / exact, abs=1e-3)
    assert read_int8(onnxfile.read(model).metadata, source="it") == record
    written = json.loads(parity.read_text())
    assert written["passed"] is True
    assert written["int8"]["flicker"] == record.certificate.flicker
    assert written["int8"]["passed"] == record.certificate.passed


def test_faces_get_more_second_bytes_than_frames(tmp_path: Path) -> None:
    images = read_set(VIDEO, scale=2, face_size=0, limit=8)
    generator = edge(2)
    inner = tuple(generator.layers[2:4])
    layers = (*generator.layers[:2], *inner, *inner, *inner, *generator.layers[2:])
    certificates, fine = [], []
    for face_size in (0, 16):
        spec = dataclasses.replace(generator.spec, face_size=face_size, halo=6)
        path = tmp_path / f"{face_size}.onnx"
        save(build(LayeredGenerator(layers, spec)), path)
        record = quantize_file(path, [images], [images], path)
        assert not record.layers[0].fine  # the frame has bytes
        certificates.append(record.certificate)
        fine.append(sum(layer.fine for layer in record.layers[:-1]))
    assert fine[0] == 0 < fine[1]
    assert certificates[1].psnr > certificates[0].psnr


def test_weights_are_rounded_for_what_they_are_multiplied_by() -> None:
    random = np.random.default_rng(5)
    values = random.standard_normal((4000, 3)) @ random.uniform(0, 1, (3, 24)) + 2.0
    values += 0.05 * random.standard_normal(values.shape)
    weight = random.standard_normal((7, 24))
    step = np.abs(weight).max(axis=1) / 20
    nearest = np.rint(weight / step[:, None])

    def error(levels: NDArray[np.float64]) -> float:
        return float(np.mean((values @ (levels * step[:, None] - weight).T) ** 2))

    levels = rounded(weight, step, values.T @ values / len(values))
    assert np.abs(levels.astype(int)).max() <= 127
    assert error(levels.astype(float)) < 0.1 * error(nearest)
    # What has nothing in common cannot make up for each other.
    np.testing.assert_array_equal(rounded(weight, step, np.eye(24)), nearest)
    assert rounded(weight, step / 100, np.eye(24)).max() == 127


def test_sums_and_a_shuffle_in_the_middle(tmp_path: Path, pictures: Path) -> None:
    path = tmp_path / "residual.onnx"
    save(build(residual()), path)
    images = read_set(pictures, scale=4, face_size=0)
    record = quantize_file(path, [images], [images], path)
    assert record.certificate.psnr > 40
    first = record.layers[0]
    assert first.fine
    assert first.weight is None  # the nearest ones, and what they round off
    coarse = dataclasses.replace(first, fine=False)
    psnrs = []
    for one in (first, coarse):
        steps = (one, *record.layers[1:])
        proto = load(path)
        annotate(
            proto, METADATA_KEY, Int8Record(steps, record.certificate).to_metadata()[METADATA_KEY]
        )
        save(proto, path)
        results = [
            open_backend("native", path, color="rgb", precision=precision).run(images.lr)
            for precision in ("fp32", "int8")  # type: ignore[attr-defined]
        ]
        psnrs.append(psnr(*results))
    assert psnrs[0] == pytest.approx(record.certificate.psnr, abs=0.01)
    assert psnrs[0] >= psnrs[1]


def test_one_image_is_too_few() -> None:
    one = np.zeros((1, 8, 8, 3), np.uint8)
    with pytest.raises(InputError, match="two images"):
        split_set(ImageSet("one", one, one))


def test_the_upscaler_says_what_it_runs_in(model: Path, pictures: Path) -> None:
    images = read_set(pictures, scale=2, face_size=0)
    quantize_file(model, [images], [images], model)
    with Upscaler(model, precision="int8") as upscaler:
        assert upscaler.info.frames.arithmetic == "int8"
    with Upscaler(model, precision="fp32") as upscaler:
        assert upscaler.info.frames.arithmetic == "fp32"
    record = read_int8(onnxfile.read(model).metadata, source="it")
    assert record is not None
    assert json.loads(record.to_metadata()["srsdk.int8"])["format"] == 1
