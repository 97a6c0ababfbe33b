"""An export that fails prints one line with a remedy, and leaves no files."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from onnx import TensorProto, helper
from torch import nn
from typer.testing import CliRunner

import srexport
from srexport.cli import app
from srexport.onnx import load, save
from srsdk.backends import BACKENDS
from srsdk.cli import entry
from srsdk.spec import ModelSpec
from tests.export.tiny import tiny


@dataclass(frozen=True)
class Outcome:
    code: object
    stdout: str
    stderr: str


Command = Callable[..., Outcome]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """`srsdk-export` as its script runs it."""

    def run(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as ended:
            entry.run(app, [str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Outcome(ended.value.code, captured.out, captured.err)

    return run


def refused(outcome: Outcome, code: int, *said: str) -> None:
    assert outcome.code == code, outcome.stderr
    assert outcome.stderr.startswith("error: ")
    assert outcome.stderr.count("\n") == 1
    assert outcome.stdout == ""
    for words in said:
        assert words in outcome.stderr


class Foreign(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)


@pytest.mark.parametrize(
    "kind",
    ["state-dict", "module", "script", "format", "text", "truncated", "folder", "missing"],
)
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_checkpoint_of_something_else(
    command: Command, checkpoint: Path, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"{kind}.pt"
    if kind == "state-dict":
        torch.save(Foreign().state_dict(), path)
    elif kind == "module":
        torch.save(Foreign(), path)
    elif kind == "script":
        torch.jit.save(torch.jit.trace(Foreign().layer, torch.zeros(1, 2)), path)
    elif kind == "format":
        torch.save({"format": 1, "weights": {}}, path)
    elif kind == "text":
        path.write_text("weights")
    elif kind == "truncated":
        path.write_bytes(checkpoint.read_bytes()[:-200])
    elif kind == "folder":
        path.mkdir()
    before = sorted(tmp_path.iterdir())
    result = command("onnx", path, "-o", tmp_path / "m.onnx")
    refused(result, 2, path.name)
    assert sorted(tmp_path.iterdir()) == before


def test_int8_without_calibration(command: Command, checkpoint: Path, tmp_path: Path) -> None:
    result = command("onnx", checkpoint, "-o", tmp_path / "m.onnx", "--precision", "int8")
    refused(result, 2, "--calibration FOLDER_OR_SHARD")
    assert not list(tmp_path.iterdir())


def test_calibration_without_a_picture(command: Command, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("no picture")
    for folder in ("notes", "missing"):
        arguments = ["onnx", checkpoint, "-o", tmp_path / "m.onnx", "--precision", "int8"]
        refused(command(*arguments, "--calibration", tmp_path / folder), 2, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


@pytest.mark.parametrize("domain", ["", "com.acme"])
@pytest.mark.parametrize("name", ["engine", "triton", "verify"])
def test_onnx_with_an_operator_that_nothing_takes(
    command: Command, tmp_path: Path, name: str, domain: str
) -> None:
    path = tiny(tmp_path / "t.onnx")
    model = load(path)
    model.graph.node[1].op_type = "Magic"
    model.graph.node[1].domain = domain
    save(model, path)
    output = tmp_path / "out"
    arguments: list[object] = [path, path] if name == "verify" else [path, "-o", output]
    if name == "engine":
        pytest.importorskip("tensorrt_rtx")
        arguments += ["--library", "tensorrt_rtx"]
    refused(command(name, *arguments), 2, "t.onnx", "Magic")
    assert list(tmp_path.iterdir()) == [path]


def test_folder_that_is_not_there(command: Command, checkpoint: Path, tmp_path: Path) -> None:
    result = command("onnx", checkpoint, "-o", tmp_path / "none" / "m.onnx")
    refused(result, 2, "no folder", "none")
    refused(command("onnx", checkpoint, "-o", tmp_path), 2, "is a folder")
    refused(command("engine", tiny(tmp_path / "t.onnx"), "-o", tmp_path / "none" / "e"), 2, "none")


def test_onnx_that_onnx_runtime_does_not_take(
    command: Command, checkpoint: Path, tmp_path: Path
) -> None:
    path = tiny(tmp_path / "m.onnx")
    model = load(path)
    model.graph.node[0].op_type = "Gonv"
    save(model, path)
    for runtime in ("onnxruntime", "reference"):
        result = command("verify", checkpoint, path, "--runtime-b", runtime)
        refused(result, 2, "ONNX Runtime", "m.onnx" if runtime == "onnxruntime" else "Gonv")


def test_comparing_generators_of_two_scales(
    command: Command, checkpoint: Path, tmp_path: Path
) -> None:
    shape = [None, 3, None, None]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["lr"], ["sr"], "relu_0")],
        "g",
        [helper.make_tensor_value_info("lr", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("sr", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, ModelSpec("one", "edge", 1).to_metadata())
    save(model, tmp_path / "one.onnx")
    result = command("verify", checkpoint, tmp_path / "one.onnx")
    refused(result, 2, "x4", "x1")


@pytest.mark.parametrize(
    "arguments",
    [
        ("engine", "{model}", "-o", "{out}", "--shapes", "huge"),
        ("engine", "edge-x5", "-o", "{out}"),
        ("engine", "bicubic-x4", "-o", "{out}"),
        ("triton", "bicubic-x4", "-o", "{out}"),
        ("engine", "{model}", "-o", "{out}", "--optimization-level", "9"),
        ("onnx", "{model}", "-o", "{out}", "--precision", "fp8"),
        ("triton", "{model}", "-o", "{out}", "--max-batch", "0"),
        ("verify", "{model}", "{model}", "--tolerance", "-1"),
    ],
)
def test_options_that_make_no_sense(
    command: Command, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    model = tiny(tmp_path / "t.onnx")
    filled = [part.format(model=model, out=tmp_path / "out") for part in arguments]
    refused(command(*filled), 2)
    assert list(tmp_path.iterdir()) == [model]


def test_readme_names_only_options_that_exist() -> None:
    readme = Path(srexport.__file__).parents[1] / "README.md"
    if not readme.is_file():
        pytest.skip("not a source tree")
    offered = set()
    for name in ("onnx", "quantize", "verify", "engine", "triton"):
        outcome = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"})
        offered |= set(re.findall(r"--[a-z][a-z-]+", outcome.output))
    named = set(re.findall(r"--[a-z][a-z-]+", readme.read_text("utf-8")))
    assert named - offered == {"--system-site-packages"}


def test_readme_has_every_backend() -> None:
    readme = Path(srexport.__file__).parents[1] / "README.md"
    if not readme.is_file():
        pytest.skip("not a source tree")
    table = re.findall(r'^\| `"([\w-]+)"` \|', readme.read_text("utf-8"), re.M)
    assert set(table) == set(BACKENDS)
