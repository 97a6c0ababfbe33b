"""The native backend against ONNX Runtime, and its reader of files against the onnx package."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from srexport.onnx import build, save
from srexport.source import Conv, Layer, LayeredGenerator, PRelu, Relu, Residual, Shuffle
from srsdk import (
    InputError,
    ModelNotFoundError,
    ModelSpec,
    Upscaler,
    _kernels,
    onnxfile,
    zoo,
)
from srsdk.backends import open_backend
from srsdk.backends.native import NativeBackend
from srsdk.types import Color, ComputePrecision, Pixels
from tests.sdk.backends.agreement import (
    assert_any_layout,
    assert_close,
    assert_same_from_threads,
    beside_onnxruntime,
    half_weights,
    noise,
    other_operator,
    refuses_change,
    refuses_damage,
)

MODELS = ["edge-x2", "edge-x3", "edge-x4", "edge-x4-image", "edge-x8", "residual-x4"]
SIZES = [(1, 1), (1, 50), (3, 2), (4, 4), (5, 9), (64, 48)]


def both(path: Path | str, images: Pixels, color: Color = "bgr") -> tuple[Pixels, Pixels]:
    return beside_onnxruntime("native", Path(path), images, color)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("name", "precision", "last"),
    [
        ("edge-x4", "fp32", ["last layer + pack"]),
        ("edge-x4", "int8", ["last layer", "pack"]),
        ("srresnet-x4", "fp32", ["last layer", "pack"]),
    ],
)
def test_profile(name: str, precision: ComputePrecision, last: list[str], threads: int) -> None:
    frames = noise(2, 32, 24)
    path = Path(zoo.find(name))
    backend = NativeBackend(path, threads=threads, precision=precision)
    expected, out = backend.run(frames), np.zeros((2, 128, 96, 3), np.uint8)
    began = time.perf_counter()
    parts = backend.profile(frames, out)
    whole = time.perf_counter() - began
    assert np.array_equal(out, expected)
    assert list(parts) == ["unpack", "first layer", "hidden layers", *last]
    assert all(seconds > 0 for seconds in parts.values())
    assert sum(parts.values()) <= whole
    assert set(backend.profile(frames[:0]).values()) == {0.0}
    backend.close()
    with pytest.raises(InputError, match="closed"):
        backend.profile(frames)


@pytest.mark.parametrize("color", ["bgr", "rgb"])
@pytest.mark.parametrize("name", MODELS)
def test_equals_onnx_runtime(models: dict[str, Path], isa: str, name: str, color: str) -> None:
    assert_close(*both(models[name], noise(2, 23, 37), color=color))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["edge-x4", "srresnet-x4"])
def test_bundled_models_at_odd_sizes(isa: str, name: str, size: tuple[int, int]) -> None:
    assert_close(*both(zoo.find(name), noise(1, *size)))


def test_bundled_models_at_their_own_sizes() -> None:
    assert_close(*both(zoo.find("edge-x4"), noise(1, 180, 320)))
    assert_close(*both(zoo.find("srresnet-x4"), noise(4, 32, 32)))
    assert_close(*both(zoo.find("srresnet-x4"), noise(1, 56, 56)))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_random_chains(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Any sizes of kernels and channels, activations, sums and shuffles anywhere."""
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))

    def conv(inputs: int, outputs: int, gain: float = 1.0) -> Conv:
        size = data.draw(st.sampled_from([1, 3, 5, 7]))
        weight = random.standard_normal((outputs, inputs, size, size))
        weight *= gain / (inputs * size**2) ** 0.5
        bias = random.standard_normal(outputs) * 0.1
        return Conv(weight.astype(np.float32), bias.astype(np.float32))

    def activation(channels: int) -> tuple[Layer, ...]:
        slope = PRelu(random.uniform(-0.5, 1.5, channels).astype(np.float32))
        return data.draw(st.sampled_from([(), (Relu(),), (slope,)]))

    counts = data.draw(st.lists(st.sampled_from([1, 3, 8, 20, 70]), min_size=1, max_size=3))
    layers: list[Layer] = []
    before, scale = 3, 1
    for count in counts:
        if scale < 4 and data.draw(st.booleans()):
            layers += [conv(before, count * 4), Shuffle(2)]
            scale *= 2
        else:
            layers.append(conv(before, count))
        layers += activation(count)
        if data.draw(st.booleans()):
            layers.append(Residual((conv(count, 9), *activation(9), conv(9, count, 0.3))))
        before = count
    layers += [conv(before, 12, 0.3), Shuffle(2)]
    spec = ModelSpec(
        "chain", "test", scale * 2, base=data.draw(st.sampled_from(["none", "bilinear"]))
    )
    path = tmp_path_factory.mktemp("chain") / "chain.onnx"
    tail = "image" if scale > 1 else data.draw(st.sampled_from(["image", "subpixel"]))
    save(build(LayeredGenerator(tuple(layers), spec), tail=tail), path)
    shape = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 20)))
    assert_close(*both(path, noise(*shape)))


def test_strides_of_frames_and_outputs(models: dict[str, Path]) -> None:
    assert_any_layout(open_backend("native", models["edge-x4"]), noise(3, 40, 60))


def test_thread_counts_and_repetitions_give_the_same_bits() -> None:
    images = noise(3, 40, 51)
    expected = open_backend("native", Path(zoo.find("srresnet-x4")), threads=1).run(images[:, :20])
    for threads in (2, 3, 8):
        backend = open_backend("native", Path(zoo.find("srresnet-x4")), threads=threads)
        for _ in range(3):
            backend.run(images)  # another size in between: no value is left in a border
            np.testing.assert_array_equal(backend.run(images[:, :20]), expected)


def test_many_threads_share_one_backend(models: dict[str, Path]) -> None:
    backend = open_backend("native", models["residual-x4"], threads=2)
    images = [noise(1, 60 + 3 * n, 140 - n, seed=n) for n in range(6)]
    assert_same_from_threads(backend.run, images, threads=5, calls=12)


def test_closed_is_closed(models: dict[str, Path]) -> None:
    upscaler = Upscaler(models["edge-x4"], backend="native")
    upscaler.close()
    upscaler.close()
    with pytest.raises(InputError, match="closed"):
        upscaler(noise(4, 4))


def test_info_and_auto(models: dict[str, Path], tmp_path: Path) -> None:
    with Upscaler(models["edge-x4"], backend="native", threads=1) as upscaler:
        info = upscaler.info.frames
    assert (info.name, info.device, info.threads) == ("native", "cpu", 1)
    assert info.spec.name == "edge-x4"
    quick = _kernels.isa() != "portable"
    with Upscaler(models["edge-x4"]) as upscaler:
        assert upscaler.info.frames.name == ("native" if quick else "onnxruntime")
    model = onnx.load(models["edge-x4"])
    model.graph.node[1].op_type = "Sigmoid"
    onnx.save(model, tmp_path / "sigmoid.onnx")
    with Upscaler(tmp_path / "sigmoid.onnx") as upscaler:
        assert upscaler.info.frames.name == "onnxruntime"


def test_a_file_is_read_as_onnx_reads_it(models: dict[str, Path]) -> None:
    for path in (*models.values(), Path(zoo.find("srresnet-x4"))):
        ours, theirs = onnxfile.read(path), onnx.load(path)
        assert ours.metadata == {entry.key: entry.value for entry in theirs.metadata_props}
        assert [ours.input, ours.output] == [
            theirs.graph.input[0].name,
            theirs.graph.output[0].name,
        ]
        assert len(ours.weights) == len(theirs.graph.initializer)
        for weight in theirs.graph.initializer:
            np.testing.assert_array_equal(ours.weights[weight.name], numpy_helper.to_array(weight))
        for node, expected in zip(ours.nodes, theirs.graph.node, strict=True):
            assert (node.kind, node.output) == (expected.op_type, expected.output[0])
            assert node.inputs == tuple(expected.input)
            for attribute in expected.attribute:
                value = helper.get_attribute_value(attribute)
                value = value.decode() if isinstance(value, bytes) else value
                assert node.attributes[attribute.name] == (
                    tuple(value) if isinstance(value, list) else value
                )


def strided(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("strides", [2, 2]))


def unpadded(model: onnx.ModelProto) -> None:
    del model.graph.node[0].attribute[:]


def branch(model: onnx.ModelProto) -> None:
    """The first activation's input is read again behind it."""
    model.graph.node[2].input[0] = model.graph.node[0].output[0]


@pytest.mark.parametrize("change", [strided, unpadded, other_operator, branch, half_weights])
def test_what_it_cannot_run_is_named(
    models: dict[str, Path], tmp_path: Path, change: Callable[[onnx.ModelProto], None]
) -> None:
    refuses_change("native", models["edge-x4"], tmp_path, change)


def test_damaged_files_are_refused(models: dict[str, Path], tmp_path: Path) -> None:
    refuses_damage("native", models["edge-x4"], tmp_path, changes=300)
    with pytest.raises(ModelNotFoundError, match="no model file"):
        open_backend("native", tmp_path / "missing.onnx")


def test_network_checks_its_layers() -> None:
    def layer(
        outputs: int, inputs: int, size: int = 3, biases: int | None = None, **changes: object
    ) -> _kernels.Convolution:
        weight = np.zeros((outputs, inputs, size, size), np.float32)
        bias = np.zeros(outputs if biases is None else biases, np.float32)
        return _kernels.Convolution(weight, bias, **{"source": 0, **changes})  # type: ignore[arg-type]

    for layers, message in (
        ([], "epilogue"),
        ([layer(5, 3)], "epilogue"),
        ([layer(3, 4)], "inputs"),
        ([layer(3, 3, 4)], "odd"),
        ([layer(3, 3, biases=2)], "bias"),
        ([layer(3, 3, source=1)], "not there"),
        ([layer(3, 3, source=-1)], "not there"),
        ([layer(3, 3, add=5)], "not there"),
        ([layer(3, 3, add=0)], "not there"),
        ([layer(3, 3, shuffle=2)], "shuffled"),
        ([layer(3, 3, shuffle=0)], "shuffled"),
        ([layer(3, 3, slope=np.zeros(2, np.float32))], "slope"),
        ([layer(8, 3), layer(3, 8, source=1, add=1)], "another shape"),
    ):
        with pytest.raises(ValueError, match=message):
            _kernels.Network(layers, scale=1, shuffle=1)
    network = _kernels.Network([layer(3, 3)], scale=1, shuffle=1)
    frame = noise(4, 5)
    for dst, message in (
        (np.zeros((4, 6, 3), np.uint8), "shape"),
        (np.zeros((1, 4, 5, 3), np.uint8), "shape"),
        (frame, "overlap|memory"),
    ):
        with pytest.raises(ValueError, match=message):
            network.run_into(dst, frame)
    network.run_into(np.zeros((0, 4, 5, 3), np.uint8), np.zeros((0, 4, 5, 3), np.uint8))
