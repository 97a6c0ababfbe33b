"""The command line, and every command of train/README.md, on little pictures and networks."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from srexport.cli import app as export_app
from srsdk.errors import InputError
from srtrain.checkpoint import Checkpoint
from srtrain.cli import app, recipes

from .conftest import descriptor_state, picture, write_shard
from .test_losses import vgg19_state

README = Path(__file__).parents[2] / "train" / "README.md"


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("srsdk-")]


def shrink(arguments: list[str]) -> list[str]:
    """The same command with fewer steps and smaller networks."""
    if arguments[0] == "evaluate":
        return [*arguments, "--limit", "1", "--faces", "1"]
    if arguments[0] == "degrid":
        return [*arguments, "--steps", "1", "--set", "data.clips=4"]
    if arguments[0] != "run":
        return arguments
    name = arguments[1]
    video = name.startswith(("edge", "portrait"))
    patch = {"x2": 8, "x4": 8, "x8": 4}[re.findall(r"x\d", name)[0]]
    settings = [
        f"model.features={8 if video else 48}", "model.blocks=1",
        f"data.clips={0 if name.endswith('-quick') or not video else 4}",
        f"data.lr_patch={patch}", "data.views=1", "adversary.features=2", "adversary.dense=4",
        "run.steps=1", "run.batch=2",
    ]  # fmt: skip
    return [*arguments, *(part for setting in settings for part in ("--set", setting))]


def invoke(app: typer.Typer, arguments: list[str]) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_readmes_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, count, side in (("CelebAMask-HQ/CelebA-HQ-img", 32, 260), ("my-faces", 4, 130)):
        Path(folder).mkdir(parents=True)
        for n in range(count):
            picture(n, side).save(Path(folder) / f"{n}.jpg")
    torch.save(vgg19_state((2, 2, 2, 2, 2)), "vgg19.pth")
    torch.save(descriptor_state(), "descriptor.pt")
    ran = commands()
    assert len(ran) >= 14
    for program, *arguments in ran:
        invoke({"srsdk-train": app, "srsdk-export": export_app}[program], shrink(arguments))
    assert Path("edge-x4.onnx").exists()
    assert Path("runs/srresnet-x4-quick/tensorboard").is_dir()
    scores = json.loads(Path("scores.json").read_text())
    assert list(scores["sets"]["dev-celebahq"]) == [
        "bicubic", "srresnet-x4", "srgan-x4", "srwgan-gp-x4", "srpggan-x4",
    ]  # fmt: skip
    assert scores["sets"]["dev-celebahq"]["srgan-x4"]["vgg"] > 0
    assert "| srpggan-x4 |" in Path("scores.md").read_text()
    with Image.open("models.png") as sheet:
        assert sheet.width == 7 * 132 - 4
    with Image.open("x8.png") as sheet:
        assert sheet.height == 18 + 256
    history = Checkpoint.load(Path("runs/portrait-x4/last.pt")).history
    assert [part["recipe"] for part in history] == ["edge-m-x4"]


def test_recipes_are_listed_with_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    recipes()
    listed = capsys.readouterr().out.splitlines()
    paths = sorted((README.parent / "srtrain" / "recipes").glob("*.toml"))
    assert [line.split()[0] for line in listed] == [path.stem for path in paths]
    assert all(len(line.split()) > 3 for line in listed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "srresnet-x5", "--data", "."], "cannot read recipe srresnet-x5"),
        (["run", "srresnet-x4", "--data", "nowhere"], "no training data matches"),
        (["run", "srresnet-x4", "--data", ".", "--budget", "soon"], "is not a time"),
        (["run", "srgan-x4", "--data", ".", "--set", "loss.nsgam=1"], "loss.nsgan"),
        (["prepare", "nowhere", "-o", "out"], "no folder or shard nowhere"),
        (["prepare", ".", "-o", "out", "--sizes", "small"], "whole numbers"),
        (["evaluate", "none.pt", "--data", "."], "cannot read checkpoint"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "\n" not in str(caught.value)


def test_generators_of_two_scales_are_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_shard(tmp_path / "train-a-00.tar", 0, 2)
    write_shard(tmp_path / "dev-a-00.tar", 9, 1)
    for scale in (2, 4):
        invoke(app, [*shrink(["run", f"edge-x{scale}-quick", "--data", "."]),
                     "--set", "data.hr_side=64"])  # fmt: skip
    found = [f"runs/edge-x{scale}-quick/last.pt" for scale in (2, 4)]
    with pytest.raises(InputError, match=r"scales \[2, 4\]"):
        CliRunner().invoke(app, ["evaluate", *found, "--data", "."], catch_exceptions=False)
