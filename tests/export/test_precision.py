"""The exporter makes layers float16 or int8 only if the pixels stay good enough."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from torch.nn import functional as F
from typer.testing import CliRunner

from srexport.cli import app
from srexport.half import rounded, to_half
from srexport.images import probe_frames
from srexport.onnx import build, load, read_spec, save
from srexport.precision import convert, widen
from srexport.quantize import calibrate, convolutions, quantize
from srexport.source import Conv, LayeredGenerator, Relu, Shuffle, fold
from srexport.variants import VariantJudge, plain_session
from srexport.verify import Parity, ParityError, Tolerance
from srsdk import zoo
from srsdk.backends import open_backend
from srsdk.errors import InputError
from srsdk.spec import ModelSpec
from srtrain.models import Generator, SRResNet


def faces(count: int = 6, side: int = 32) -> NDArray[np.uint8]:
    """Soft coloured blobs: as smooth as faces, unlike noise."""
    random = np.random.default_rng(7)
    coarse = random.integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    return np.stack([cv2.resize(c, (side, side), interpolation=cv2.INTER_CUBIC) for c in coarse])


def edge() -> onnx.ModelProto:
    return load(next(m.path for m in zoo.models() if m.use == "frames"))


def small_srresnet() -> onnx.ModelProto:
    torch.manual_seed(3)
    model: Generator = SRResNet(4, 16, 2).eval()
    return build(LayeredGenerator(fold(model), ModelSpec("s", "srresnet", 4, halo=model.halo)))


def layered(*layers: Conv | Relu | Shuffle) -> onnx.ModelProto:
    return build(LayeredGenerator(layers, ModelSpec("m", "edge", 2, base="none")))


def conv(inputs: int, outputs: int, gain: float, bias: float = 0.0) -> Conv:
    weight = np.random.default_rng(inputs).normal(size=(outputs, inputs, 3, 3)) * gain
    return Conv(weight.astype(np.float32), np.full(outputs, bias, np.float32))


@pytest.mark.parametrize("make", [edge, small_srresnet])
def test_float16_is_everywhere_and_nothing_is_cast(make: object) -> None:
    exact = make()  # type: ignore[operator]
    model = convert(exact, "fp16").model
    assert {weight.data_type for weight in model.graph.initializer} == {TensorProto.FLOAT16}
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT16
    assert [n.op_type for n in model.graph.node] == [n.op_type for n in exact.graph.node]
    assert model.opset_import[0].version == exact.opset_import[0].version
    spec, before = read_spec(model), read_spec(exact)
    assert spec.precision == "fp16"
    assert spec.name == f"{before.name}-fp16"
    assert spec.sha256 != before.sha256
    assert (spec.tail, spec.shuffle, spec.base) == (before.tail, before.shuffle, before.base)


def test_rounding_is_that_of_torch() -> None:
    a, b = conv(3, 8, 0.3, 0.1), conv(8, 12, 0.2)
    exact = layered(a, Relu(), b, Shuffle(2))
    x = np.random.default_rng(0).random((2, 3, 9, 11), np.float32)

    def half(value: torch.Tensor) -> torch.Tensor:
        return value.half().float()

    y = half(torch.from_numpy(x))
    for layer in (a, b):
        weight, bias = torch.from_numpy(layer.weight), torch.from_numpy(layer.bias)
        y = half(F.conv2d(y, half(weight), half(bias), padding=1))
        y = half(F.relu(y)) if layer is a else y
    (got,) = plain_session(rounded(exact)).run(None, {"lr": x})
    # One ulp of float16 where float32 sums in another order fall on the other side.
    np.testing.assert_allclose(got, y.numpy(), rtol=2**-10, atol=1e-4)
    assert np.mean(got == y.numpy()) > 0.99


def test_overflow_keeps_what_overflows_in_float32() -> None:
    """Activations of a million between two layers; float16 ends at 65504."""
    exact = layered(
        conv(3, 8, 0.1), Relu(), conv(8, 8, 1e6), Relu(), conv(8, 12, 3e-8, 0.5), Shuffle(2)
    )
    choice = convert(exact, "fp16")
    names = [node.name for node in exact.graph.node]
    assert 0 < len(choice.kept) < len(names)
    assert set(choice.kept) >= set(names[2:5])
    kinds = [node.op_type for node in choice.model.graph.node]
    assert "Cast" in kinds
    for value in (*choice.model.graph.input, *choice.model.graph.output):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT16
    x = np.random.default_rng(0).random((1, 3, 8, 8), np.float32)
    (expected,) = plain_session(exact).run(None, {"lr": x})
    (got,) = plain_session(choice.model).run(None, {"lr": x.astype(np.float16)})
    np.testing.assert_allclose(got, expected, atol=2e-3)


@pytest.mark.parametrize("make", [edge, small_srresnet])
def test_int8_is_per_channel_and_symmetric(make: object) -> None:
    exact = make()  # type: ignore[operator]
    choice = convert(exact, "int8", faces())
    model = choice.model
    weights = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
    original = {w.name: numpy_helper.to_array(w) for w in exact.graph.initializer}
    made = {node.output[0]: node for node in model.graph.node}
    quantized = 0
    for node in model.graph.node:
        if node.op_type != "Conv" or node.name in choice.kept:
            continue
        quantized += 1
        scaled = made[node.input[1]]
        assert scaled.op_type == "DequantizeLinear"
        assert scaled.attribute[0].i == 0
        values, steps, zero = (weights[name] for name in scaled.input)
        assert values.dtype == zero.dtype == np.int8
        assert not zero.any()
        assert steps.shape == (len(values),)
        assert values.min() >= -127
        error = values * steps.astype(float)[:, None, None, None] - original[scaled.input[0]]
        assert (np.abs(error).max(axis=(1, 2, 3)) <= steps.astype(float) * 0.51).all()
        activation = made[node.input[0]]
        assert activation.op_type == "DequantizeLinear"
        assert made[activation.input[0]].op_type == "QuantizeLinear"
        assert weights[activation.input[2]] == 0
    assert quantized >= len(convolutions(exact)) / 2
    assert read_spec(model).precision == "int8"
    floats = {w.dtype for w in weights.values()} - {np.dtype(np.int8)}
    assert floats == {np.dtype(np.float16)}


def test_scales_come_from_what_flows() -> None:
    exact = layered(conv(3, 8, 0.3, 0.1), Relu(), conv(8, 12, 0.2), Shuffle(2))
    planes = np.full((5, 3, 8, 8), 0.5, np.float32)
    scales = calibrate(exact, planes)
    inner = exact.graph.node[2].input[0]
    assert set(scales) == {"lr", inner}
    assert scales["lr"] * 127 == pytest.approx(0.5)
    doubled = calibrate(exact, planes * 2)
    assert doubled["lr"] == pytest.approx(2 * scales["lr"])
    assert doubled[inner] > scales[inner]


def test_int8_without_faces_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--calibration FOLDER_OR_SHARD"):
        convert(edge(), "int8")
    target = tmp_path / "m.onnx"
    arguments = ["onnx", str(checkpoint), "-o", str(target), "--precision", "int8"]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, InputError)
    assert list(tmp_path.iterdir()) == []
    empty = tmp_path / "empty"
    empty.mkdir()
    result = CliRunner().invoke(app, [*arguments, "--calibration", str(empty)])
    assert isinstance(result.exception, InputError)
    assert "no picture" in str(result.exception)


def test_widening_takes_back_the_most_harmful_first() -> None:
    harm = {"a": 0.0, "b": 9.0, "c": 0.1, "d": 4.0, "e": 0.0}

    def trial(keep: frozenset[str]) -> Parity:
        left = sum(value for name, value in harm.items() if name not in keep)
        return Parity(0, 0.0, 0.0, 50.0 - left)

    goal = Tolerance(255, 1.0, 49.5)
    assert widen(list(harm), trial, goal) == {"b", "d"}  # type: ignore[arg-type]
    assert widen(list(harm), trial, Tolerance(255, 1.0, 30.0)) == set()  # type: ignore[arg-type]
    with pytest.raises(ParityError, match="--precision fp32"):
        widen(list(harm), trial, Tolerance(255, 1.0, 60.0))  # type: ignore[arg-type]


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_sdk_runs_it(tmp_path: Path, precision: str) -> None:
    exact = edge()
    save(exact, tmp_path / "exact.onnx")
    save(convert(exact, precision, faces()).model, tmp_path / "m.onnx")  # type: ignore[arg-type]
    frames = probe_frames() if precision == "fp16" else faces(2, 40)
    results = []
    for name in ("exact.onnx", "m.onnx"):
        backend = open_backend("onnxruntime", tmp_path / name, threads=1)
        results.append(backend.run(frames).astype(int))
        backend.close()
    error = np.abs(results[0] - results[1])
    assert error.max() <= 1 if precision == "fp16" else np.mean(error**2) < 6.5  # 40 dB


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_command(checkpoint: Path, tmp_path: Path, precision: str) -> None:
    pictures = tmp_path / "faces"
    pictures.mkdir()
    for number, face in enumerate(faces(4, 64)):
        cv2.imwrite(str(pictures / f"{number}.png"), face)
    target = tmp_path / "m.onnx"
    arguments = ["onnx", str(checkpoint), "-o", str(target), "--precision", precision]
    result = CliRunner().invoke(app, [*arguments, "--calibration", str(pictures)])
    assert result.exit_code == 0, result.exception
    certificate = json.loads((tmp_path / "m.parity.json").read_text())
    assert certificate["b"]["precision"] == precision
    assert certificate["passed"] is True
    expected = "faces, not calibrated on" if precision == "int8" else "built-in"
    assert certificate["frames"].startswith(expected)


def test_openvino_takes_every_precision(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    exact = edge()
    frames = faces(1)
    judge = VariantJudge(exact, read_spec(exact), [frames])
    assert judge.parity(exact).largest == 0
    for precision in ("fp32", "fp16", "int8"):
        model = convert(exact, precision, faces()).model
        save(model, tmp_path / "m.onnx")
        dtype = np.float32 if precision == "fp32" else np.float16
        planes = (frames.transpose(0, 3, 1, 2) / 255).astype(dtype)
        (expected,) = plain_session(model).run(None, {"lr": planes})
        got = openvino.compile_model(str(tmp_path / "m.onnx"), "CPU")(planes)[0]
        assert np.abs(got.astype(float) - expected).max() < 0.05


def test_half_keeps_the_metadata() -> None:
    exact = edge()
    assert read_spec(to_half(exact)) == read_spec(exact)
    assert read_spec(quantize(exact, {}, set(convolutions(exact)))) == read_spec(exact)
