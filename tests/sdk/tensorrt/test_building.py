"""Engines are really built here, where TensorRT-RTX is installed: it needs no GPU for that."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from srexport.cli import app
from srexport.onnx import load, read_spec, save
from srexport.precision import convert
from srsdk import zoo
from srsdk.errors import (
    BackendUnavailableError,
    EngineBuildError,
    InputError,
    ModelFormatError,
    ModelNotFoundError,
)
from srsdk.spec import ModelSpec, Precision
from srsdk.tensorrt.building import Options, build_engine, layer_kinds, parse
from srsdk.tensorrt.flavour import Flavour, find_flavour
from srsdk.tensorrt.machine import check_engine
from srsdk.tensorrt.profiles import CLOSE_UPS, FACES, FRAMES, profiles
from srsdk.tensorrt.progress import OnProgress
from srsdk.tensorrt.sidecar import read_record, sidecar_path
from tests.export.test_precision import faces
from tests.export.tiny import tiny

# Generators of the report have the same kinds of layers: one of them shows what the others would.
QUICK = ("edge-x4", "srresnet-x4")
ZOO = [
    pytest.param(model.name, marks=() if model.name in QUICK else pytest.mark.slow)
    for model in zoo.models()
]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")

_made: dict[tuple[str, str], onnx.ModelProto] = {}


@pytest.fixture(scope="module")
def rtx() -> Flavour:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx-cu13 is for x86-64 Linux and Windows")
    return find_flavour("tensorrt_rtx")


def in_precision(name: str, precision: Precision) -> onnx.ModelProto:
    if (name, precision) not in _made:
        exact = load(next(model.path for model in zoo.models() if model.name == name))
        _made[name, precision] = convert(exact, precision, faces(4)).model
    return _made[name, precision]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ZOO)
def test_every_zoo_model_builds_for_every_preset(
    rtx: Flavour, tmp_path: Path, name: str, precision: Precision
) -> None:
    model = in_precision(name, precision)
    spec = read_spec(model)
    path, output = tmp_path / "m.onnx", tmp_path / "m.engine"
    save(model, path)
    wanted = profiles([FACES, CLOSE_UPS, *FRAMES], spec)
    record = build_engine(path, output, wanted, rtx, Options(), command="again")
    assert output.stat().st_size == record.engine_bytes > 1000
    assert read_record(output) == record
    assert check_engine(output, rtx.machine(), path) == record
    assert record.spec == spec
    assert record.spec.precision == precision
    assert record.profiles == wanted


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ZOO)
def test_layers_have_the_types_that_the_graph_says(
    rtx: Flavour, name: str, precision: Precision
) -> None:
    model = in_precision(name, precision)
    messages = rtx.trt.Logger(rtx.trt.Logger.ERROR)
    builder = rtx.trt.Builder(messages)
    network = parse(model.SerializeToString(), rtx, builder, messages, name)
    # DepthToSpace computes its shapes in int64; nothing flows through those layers.
    kinds = [kind for kind in layer_kinds(network) if not kind.endswith("int64")]
    narrow = "float" if precision == "fp32" else "half"
    assert not [kind for kind in kinds if kind.startswith("cast")]
    computing = {kind for kind in kinds if not kind.startswith(("constant", "quantize"))}
    assert {kind.split()[1] for kind in computing} == {narrow}
    convolutions = sum(node.op_type == "Conv" for node in model.graph.node)
    assert kinds.count(f"convolution {narrow}") == convolutions
    assert (network.get_input(0).dtype, network.get_output(0).dtype) == (
        (rtx.trt.float32,) * 2 if precision == "fp32" else (rtx.trt.float16,) * 2
    )
    assert tuple(network.get_input(0).shape) == (-1, 3, -1, -1)
    quantized = [kind for kind in kinds if kind.startswith("quantize")]
    assert set(quantized) == ({"quantize int8"} if precision == "int8" else set())
    if precision == "int8":
        # Weights were folded to int8 constants, activations go through one pair each.
        dequantized = sum(kind.startswith("dequantize") for kind in kinds)
        assert dequantized == len(quantized) + kinds.count("constant int8")
        assert kinds.count("constant int8") > convolutions / 2


def test_command(rtx: Flavour, tmp_path: Path) -> None:
    model, output = tiny(tmp_path / "t.onnx"), tmp_path / "t.engine"
    arguments = ["engine", str(model), "-o", str(output), "--library", "tensorrt_rtx"]
    more = ["--shapes", "faces", "--shapes", "1*8x8:2*16x12:4*40x20", "--optimization-level", "1"]
    result = CliRunner().invoke(app, [*arguments, *more, "--compute-capability", "8.9"])
    assert result.exit_code == 0, result.exception
    record = read_record(output)
    assert record.compute_capabilities == ("8.9",)
    assert record.flags["optimization_level"] == 1
    assert record.flags["strongly_typed"] is True
    assert [profile.name for profile in record.profiles] == ["faces", "1*8x8:2*16x12:4*40x20"]
    assert record.profiles[1].max == (4, 20, 40)
    assert record.build_seconds > 0
    assert record.version == rtx.version
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "t.engine", "t.engine.json", "t.onnx",
    ]  # fmt: skip
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 0
    assert [profile.name for profile in read_record(output).profiles] == ["faces", "close-ups"]


def test_certificate_goes_into_the_sidecar(rtx: Flavour, checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.onnx"
    assert CliRunner().invoke(app, ["onnx", str(checkpoint), "-o", str(target)]).exit_code == 0
    wanted = profiles(["8x8"], ModelSpec("m", "edge", 4))
    record = build_engine(target, tmp_path / "m.engine", wanted, rtx, Options(), command="again")
    assert record.parity == json.loads((tmp_path / "m.parity.json").read_text())


def test_progress_grows_to_one(rtx: Flavour, tmp_path: Path) -> None:
    seen: list[float] = []
    build_engine(
        tiny(tmp_path / "t.onnx"),
        tmp_path / "t.engine",
        profiles([], ModelSpec("t", "srresnet", 4, face_size=32)),
        rtx,
        Options(),
        command="again",
        on_progress=lambda share, _phase: seen.append(share),
    )
    assert len(seen) > 5
    assert seen == sorted(seen)
    assert 0 < seen[0] < 0.5
    assert len({share for share in seen if 0.2 < share < 1}) > 5
    assert seen[-1] == 1


def test_interruption_leaves_nothing(rtx: Flavour, tmp_path: Path) -> None:
    model = tiny(tmp_path / "t.onnx")
    wanted = profiles(["8x8"], ModelSpec("t", "srresnet", 4))
    seen: list[float] = []

    def interrupt(share: float, _phase: str) -> None:
        seen.append(share)
        if len(seen) == 1:
            signal.raise_signal(signal.SIGINT)

    def fail(share: float, phase: str) -> None:
        raise RuntimeError("terminal is gone")

    def attempt(on_progress: OnProgress) -> None:
        build_engine(
            model,
            tmp_path / "t.engine",
            wanted,
            rtx,
            Options(),
            command="",
            on_progress=on_progress,
        )

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        attempt(interrupt)
    assert seen[-1] < 1
    with pytest.raises(RuntimeError, match="terminal is gone"):
        attempt(fail)
    assert signal.getsignal(signal.SIGINT) is before
    assert list(tmp_path.iterdir()) == [model]


def test_unsupported_operator_is_named(rtx: Flavour, tmp_path: Path) -> None:
    shape = [None, 3, None, None]
    graph = helper.make_graph(
        [helper.make_node("Det", ["lr"], ["sr"], "det_0")],
        "g",
        [helper.make_tensor_value_info("lr", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("sr", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, ModelSpec("m", "edge", 4).to_metadata())
    save(model, tmp_path / "m.onnx")
    with pytest.raises(ModelFormatError, match=r"operator Det \(node det_0\).*srsdk-export onnx"):
        build_engine(
            tmp_path / "m.onnx",
            tmp_path / "m.engine",
            profiles([], ModelSpec("m", "edge", 4)),
            rtx,
            Options(),
            command="",
        )
    assert not (tmp_path / "m.engine").exists()


def test_a_network_that_cannot_be_built_is_one_line(rtx: Flavour, tmp_path: Path) -> None:
    """Weights for 4 input channels on an input of 3."""
    path = tiny(tmp_path / "t.onnx")
    model = load(path)
    weight = model.graph.initializer[0]
    wrong = numpy_helper.to_array(weight)[:, :2]
    weight.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(wrong), weight.name))
    save(model, path)
    wanted = profiles(["8x8"], ModelSpec("t", "srresnet", 4))
    with pytest.raises((ModelFormatError, EngineBuildError)) as caught:
        build_engine(path, tmp_path / "t.engine", wanted, rtx, Options(), command="")
    assert "\n" not in str(caught.value)


def test_options_of_the_other_flavour_are_refused(rtx: Flavour, tmp_path: Path) -> None:
    model = tiny(tmp_path / "t.onnx")
    wanted = profiles(["8x8"], ModelSpec("t", "srresnet", 4))

    def attempt(options: Options) -> None:
        build_engine(model, tmp_path / "t.engine", wanted, rtx, options, command="")

    with pytest.raises(InputError, match="--hardware"):
        attempt(Options(hardware="ampere-plus"))
    with pytest.raises(InputError, match=r"'6\.1'.*knows.*8\.9"):
        attempt(Options(capabilities=("6.1",)))


def test_models_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("text")
    path = tiny(tmp_path / "bare.onnx")
    bare = load(path)
    del bare.metadata_props[:]
    save(bare, path)
    for name, error in (
        ("text.onnx", ModelFormatError),
        ("bare.onnx", ModelFormatError),
        ("none.onnx", ModelNotFoundError),
    ):
        arguments = ["engine", str(tmp_path / name), "-o", str(tmp_path / "e.engine")]
        result = CliRunner().invoke(app, arguments)
        assert isinstance(result.exception, error), name
        assert name in str(result.exception)
    assert not (tmp_path / "e.engine").exists()


def test_presets_and_sizes() -> None:
    frames, crops = ModelSpec("f", "edge", 4), ModelSpec("c", "srresnet", 4, face_size=32)
    assert [profile.name for profile in profiles([], frames)] == list(FRAMES)
    assert [profile.name for profile in profiles([], crops)] == ["faces", "close-ups"]
    (exact,) = profiles(["320x180"], crops)
    assert exact.min == exact.opt == exact.max == (1, 180, 320)
    (batch,) = profiles(["4*64x48", "4*64x48"], frames)
    assert batch.opt == (4, 48, 64)
    assert batch.covers((4, 48, 64))
    assert not batch.covers((4, 64, 48))
    assert str(batch) == "4*64x48 (4*64x48)"
    small, large = profiles([FACES, CLOSE_UPS], crops)
    assert small.covers((16, 128, 16))
    assert not small.covers((1, 320, 320))
    assert large.covers((4, 320, 320))


@pytest.mark.parametrize(
    "text", ["", "portrait", "0x10", "10", "10x10:20x20", "20x20:10x10:30x30", "-1*8x8", "8x8x8"]
)
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match=re.escape(repr(text))):
        profiles([text], ModelSpec("m", "edge", 4))


def _without(modules: list[str], arguments: list[str]) -> Any:
    """Run the command line in a Python that cannot import these modules."""
    blocked = "".join(f"sys.modules[{name!r}] = None; " for name in modules)
    code = f"import sys; {blocked}sys.argv = ['srsdk-export', *{arguments!r}]; "
    code += "from srexport.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_without_tensorrt(tmp_path: Path) -> None:
    model = tiny(tmp_path / "t.onnx")
    arguments = ["engine", str(model), "-o", str(tmp_path / "t.engine")]
    result = _without(["tensorrt", "tensorrt_rtx"], arguments)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "pip install tensorrt-rtx-cu13" in result.stderr
    assert "pip install tensorrt " in result.stderr


def test_checkpoint_without_torch(checkpoint: Path, tmp_path: Path) -> None:
    result = _without(["torch"], ["onnx", str(checkpoint), "-o", str(tmp_path / "m.onnx")])
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "pip install 'srsdk[export]'" in result.stderr


def test_engines_need_no_torch(rtx: Flavour, tmp_path: Path) -> None:
    model, output = tiny(tmp_path / "t.onnx"), tmp_path / "t.engine"
    arguments = ["engine", str(model), "-o", str(output), "--library", "tensorrt_rtx"]
    result = _without(["torch", "srtrain"], arguments)
    assert result.returncode == 0, result.stderr
    assert read_record(output).command.startswith("srsdk-export engine ")
    assert sidecar_path(output).is_file()


def test_unknown_library() -> None:
    with pytest.raises(BackendUnavailableError, match="known: tensorrt, tensorrt_rtx"):
        find_flavour("abacus")
