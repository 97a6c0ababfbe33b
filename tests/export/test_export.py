"""The exported graph computes what the trained network computed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch.nn import functional as F

from srexport.onnx import build, read_spec, save, weights_sha256
from srexport.rewrite import _conv_before_shuffle, shuffle_last
from srexport.source import LayeredGenerator, Shuffle, fold
from srsdk.errors import InputError, ModelFormatError
from srsdk.spec import ModelSpec, TrainingSummary
from srtrain.models import Edge, Generator, SRResNet
from tests.train.test_models import randomise

GENERATORS = {
    "edge-x4": lambda: Edge(4, 8, 2),
    "edge-x2-point-tail": lambda: Edge(2, 8, 1, tail_kernel=1),
    "edge-x3-plain": lambda: Edge(3, 8, 1, expansion=0),
    "srresnet-x4": lambda: SRResNet(4, 16, 2),
    "srresnet-x2": lambda: SRResNet(2, 16, 1),
    "srresnet-x8": lambda: SRResNet(8, 64, 1),
    "srresnet-x4-subpixel": lambda: SRResNet(4, 16, 1, "subpixel"),
}


def source_of(model: Generator) -> LayeredGenerator:
    randomise(model)
    spec = ModelSpec("m", model.architecture, model.scale, base=model.base, halo=model.halo)
    return LayeredGenerator(fold(model), spec)


def run_onnx(model: onnx.ModelProto, lr: torch.Tensor) -> torch.Tensor:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"lr": lr.numpy()})[0])


@pytest.mark.parametrize("tail", ["subpixel", "image"])
@pytest.mark.parametrize("name", GENERATORS)
def test_graph_equals_network(name: str, tail: str) -> None:
    model = GENERATORS[name]()
    exported = build(source_of(model), tail=tail)
    spec = read_spec(exported)
    for shape in ((1, 3, 17, 12), (2, 3, 1, 1), (1, 3, 5, 30)):
        lr = torch.rand(shape)
        sr = F.pixel_shuffle(run_onnx(exported, lr), spec.shuffle)
        if spec.base != "none":
            sr = sr + F.interpolate(lr, scale_factor=spec.scale, mode=spec.base)
        with torch.no_grad():
            expected = model(lr)
        scale = expected.abs().max().item()
        torch.testing.assert_close(sr / scale, expected / scale, rtol=0, atol=5e-6)


@pytest.mark.parametrize("name", GENERATORS)
def test_the_shuffle_is_the_runtimes(name: str) -> None:
    model = GENERATORS[name]()
    exported = build(source_of(model))
    spec = read_spec(exported)
    last = 2 if name in ("srresnet-x4", "srresnet-x2", "srresnet-x8") else model.scale
    assert (spec.tail, spec.shuffle) == ("subpixel", last)
    assert exported.graph.node[-1].op_type == "Conv"
    assert {node.op_type for node in exported.graph.node} <= {
        "Conv", "Relu", "PRelu", "Add", "DepthToSpace",
    }  # fmt: skip


@pytest.mark.parametrize(("kernel", "factor"), [(9, 2), (3, 2), (5, 4), (1, 2), (9, 4), (7, 3)])
def test_convolution_before_a_shuffle(kernel: int, factor: int) -> None:
    weight = torch.randn(3, 4, kernel, kernel, dtype=torch.float64)
    x = torch.randn(1, 4 * factor**2, 6, 5, dtype=torch.float64)
    expected = F.conv2d(F.pixel_shuffle(x, factor), weight, padding=kernel // 2)
    wide = torch.from_numpy(_conv_before_shuffle(weight.float().numpy(), factor)).double()
    got = F.pixel_shuffle(F.conv2d(x, wide, padding=wide.shape[-1] // 2), factor)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


def test_the_reports_tail_becomes_five_wide() -> None:
    weight = np.zeros((3, 64, 9, 9), np.float32)
    assert _conv_before_shuffle(weight, 2).shape == (12, 256, 5, 5)


def test_layers_without_a_shuffle_stay() -> None:
    layers = fold(randomise(Edge(2, 8, 1)))  # type: ignore[arg-type]
    assert isinstance(layers[-1], Shuffle)
    assert shuffle_last(layers[:-1]) == layers[:-1]


def test_spec_survives_the_file(tmp_path: Path) -> None:
    training = TrainingSummary("r", "faces (3)", "CC0", "1 l1", 10, 2.5, "CPU", {"psnr": 30.5})
    source = source_of(Edge(4, 8, 2))
    source = dataclasses.replace(source, spec=dataclasses.replace(source.spec, training=training))
    exported = build(source)
    save(exported, tmp_path / "m.onnx")
    loaded = onnx.load(tmp_path / "m.onnx")
    spec = read_spec(loaded)
    assert spec == read_spec(exported)
    assert spec.training == training
    assert spec.sha256 == weights_sha256(loaded)
    assert list(tmp_path.iterdir()) == [tmp_path / "m.onnx"]


def test_hash_follows_the_weights() -> None:
    source = source_of(Edge(4, 8, 2))
    exported = build(source)
    before = weights_sha256(exported)
    values = bytearray(exported.graph.initializer[0].raw_data)
    values[0] ^= 1
    exported.graph.initializer[0].raw_data = bytes(values)
    assert weights_sha256(exported) != before


def test_a_model_without_spec_is_refused() -> None:
    exported = build(source_of(Edge(4, 8, 2)))
    del exported.metadata_props[:]
    with pytest.raises(ModelFormatError, match="srsdk-export"):
        read_spec(exported, "x.onnx")


def test_command_exports_and_writes_the_zoo(checkpoint: Path, tmp_path: Path) -> None:
    import json

    from typer.testing import CliRunner

    from srexport.cli import app

    target = tmp_path / "tiny-x4.onnx"
    result = CliRunner().invoke(app, ["onnx", str(checkpoint), "-o", str(target), "--zoo"])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "manifest.json", "tiny-x4.md", "tiny-x4.onnx", "tiny-x4.parity.json",
    ]  # fmt: skip
    card = (tmp_path / "tiny-x4.md").read_text()
    for fact in ("tiny-x4", "train-a-00", "made up", "| dev-a | 20.00 |", "2 steps"):
        assert fact in card
    (entry,) = json.loads((tmp_path / "manifest.json").read_text())
    assert entry["name"] == "tiny-x4"
    assert entry["use"] == "frames"


def test_what_was_measured_of_a_face_model_goes_into_its_file(
    checkpoint: Path, tmp_path: Path
) -> None:
    from typer.testing import CliRunner

    from srexport.cli import app
    from srexport.export import export_onnx

    path = tmp_path / "m.onnx"
    measured = ["--face-sizes", "16", "140", "--face-blend", "0.4"]
    result = CliRunner().invoke(app, ["onnx", str(checkpoint), "-o", str(path), *measured])
    assert result.exit_code == 0, result.output
    spec = read_spec(onnx.load(path))
    assert (spec.face_sizes, spec.face_blend) == ((16, 140), 0.4)
    with pytest.raises(ModelFormatError, match="face_sizes"):
        export_onnx(checkpoint, path, face_sizes=(50, 40))
    for share in (0.0, 1.5):
        with pytest.raises(ModelFormatError, match="face_blend"):
            export_onnx(checkpoint, path, face_blend=share)


def test_export_that_disagrees_leaves_nothing(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from srexport import source as module
    from srexport.cli import app
    from srexport.source import Conv
    from srexport.verify import ParityError

    folded = module.fold

    def broken(model: Any) -> Any:
        first, *rest = folded(model)
        assert isinstance(first, Conv)
        return (Conv(first.weight * 1.5, first.bias + 0.2), *rest)

    monkeypatch.setattr(module, "fold", broken)
    target = tmp_path / "m.onnx"
    result = CliRunner().invoke(app, ["onnx", str(checkpoint), "-o", str(target)])
    assert isinstance(result.exception, ParityError)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    from srexport.source import read_checkpoint

    (tmp_path / "x.pt").write_text("text")
    with pytest.raises(InputError, match="not a checkpoint"):
        read_checkpoint(tmp_path / "x.pt")
