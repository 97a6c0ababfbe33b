"""`--plugin`: what the rewritten graph computes, which runtimes take it, and its engines.

TensorRT-RTX really builds engines here, in another process, since its parser ends the process if it
does not find a link on LD_LIBRARY_PATH. The plugin is the C++ library if that was built (it needs
TensorRT's headers); tests of the paths to it use a substitute in Python.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import helper, numpy_helper
from typer.testing import CliRunner

from srexport.cli import app
from srexport.onnx import build, load, read_spec, save
from srexport.plugin import use_plugin, with_meaning
from srexport.precision import convert
from srexport.runtimes import open_runner
from srexport.source import LayeredGenerator, fold
from srexport.verify import certify
from srsdk import Upscaler, reference
from srsdk.cli import app as srsdk_app
from srsdk.errors import BackendUnavailableError, InputError, ModelFormatError
from srsdk.spec import ModelSpec, Precision
from srsdk.tensorrt.plugin import LIBRARY, PLUGIN, VARIABLE, find_plugin
from srtrain.checkpoint import Checkpoint
from srtrain.config import ModelConfig
from srtrain.models import Edge, SRResNet, build_generator
from tests.export.test_precision import faces


def srresnet(scale: int = 4, tail: str = "subpixel", features: int = 16) -> onnx.ModelProto:
    torch.manual_seed(1)
    model = SRResNet(scale, features, 1).eval()
    spec = ModelSpec("tiny", "srresnet", scale, halo=model.halo, face_size=32)
    return build(LayeredGenerator(fold(model), spec), tail=tail)


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def run(model: onnx.ModelProto, size: tuple[int, int]) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    half = session.get_inputs()[0].type == "tensor(float16)"
    x = np.random.default_rng(0).random((2, 3, *size)).astype(np.float16 if half else np.float32)
    return np.asarray(session.run(None, {"lr": x})[0], np.float32)


# ---- the rewrite


@pytest.mark.parametrize(
    ("scale", "tail", "blocks", "precision"),
    [
        (4, "subpixel", 1, "fp32"),
        (4, "image", 2, "fp32"),
        (8, "subpixel", 2, "fp32"),
        (4, "image", 2, "fp16"),
        (4, "subpixel", 1, "int8"),
    ],
)
def test_it_computes_the_same(scale: int, tail: str, blocks: int, precision: Precision) -> None:
    plain = convert(srresnet(scale, tail, 48 if scale == 8 else 16), precision, faces(4)).model
    before = plain.SerializeToString()
    model = use_plugin(plain)
    assert plain.SerializeToString() == before, "the model given was changed"
    kinds, was = operators(model), operators(plain)
    assert kinds.count(PLUGIN) == blocks
    for gone in ("DepthToSpace", "PRelu"):
        assert kinds.count(gone) == was.count(gone) - blocks
    assert kinds.count("Conv") == was.count("Conv")
    ours, theirs = run(with_meaning(model), (13, 9)), run(plain, (13, 9))
    # The sums are rounded to half before the bias instead of behind it.
    assert np.abs(ours - theirs).max() < (1e-5 if precision == "fp32" else 0.02)
    assert theirs.std() > 0.01


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_its_meaning_is_that_of_the_kernel(dtype: type, factor: int) -> None:
    """The function that parity is proved with, against the NumPy form of pixel_shuffle_prelu."""
    channels = 5
    rng = np.random.default_rng(factor)
    x = (rng.normal(size=(2, channels * factor**2, 7, 3)) * 3).astype(dtype)
    bias = rng.normal(size=channels * factor**2).astype(np.float32)
    slope = rng.normal(size=channels).astype(np.float32)
    model = single(factor, channels, dtype, bias, slope)
    session = ort.InferenceSession(with_meaning(model).SerializeToString())
    got = session.run(None, {"lr": x})[0]
    expected = reference.pixel_shuffle_prelu(x, factor, bias, slope)
    assert got.dtype == expected.dtype == dtype
    np.testing.assert_array_equal(got, expected)


def test_spec_says_which_plugin_and_the_hash_is_of_the_new_weights() -> None:
    plain = srresnet()
    model = use_plugin(plain)
    spec = read_spec(model)
    assert spec.plugin == "srsdk.SrsdkPixelShufflePReLU 1"
    assert spec.name == "tiny-plugin"
    assert spec.sha256 != read_spec(plain).sha256
    assert ModelSpec.from_metadata(spec.to_metadata()) == spec


def test_a_generator_without_such_a_block_is_refused() -> None:
    torch.manual_seed(1)
    model = Edge(4, 8, 1).eval()
    source = LayeredGenerator(fold(model), ModelSpec("tiny", "edge", 4, halo=model.halo))
    with pytest.raises(InputError, match=r"no sub-pixel block .* without --plugin"):
        use_plugin(build(source))


def test_a_shuffle_that_others_read_too_stays() -> None:
    model = srresnet()
    shuffle = next(node for node in model.graph.node if node.op_type == "DepthToSpace")
    last = model.graph.node[-1]
    model.graph.node.append(helper.make_node("Identity", [shuffle.output[0]], ["peek"], "peek"))
    assert last.output[0] == model.graph.output[0].name
    with pytest.raises(InputError, match="no sub-pixel block"):
        use_plugin(model)


def test_the_other_order_of_depth_to_space_stays() -> None:
    model = srresnet()
    shuffle = next(node for node in model.graph.node if node.op_type == "DepthToSpace")
    for entry in shuffle.attribute:
        if entry.name == "mode":
            entry.s = b"DCR"
    with pytest.raises(InputError, match="no sub-pixel block"):
        use_plugin(model)


# ---- who takes such a model


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    save(use_plugin(srresnet()), path)
    return path


@pytest.mark.parametrize("backend", ["onnxruntime", "native", "torch", "auto"])
def test_other_runtimes_say_why_they_cannot(exported: Path, backend: str) -> None:
    with pytest.raises(ModelFormatError, match="--plugin, for TensorRT only") as raised:
        Upscaler(exported, backend=backend)
    assert "\n" not in str(raised.value)


def test_info_tells_what_it_is(exported: Path) -> None:
    result = CliRunner().invoke(srsdk_app, ["info", str(exported), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["plugin"] == "srsdk.SrsdkPixelShufflePReLU 1"


def test_parity_is_measured_through_the_meaning(exported: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.onnx"
    save(srresnet(), plain)
    ours, theirs = open_runner(exported), open_runner(plain, "reference")
    assert (ours.side.runtime, ours.side.file) == ("reference", "tiny.onnx")
    certificate = certify(theirs, ours, faces(2), "made up")
    certificate.check()
    assert certificate.parity.largest <= 1


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_cli_exports_and_certifies(checkpoint: Path, tmp_path: Path, precision: Precision) -> None:
    saved, trained = Checkpoint.load(checkpoint), tmp_path / "srresnet.pt"
    shape = ModelConfig(architecture="srresnet", scale=4, features=16, blocks=1)
    torch.manual_seed(1)
    weights = build_generator(shape).state_dict()
    recipe = dataclasses.replace(saved.recipe, model=shape)
    dataclasses.replace(saved, recipe=recipe, generator=weights, ema=weights).save(trained)
    output = tmp_path / "m.onnx"
    command = ["onnx", str(trained), "-o", str(output), "--plugin", "--precision", precision]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    model = load(output)
    assert operators(model).count(PLUGIN) == 1
    assert read_spec(model).plugin
    certificate = json.loads(output.with_suffix(".parity.json").read_text())
    assert certificate["passed"]
    assert certificate["b"]["runtime"] == "reference"
    assert certificate["b"]["sha256"] == read_spec(model).sha256
    result = CliRunner().invoke(app, ["verify", str(trained), str(output)])
    assert result.exit_code == 0, result.output


def test_the_zoo_takes_none(checkpoint: Path, tmp_path: Path) -> None:
    command = ["onnx", str(checkpoint), "-o", str(tmp_path / "m.onnx"), "--plugin", "--zoo"]
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, InputError)
    assert not list(tmp_path.iterdir())


def test_cli_refuses_a_generator_without_such_a_block(checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.onnx"
    result = CliRunner().invoke(app, ["onnx", str(checkpoint), "-o", str(output), "--plugin"])
    assert isinstance(result.exception, InputError)
    assert not list(tmp_path.iterdir())


def test_a_library_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "gone.so"))
    with pytest.raises(BackendUnavailableError, match=r"gone\.so"):
        find_plugin()


# ---- TensorRT-RTX


def single(
    factor: int, channels: int, dtype: type, bias: np.ndarray, slope: np.ndarray
) -> onnx.ModelProto:
    """The operator alone."""
    node = helper.make_node(
        PLUGIN, ["lr", "bias", "slope"], ["sr"], "only", domain="srsdk",
        r=factor, plugin_version="1", plugin_namespace="srsdk",
    )  # fmt: skip
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        [node],
        "only",
        [helper.make_tensor_value_info("lr", kind, ["n", channels * factor**2, "h", "w"])],
        [helper.make_tensor_value_info("sr", kind, ["n", channels, "H", "W"])],
        [numpy_helper.from_array(bias, "bias"), numpy_helper.from_array(slope, "slope")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("srsdk", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def in_process(code: str, *arguments: object, link: Path | None, **more: str) -> str:
    """What a Python process prints; `link` is a folder for the library by the parser's name."""
    environment = {**os.environ, **more}
    if link is not None:
        import tensorrt_rtx_libs

        wheel = Path(str(tensorrt_rtx_libs.__file__)).parent / "libtensorrt_rtx.so.1"
        (link / "libtensorrt_rtx.so").symlink_to(wheel)
        environment["LD_LIBRARY_PATH"] = str(link)
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def library() -> Path:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx-cu13 is for x86-64 Linux and Windows")
    try:
        return find_plugin()
    except BackendUnavailableError as error:
        pytest.skip(f"{LIBRARY} was not built, for want of TensorRT's headers: {error}")


BUILD = """
import sys
from pathlib import Path
from srsdk.tensorrt.building import Options, build_engine
from srsdk.tensorrt.flavour import find_flavour
from srexport.onnx import load, read_spec
from srsdk.tensorrt.profiles import profiles
model, output = map(Path, sys.argv[1:])
wanted = profiles([], read_spec(load(model)))
flavour = find_flavour("tensorrt_rtx")
record = build_engine(model, output, wanted, flavour, Options(), command="again")
print({kind: count for kind, count in record.layers.items() if "plugin" in kind})
"""

STAND_IN = (Path(__file__).parent / "plugin_stand_in.py").read_text()


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_engines_are_built_with_it(library: Path, tmp_path: Path, precision: Precision) -> None:
    model, output = tmp_path / "m.onnx", tmp_path / "m.engine"
    save(use_plugin(convert(srresnet(features=64), precision, faces(4)).model), model)
    said = in_process(BUILD, model, output, link=tmp_path, SRSDK_PLUGIN=str(library))
    wide = "float" if precision == "fp32" else "half"
    assert said.strip() == str({f"plugin_v3 {wide}": 1})
    record = json.loads((tmp_path / "m.engine.json").read_text())
    assert record["spec"]["plugin"] == "srsdk.SrsdkPixelShufflePReLU 1"
    assert PLUGIN.encode() in output.read_bytes()


def test_engines_are_built_with_a_stand_in(tmp_path: Path) -> None:
    """Without the C++ library: the graph, the parser's way to a plugin, its attributes."""
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx-cu13 is for x86-64 Linux and Windows")
    model, output = tmp_path / "m.onnx", tmp_path / "m.engine"
    save(use_plugin(srresnet(8, features=48)), model)
    said = in_process(STAND_IN + BUILD, model, output, link=tmp_path)
    assert said.strip() == str({"plugin_v3 float": 2})
    assert output.stat().st_size > 1000


def test_without_the_link_the_remedy_is_named(exported: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx-cu13 is for x86-64 Linux and Windows")
    tried = "try:\n" + "".join(f"    {line}\n" for line in BUILD.strip().splitlines())
    tried += "except ImportError as error:\n    print(error)\n"
    said = in_process(STAND_IN + tried, exported, tmp_path / "m.engine", link=None)
    assert "LD_LIBRARY_PATH" in said
    assert "libtensorrt_rtx.so.1" in said
    assert not (tmp_path / "m.engine").exists()


CREATOR = """
import sys
import numpy as np
import tensorrt_rtx as trt
from srsdk.tensorrt.plugin import load_plugin
load_plugin(trt)
load_plugin(trt)
creator = trt.get_plugin_registry().get_creator("SrsdkPixelShufflePReLU", "1", "srsdk")
print([(field.name, field.type.name, field.size) for field in creator.field_names])
def make(r, dtype=np.int32, phase=trt.TensorRTPhase.BUILD):
    kind = trt.PluginFieldType.INT32 if dtype == np.int32 else trt.PluginFieldType.INT64
    value = np.array([r], dtype)
    fields = trt.PluginFieldCollection([trt.PluginField("r", value, kind)])
    return creator.create_plugin("x", fields, phase)
print([r for r in range(-3, 20) if make(r) is not None])
print([r for r in (2, 2**32 + 2, 2**63 - 1) if make(r, np.int64) is not None])
print(creator.create_plugin("x", trt.PluginFieldCollection([]), trt.TensorRTPhase.BUILD))
"""


def test_creator(library: Path) -> None:
    said = in_process(CREATOR, link=None, SRSDK_PLUGIN=str(library)).splitlines()
    assert said == ["[('r', 'INT32', 1)]", "[1, 2, 3, 4, 8]", "[2]", "None"]


SHAPES = """
import sys
import tensorrt_rtx as trt
from srsdk.tensorrt.plugin import load_plugin
load_plugin(trt)
log = trt.Logger(trt.Logger.INTERNAL_ERROR)
for path in sys.argv[1:]:
    builder = trt.Builder(log)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, log)
    if not parser.parse(open(path, "rb").read()):
        print("refused")
        continue
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    channels = network.get_input(0).shape[1]
    profile.set_shape("lr", *[(n, channels, n, 5) for n in (1, 2, 7)])
    config.add_optimization_profile(profile)
    output = network.get_output(0)
    built = builder.build_serialized_network(network, config) is not None
    print(tuple(output.shape), output.dtype.name, built)
"""


def test_shapes_and_types(library: Path, tmp_path: Path) -> None:
    """TensorRT asks the plugin whether its inputs fit together, and stops parsing if not."""
    f32, f16 = np.float32, np.float16

    def weights(count: int, dtype: type = f32) -> np.ndarray:
        return np.ones(count, dtype)

    cases = [
        (single(2, 16, f32, weights(64), weights(16)), "(-1, 16, -1, -1) FLOAT True"),
        (single(2, 16, f16, weights(64), weights(16)), "(-1, 16, -1, -1) HALF True"),
        (single(3, 5, f16, weights(45), weights(5)), "(-1, 5, -1, -1) HALF True"),
        (single(8, 1, f32, weights(64), weights(1)), "(-1, 1, -1, -1) FLOAT True"),
        (single(4, 8, f32, weights(128), weights(1)), "(-1, 8, -1, -1) FLOAT True"),
        (single(2, 16, f32, weights(63), weights(16)), "refused"),
        (single(2, 16, f32, weights(64), weights(15)), "refused"),
        (single(5, 2, f32, weights(50), weights(2)), "refused"),
        (single(2, 16, f16, weights(64, f16), weights(16, f16)), "(-1, 16, -1, -1) HALF False"),
    ]
    paths = []
    for number, (model, _) in enumerate(cases):
        paths.append(tmp_path / f"{number}.onnx")
        save(model, paths[-1])
    said = in_process(SHAPES, *paths, link=tmp_path, SRSDK_PLUGIN=str(library))
    assert said.splitlines() == [expected for _, expected in cases]
    assert load(paths[0]).graph.node[0].op_type == PLUGIN
