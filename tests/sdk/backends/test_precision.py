"""Which arithmetic an Upscaler takes, and what it refuses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest

from srexport.int8 import ImageSet, quantize_file
from srexport.onnx import annotate
from srsdk import (
    BackendUnavailableError,
    InputError,
    ModelFormatError,
    Upscaler,
    _kernels,
    onnxfile,
    zoo,
)
from srsdk.backends import open_backend
from srsdk.int8 import METADATA_KEY, Int8Certificate, Int8Record, read_int8
from tests.sdk.backends.agreement import noise


@pytest.fixture(scope="module")
def quantized(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "edge-x4.onnx"
    frames = noise(2, 24, 24)
    images = ImageSet("noise", frames, frames.repeat(4, 1).repeat(4, 2))
    quantize_file(models["edge-x4"], [images], [images], path)
    return path


def record_of(path: Path) -> Int8Record:
    record = read_int8(onnxfile.read(path).metadata, source=str(path))
    assert record is not None
    return record


def rewritten(path: Path, target: Path, text: str) -> Path:
    model = onnx.load(path)
    annotate(model, METADATA_KEY, text)
    onnx.save(model, target)
    return target


def judged(path: Path, target: Path, certificate: Int8Certificate) -> Path:
    record = dataclasses.replace(record_of(path), certificate=certificate)
    return rewritten(path, target, record.to_metadata()[METADATA_KEY])


@pytest.mark.parametrize(
    ("psnr", "loss", "flicker", "expected"),
    [
        (46.0, 0.1, None, "int8"),
        (46.0, 0.1, 1.05, "int8"),
        (45.9, 0.0, None, "fp32"),
        (60.0, 0.11, 1.0, "fp32"),
        (60.0, 0.0, 1.06, "fp32"),
    ],
)
def test_auto_asks_the_certificate_and_the_cpu(
    quantized: Path, tmp_path: Path, psnr: float, loss: float, flicker: float | None, expected: str
) -> None:
    certificate = Int8Certificate(psnr, loss, "some", flicker)
    path = judged(quantized, tmp_path / "judged.onnx", certificate)
    before = _kernels.isa()
    try:
        for isa in _kernels.available_isas():
            _kernels.set_isa(isa)
            with Upscaler(path, backend="native") as upscaler:
                wanted = expected if _kernels.fast_int8() else "fp32"
                assert upscaler.info.frames.arithmetic == wanted
            with Upscaler(path, backend="native", precision="int8") as upscaler:
                assert upscaler.info.frames.arithmetic == "int8"
    finally:
        _kernels.set_isa(before)


def test_the_weights_of_the_record_are_used(quantized: Path, tmp_path: Path) -> None:
    record = record_of(quantized)
    zeros = tuple(
        dataclasses.replace(layer, weight=bytes(len(layer.weight or b"")))
        for layer in record.layers
    )
    text = dataclasses.replace(record, layers=zeros).to_metadata()[METADATA_KEY]
    path = rewritten(quantized, tmp_path / "zeros.onnx", text)
    gray = np.full((16, 20, 3), 128, np.uint8)
    with Upscaler(path, backend="native", precision="int8") as upscaler:
        blocks = upscaler(gray).reshape(16, 4, 20, 4, 3)
    # Without weights no pixel knows of its neighbours, and none of the image's border.
    np.testing.assert_array_equal(blocks, np.broadcast_to(blocks[:1, :, :1], blocks.shape))


def test_weights_of_another_size_are_refused(quantized: Path, tmp_path: Path) -> None:
    record = record_of(quantized)
    layers = (dataclasses.replace(record.layers[0], weight=b"123"), *record.layers[1:])
    text = dataclasses.replace(record, layers=layers).to_metadata()[METADATA_KEY]
    path = rewritten(quantized, tmp_path / "short.onnx", text)
    with pytest.raises(ModelFormatError, match="do not fit"):
        Upscaler(path, backend="native", precision="int8")


@pytest.mark.parametrize("name", ["edge-x2", "edge-x4"])
def test_the_bundled_edge_family_is_proven(name: str) -> None:
    path = Path(zoo.find(name))
    assert record_of(path).certificate.passed
    frames = np.stack([np.full((20, 30, 3), level, np.uint8) for level in (0, 128, 255)])
    exact, integer = (
        open_backend("native", path, precision="fp32").run(frames),
        open_backend("native", path, precision="int8").run(frames),
    )
    error = np.abs(exact.astype(int) - integer)
    assert error.mean() < 0.2
    assert error[:, 9:-9, 9:-9].max() <= 2  # flat areas stay flat; at the edge it is a picture


def test_a_tiled_image_has_the_bits_of_the_whole_one(quantized: Path) -> None:
    image = noise(90, 130)
    with Upscaler(quantized, backend="native", precision="int8") as upscaler:
        whole = upscaler(image)
    with Upscaler(quantized, backend="native", precision="int8", tile=32) as upscaler:
        np.testing.assert_array_equal(upscaler(image), whole)


def test_a_model_without_steps_says_how_to_get_them(models: dict[str, Path]) -> None:
    with Upscaler(models["edge-x4"], backend="native") as upscaler:
        assert upscaler.info.frames.arithmetic == "fp32"
    with pytest.raises(ModelFormatError, match="srsdk-export quantize"):
        Upscaler(models["edge-x4"], backend="native", precision="int8")


def test_other_backends_run_what_the_file_says(quantized: Path) -> None:
    with Upscaler(quantized, backend="onnxruntime", precision="fp32") as upscaler:
        assert upscaler.info.frames.arithmetic == "fp32"
    with pytest.raises(BackendUnavailableError, match='backend="native"'):
        Upscaler(quantized, backend="onnxruntime", precision="int8")
    with pytest.raises(InputError, match="unknown precision 'int4'"):
        Upscaler(quantized, precision="int4")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"format": 1, "layers": 3, "certificate": {}}', '{"format": 2}', "[[["],
)
def test_damaged_steps_are_refused(quantized: Path, tmp_path: Path, text: str) -> None:
    path = rewritten(quantized, tmp_path / "damaged.onnx", text)
    with pytest.raises(ModelFormatError, match="quantize"):
        Upscaler(path, backend="native")


def test_steps_of_another_graph_are_refused(quantized: Path, tmp_path: Path) -> None:
    record = record_of(quantized)
    shorter = dataclasses.replace(record, layers=record.layers[:-1])
    narrow = dataclasses.replace(record.layers[1], input_step=record.layers[1].input_step[:-1])
    for number, changed in enumerate(
        (shorter, dataclasses.replace(record, layers=(record.layers[0], narrow, record.layers[2])))
    ):
        path = rewritten(
            quantized, tmp_path / f"{number}.onnx", changed.to_metadata()[METADATA_KEY]
        )
        with pytest.raises(ModelFormatError, match=str(path)):
            Upscaler(path, backend="native", precision="int8")
