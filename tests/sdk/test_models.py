"""Model files: the spec, the zoo, and the errors about files that are no models."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import onnx
import pytest

from srsdk import ModelFormatError, ModelNotFoundError, ModelSpec, Upscaler
from srsdk.backends import open_backend
from srsdk.spec import METADATA_KEY, TrainingSummary
from srsdk.zoo import find
from srsdk.zoo import models as zoo_models


def test_spec_round_trip() -> None:
    training = TrainingSummary("r", "d", "t", "l", 5, 1.5, "CPU", {"psnr": 30.0})
    spec = ModelSpec("n", "edge", 4, "subpixel", 4, "bilinear", halo=6, training=training)
    assert ModelSpec.from_metadata(spec.to_metadata()) == spec
    assert (spec.out_channels, spec.graph_scale) == (48, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": 0}, "scale"),
        ({"scale": 4, "tail": "subpixel", "shuffle": 3}, "multiple"),
        ({"tail": "subpixel"}, "does not go with"),
        ({"shuffle": 2}, "does not go with"),
        ({"base": "cubic"}, "base is 'cubic'"),
        ({"precision": "fp8"}, "precision"),
        ({"halo": -1}, "negative"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ModelFormatError, match=message):
        dataclasses.replace(ModelSpec("n", "edge", 4), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "damaged"),
        ("[]", "damaged"),
        ("{}", "damaged"),
        ('{"format": 99}', "format 99"),
        ('{"format": 1, "name": "x"}', "damaged"),
    ],
)
def test_damaged_specs_are_refused(text: str, message: str) -> None:
    with pytest.raises(ModelFormatError, match=message):
        ModelSpec.from_metadata({METADATA_KEY: text}, source="x.onnx")


def test_unknown_fields_are_refused() -> None:
    record = json.loads(ModelSpec("n", "edge", 4).to_metadata()[METADATA_KEY])
    record["sclae"] = 4
    with pytest.raises(ModelFormatError, match="sclae"):
        ModelSpec.from_metadata({METADATA_KEY: json.dumps(record)})


@pytest.mark.parametrize("content", [b"", b"text", bytes(1000)], ids=["empty", "text", "zeros"])
def test_what_is_no_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=r"x\.onnx"):
        Upscaler(path)


def test_a_truncated_model_is_refused(models: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(models["edge-x4"].read_bytes()[:-500])
    with pytest.raises(ModelFormatError) as caught:
        Upscaler(path)
    assert "\n" not in str(caught.value)


def test_a_model_without_spec_is_refused(models: dict[str, Path], tmp_path: Path) -> None:
    model = onnx.load(models["edge-x4"])
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "x.onnx")
    with pytest.raises(ModelFormatError, match="srsdk-export"):
        Upscaler(tmp_path / "x.onnx")


def test_a_spec_that_is_not_the_graphs_is_refused(models: dict[str, Path], tmp_path: Path) -> None:
    model = onnx.load(models["edge-x4"])
    spec = ModelSpec("n", "edge", 2, "subpixel", 2, "bilinear", halo=3)
    onnx.helper.set_model_props(model, spec.to_metadata())
    onnx.save(model, tmp_path / "x.onnx")
    with pytest.raises(ModelFormatError, match="12 channels"):
        Upscaler(tmp_path / "x.onnx")


def test_missing_models_are_named() -> None:
    with pytest.raises(ModelNotFoundError, match="did you mean edge-x4"):
        Upscaler("egde-x4")
    with pytest.raises(ModelNotFoundError, match=r"no model file nowhere/m\.onnx"):
        Upscaler("nowhere/m.onnx")
    with pytest.raises(FileNotFoundError):
        Upscaler(Path("m.onnx"))


def test_the_bundled_models_are_what_the_manifest_says() -> None:
    bundled = zoo_models()
    assert {"edge-x4", "srresnet-x4"} <= {model.name for model in bundled}
    for model in bundled:
        assert hashlib.sha256(model.path.read_bytes()).hexdigest() == model.sha256
        assert find(model.name) == model.path
        with Upscaler(model.name) as upscaler:
            spec = upscaler.info.frames.spec
        assert (spec.name, spec.scale) == (model.name, model.scale)
        assert spec.training.steps > 0
        card = model.card.read_text()
        assert spec.sha256 in card
        assert spec.training.terms in card


SETS = ("dev-real192", "dev-synthetic256")
GANS = ("srgan-x4", "srwgan-gp-x4", "srpggan-x4")


def scores(name: str) -> dict[str, float]:
    """What the file says of itself; `srsdk-train evaluate` found it."""
    with Upscaler(name) as upscaler:
        return dict(upscaler.info.frames.spec.training.scores)


@pytest.mark.parametrize("name", SETS)
def test_the_report_s_findings_hold(name: str) -> None:
    """SRResNet wins PSNR; each GAN is closer to HR in features and spectrum, at most 2.5 dB off."""
    base = scores("srresnet-x4")
    for gan in GANS:
        found = scores(gan)
        psnr = found[f"psnr_rgb/{name}"]
        assert base[f"psnr_rgb/{name}"] - 2.5 < psnr < base[f"psnr_rgb/{name}"]
        assert found[f"vgg/{name}"] < base[f"vgg/{name}"]
        assert found[f"spectrum/{name}"] < base[f"spectrum/{name}"]


@pytest.mark.parametrize("name", SETS)
def test_each_tier_is_better_than_the_faster_one(name: str) -> None:
    """SRResNet has 48 times the parameters of edge-x4, edge-m-x4 six times."""
    fast, middle, report = (scores(tier) for tier in ("edge-x4", "edge-m-x4", "srresnet-x4"))
    assert fast[f"psnr_rgb/{name}"] + 0.5 < middle[f"psnr_rgb/{name}"]
    assert middle[f"psnr_rgb/{name}"] > report[f"psnr_rgb/{name}"] - 0.5


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("quality", ["", " (camera)"])
def test_portrait_x4_is_nearer_to_the_person_and_no_less_exact(name: str, quality: str) -> None:
    """Than the generator of the frame, which is what a face gets without it."""
    frames, faces = scores("edge-x4"), scores("portrait-x4")
    key = name + quality
    assert faces[f"identity/{key}"] < 0.97 * frames[f"identity/{key}"]
    assert faces[f"psnr_rgb/{key}"] > frames[f"psnr_rgb/{key}"] - 0.25
    assert faces[f"spectrum/{key}"] < 0.8 * frames[f"spectrum/{key}"]


@pytest.mark.parametrize(
    ("name", "gain"),
    [("edge-x4", 2.25), ("srresnet-x4", 2.5), ("srgan-x4", 1.5), ("srwgan-gp-x4", 1.5),
     ("srpggan-x4", 1.5), ("srpggan-x8", 1.7), ("edge-x2", 1.5), ("edge-m-x4", 2.7),
     ("portrait-x4", 2.0), ("portrait-x2", 1.5)],
)  # fmt: skip
def test_the_bundled_models_beat_bicubic(name: str, gain: float, real_data: Path) -> None:
    """The scores of the protocol, computed through the installed SDK."""
    from srtrain.data import load_pairs
    from srtrain.metrics import bicubic_psnr, mean_psnr

    with Upscaler(name, color="rgb", precision="fp32") as upscaler:
        scale, kept = upscaler.scale, scores(name)
        for path in sorted((real_data / "data").glob("dev-*.tar")):
            pairs = load_pairs([path], scale, 256 if scale == 8 else 128)
            score = mean_psnr(lambda lr: upscaler.batch(lr), pairs)  # type: ignore[arg-type,return-value]
            assert score > bicubic_psnr(pairs) + gain
            key = f"psnr_rgb/{path.stem.rsplit('-', 1)[0]}"
            assert score == pytest.approx(kept[key], abs=0.02)


@pytest.mark.parametrize("backend", ["native", "onnxruntime", "torch"])
def test_another_value_range_is_refused(
    models: dict[str, Path], tmp_path: Path, backend: str
) -> None:
    model = onnx.load(models["edge-x2"])
    spec = ModelSpec("signed", "edge", 2, tail="subpixel", shuffle=2, value_range=(-1.0, 1.0))
    onnx.helper.set_model_props(model, spec.to_metadata())
    onnx.save(model, tmp_path / "signed.onnx")
    with pytest.raises(ModelFormatError, match=r"signed\.onnx: value range \(-1\.0, 1\.0\)"):
        open_backend(backend, tmp_path / "signed.onnx")
