"""`srsdk models`, `info` and `doctor`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from srsdk import zoo
from tests.cli.conftest import Run, clip, image


def test_models(run: Run) -> None:
    shown = run("models")
    assert shown.code == 0
    records = json.loads(run("models", "--json").out)
    assert {record["name"] for record in records} >= {"edge-x4", "srresnet-x4"}
    for record in records:
        assert record["name"] in shown.out
        assert hashlib.sha256(Path(record["path"]).read_bytes()).hexdigest() == record["sha256"]


def test_info_of_a_model(run: Run) -> None:
    by_name = json.loads(run("info", "edge-x4", "--json").out)
    assert (by_name["name"], by_name["scale"], by_name["tail"]) == ("edge-x4", 4, "subpixel")
    path = zoo.find("edge-x4")
    assert json.loads(run("info", path, "--json").out) == by_name
    assert by_name["sha256"] in run("info", "edge-x4").out
    assert json.loads(run("info", "bicubic-x3", "--json").out)["scale"] == 3


def test_info_of_a_video_and_an_image(tmp_path: Path, run: Run) -> None:
    video = json.loads(run("info", clip(tmp_path / "in.mp4"), "--json").out)
    assert (video["width"], video["height"], video["fps"]) == (64, 48, 25)
    assert (video["frames"], video["codec"], video["tracks"]) == (10, "h264", ["audio aac"])
    still = json.loads(run("info", image(tmp_path / "in.png", 4), "--json").out)
    assert (still["width"], still["height"], still["format"]) == (40, 24, "PNG")
    assert still["channels"] == "colour and alpha"
    assert "64" in run("info", tmp_path / "in.mp4").out


@pytest.mark.parametrize("name", ["in.mp4", "in.png", "in.onnx", "in.txt"])
def test_info_of_rubbish(tmp_path: Path, run: Run, name: str) -> None:
    path = tmp_path / name
    path.write_text("rubbish")
    result = run("info", path)
    assert result.code == 2
    assert name in result.error
    assert run("info", tmp_path / f"none-{name}").code == 2
    assert run("info", tmp_path).code == 2


def test_info_of_a_model_that_is_near(run: Run) -> None:
    assert "edge-x4" in run("info", "edge-x3").error


def test_doctor(run: Run) -> None:
    result = run("doctor", "--json")
    record = json.loads(result.out)
    assert (result.code, record["healthy"]) == (0, True), result.out
    checks = {check["name"]: check for check in record["checks"]}
    for name in ("kernels", "backend bicubic", "backend onnxruntime, edge-x4", "model edge-x4"):
        assert checks[name]["state"] == "ok"
    for check in checks.values():
        assert check["state"] in ("ok", "off")
    shown = run("doctor")
    assert shown.code == 0
    assert all(name in shown.out for name in checks)


def test_doctor_finds_a_changed_model(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for entry in zoo.models():
        (tmp_path / f"{entry.name}.onnx").write_bytes(entry.path.read_bytes())
    manifest = Path(zoo.__file__).with_name("manifest.json")
    (tmp_path / "manifest.json").write_bytes(manifest.read_bytes())
    damaged = bytearray((tmp_path / "edge-x4.onnx").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "edge-x4.onnx").write_bytes(damaged)
    monkeypatch.setattr(zoo, "_FOLDER", tmp_path)
    result = run("doctor")
    assert result.code == 1
    assert "was changed" in result.out
    assert "reinstall" in result.out


def test_doctor_without_models(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "_FOLDER", tmp_path)
    result = run("doctor")
    assert result.code == 1
    assert "models" in result.error


def test_scripts_share_the_wrapper(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`srsdk-train` and `srsdk-export`: the same line and the same code."""
    pytest.importorskip("torch")
    from srexport.cli import app as export
    from srsdk.cli import entry
    from srtrain.cli import app as train

    cases = [
        (export, ["no-such-file", "-o", str(tmp_path / "x.onnx")], "no-such-file"),
        (train, ["run", "no-such-recipe.toml", "--data", str(tmp_path)], "no-such-recipe"),
        (train, ["--bogus"], "--bogus"),
    ]
    for app, arguments, word in cases:
        if app is export and len(export.registered_commands) > 1:
            arguments = ["onnx", *arguments]
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            entry.run(app, arguments)
        error = capfd.readouterr().err
        assert caught.value.code == 2, error
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        assert word in error
