"""Two runtimes are compared on pixels, and the certificate says how far apart they are."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx import numpy_helper
from typer.testing import CliRunner

from srexport.cli import app
from srexport.images import probe_frames, read_images
from srexport.onnx import load, save
from srexport.runtimes import Output, Runner, Side, open_runner, probe_size
from srexport.verify import Parity, ParityError, Tolerance, certify, compare
from srsdk import zoo
from srsdk.backends import BACKENDS
from srsdk.errors import (
    BackendUnavailableError,
    InputError,
    ModelFormatError,
    ModelNotFoundError,
)
from srsdk.spec import CERTIFICATE_KEY, ModelSpec
from tests.sdk.tensorrt.stand_in import edit


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("exported") / "tiny.onnx"
    result = CliRunner().invoke(app, ["onnx", str(checkpoint), "-o", str(target)])
    assert result.exit_code == 0, result.output
    return target


def constant(values: np.ndarray, non_finite: int = 0) -> Runner:
    side = Side("x", "made", "0", "fp32", "")
    return Runner(side, ModelSpec("m", "a", 1), lambda _: Output(values, non_finite))


def test_what_is_measured() -> None:
    a = np.full((1, 2, 2, 3), 100, np.uint8)
    b = a.copy()
    b[0, 0, 0] = [101, 97, 100]
    parity = compare(constant(a), constant(b), a)
    assert parity.largest == 3
    assert parity.mean == pytest.approx(4 / 12)
    assert parity.share_above_1 == pytest.approx(1 / 12)
    assert parity.psnr == pytest.approx(10 * np.log10(255**2 / (10 / 12)))
    assert compare(constant(a), constant(a), a) == Parity(0, 0.0, 0.0, float("inf"))


@pytest.mark.parametrize(
    ("parity", "tolerance", "said"),
    [
        (Parity(1, 0.1, 0.0, 50.0), Tolerance(1), ""),
        (Parity(2, 0.1, 0.01, 50.0), Tolerance(1), "up to 2 grey levels"),
        (Parity(2, 0.1, 0.01, 50.0), Tolerance(2, 0.001), "more than one grey level"),
        (Parity(9, 0.1, 0.01, 37.0), Tolerance(255, 1.0, 38.0), "37.0 dB"),
        (Parity(0, 0.0, 0.0, float("inf"), 1), Tolerance(255, 1.0), "NaN or infinite"),
    ],
)
def test_tolerances(parity: Parity, tolerance: Tolerance, said: str) -> None:
    assert said in parity.problem(tolerance)
    assert bool(said) == bool(parity.problem(tolerance))


def test_all_runtimes_agree(checkpoint: Path, exported: Path) -> None:
    trained = open_runner(checkpoint)
    for runtime in ("onnxruntime", "reference"):
        certificate = certify(trained, open_runner(exported, runtime), probe_frames(), "made")
        certificate.check()
        assert certificate.a.runtime == "torch"
        assert certificate.b.runtime == runtime
        assert certificate.frames == "made, 4 of 39x45"


def test_two_generators_are_no_parity(tmp_path: Path) -> None:
    """Refused before it overwrites an existing certificate."""
    models = [tmp_path / f"{name}.onnx" for name in ("edge-x4", "srresnet-x4")]
    for model in models:
        shutil.copy(zoo.find(model.stem), model)
    result = CliRunner().invoke(app, ["verify", *map(str, models)])
    assert isinstance(result.exception, InputError)
    assert "edge-x4.onnx is edge x4, srresnet-x4.onnx is srresnet x4" in str(result.exception)
    assert sorted(tmp_path.iterdir()) == sorted(models)


def test_export_ships_the_certificate(exported: Path) -> None:
    beside = json.loads(exported.with_suffix(".parity.json").read_text())
    model = load(exported)
    inside = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(inside[CERTIFICATE_KEY]) == beside
    assert beside["passed"] is True
    assert beside["b"]["file"] == "tiny.onnx"
    assert beside["b"]["sha256"] == open_runner(exported).spec.sha256
    assert beside["parity"]["largest"] <= 1


def test_command_writes_a_certificate(checkpoint: Path, exported: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "faces"
    pictures.mkdir()
    random = np.random.default_rng(0)
    for name, shape in (("a.png", (80, 64, 3)), ("b.jpg", (70, 90, 3))):
        cv2.imwrite(str(pictures / name), random.integers(0, 255, shape, np.uint8))
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(exported.read_bytes())
    result = CliRunner().invoke(
        app, ["verify", str(checkpoint), str(copy), "--frames", str(pictures)]
    )
    assert result.exit_code == 0, result.output
    certificate = json.loads((tmp_path / "copy.parity.json").read_text())
    assert certificate["frames"] == "faces, 2 of 64x64"
    assert copy.read_bytes() == exported.read_bytes()


def test_disagreement_fails_and_is_written_down(exported: Path, tmp_path: Path) -> None:
    other = load(exported)
    bias = other.graph.initializer[1]
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(1), bias.name))
    save(other, tmp_path / "other.onnx")
    result = CliRunner().invoke(app, ["verify", str(exported), str(tmp_path / "other.onnx")])
    assert result.exit_code != 0
    assert isinstance(result.exception, ParityError)
    assert json.loads((tmp_path / "other.parity.json").read_text())["passed"] is False
    arguments = ["verify", str(exported), str(tmp_path / "other.onnx"), "--tolerance", "255"]
    assert CliRunner().invoke(app, arguments).exit_code == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_a_number_fails_even_where_no_pixel_shows_it(
    exported: Path, tmp_path: Path, value: float
) -> None:
    """An infinite bias before a ReLU can vanish in it; both sides give equal pixels here."""
    broken = load(exported)
    bias = numpy_helper.to_array(broken.graph.initializer[1]).copy()
    bias[0] = value
    broken.graph.initializer[1].CopyFrom(
        numpy_helper.from_array(bias, broken.graph.initializer[1].name)
    )
    path = tmp_path / "broken.onnx"
    save(broken, path)
    result = CliRunner().invoke(app, ["verify", str(path), str(path), "--tolerance", "255"])
    assert isinstance(result.exception, ParityError)
    assert "NaN or infinite" in str(result.exception)


@pytest.mark.parametrize("runtime", BACKENDS)
def test_every_backend_is_a_runtime(
    exported: Path, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backends that run here agree; the others say why they cannot run."""
    monkeypatch.setenv("SRSDK_CACHE", str(tmp_path))
    on_gpu_or_no_network = ("tensorrt", "onnxruntime-cuda", "cuda-native", "bicubic")
    try:
        runner = open_runner(exported, runtime)
    except (BackendUnavailableError, ModelNotFoundError):
        if runtime not in on_gpu_or_no_network:
            raise
        pytest.skip(f"{runtime} does not run this here")
    believed = open_runner(exported, "reference")
    # torch computes in float16 where there is a GPU.
    allowed = Tolerance(largest=3, share_above_1=0.01)
    certificate = certify(believed, runner, probe_frames(), "made", allowed)
    certificate.check()
    assert certificate.b.runtime == runtime


def test_frames_that_an_engine_takes(engine: Path, exported: Path) -> None:
    assert probe_size(exported) == (45, 39)
    assert probe_size(exported, engine) == (45, 39), "a profile covers them"
    exact = {"name": "e", "min": [1, 180, 320], "opt": [1, 180, 320], "max": [1, 180, 320]}
    small = {"name": "s", "min": [1, 20, 30], "opt": [1, 24, 32], "max": [1, 32, 36]}
    edit(engine, profiles=[exact])
    assert probe_size(exported, engine) == (180, 320)
    edit(engine, profiles=[exact, small])
    assert probe_size(engine, exported) == (24, 32)
    assert probe_frames(24, 32).shape == (4, 24, 32, 3)


def test_what_cannot_be_compared(checkpoint: Path, exported: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="no model file"):
        open_runner(tmp_path / "none.onnx")
    with pytest.raises(InputError, match="does not run in onnxruntime"):
        open_runner(checkpoint, "onnxruntime")
    with pytest.raises(InputError, match="known: auto, reference, onnxruntime"):
        open_runner(exported, "abacus")
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(ModelFormatError):
        open_runner(tmp_path / "text.onnx", "reference")
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(ModelFormatError, match="not an ONNX file"):
        load(tmp_path / "empty.onnx")


def test_pictures_from_folders_and_shards(tmp_path: Path) -> None:
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[:, None], 64, axis=1)
    image = np.stack([ramp, ramp // 2, 255 - ramp], axis=2)
    cv2.imwrite(str(tmp_path / "a.png"), image[:, :, ::-1])
    with tarfile.open(tmp_path / "s.tar", "w") as shard:
        shard.add(tmp_path / "a.png", "deep/a.png")
        (tmp_path / "notes.txt").write_text("skipped")
        shard.add(tmp_path / "notes.txt", "notes.txt")
    expected = image.reshape(16, 4, 16, 4, 3).astype(float).mean(axis=(1, 3))
    for source, count in ((tmp_path, 2), (tmp_path / "s.tar", 1)):
        read = read_images(source, 16)
        assert read.shape == (count, 16, 16, 3)
        assert np.abs(read[0] - expected).max() <= 1
    assert len(read_images(tmp_path, 16, limit=1)) == 1


@pytest.mark.parametrize("kind", ["missing", "empty", "damaged", "no-shard"])
def test_pictures_that_cannot_be_read(tmp_path: Path, kind: str) -> None:
    source = tmp_path / kind
    if kind == "empty":
        source.mkdir()
    if kind == "damaged":
        source.mkdir()
        (source / "x.png").write_bytes(b"")
    if kind == "no-shard":
        source = tmp_path / "x.tar"
        source.write_bytes(b"text" * 300)
    with pytest.raises(InputError, match=source.name):
        read_images(source, 16)
