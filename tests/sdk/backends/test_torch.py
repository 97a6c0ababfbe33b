"""The torch backend on the CPU against ONNX Runtime; tests/gpu/test_torch.py has the rest."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from srexport.onnx import load, save
from srexport.precision import convert
from srsdk import InputError, ModelFormatError, ModelNotFoundError, Upscaler, zoo
from srsdk.backends import open_backend
from srsdk.types import Backend, Color, Pixels
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

pytest.importorskip("torch")

MODELS = ["edge-x2", "edge-x3", "edge-x4", "edge-x4-image", "edge-x8", "residual-x4"]
ZOO = ["edge-x4", "srresnet-x4"]


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests use the CPU, even on a machine with a GPU."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


def both(path: Path, images: Pixels, color: Color = "bgr") -> tuple[Pixels, Pixels]:
    return beside_onnxruntime("torch", path, images, color)


@pytest.mark.parametrize("color", ["bgr", "rgb"])
@pytest.mark.parametrize("name", MODELS)
def test_equals_onnx_runtime(models: dict[str, Path], name: str, color: Color) -> None:
    assert_close(*both(models[name], noise(2, 23, 37), color=color))


@pytest.mark.parametrize("size", [(1, 1, 1), (1, 1, 50), (1, 17, 3), (3, 31, 32), (16, 8, 9)])
@pytest.mark.parametrize("name", ZOO)
def test_bundled_models(name: str, size: tuple[int, int, int]) -> None:
    assert_close(*both(Path(zoo.find(name)), noise(*size)))


@settings(max_examples=25, deadline=None)
@given(
    size=st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 40)),
    name=st.sampled_from(MODELS),
)
def test_any_size(models: dict[str, Path], size: tuple[int, int, int], name: str) -> None:
    assert_close(*both(models[name], noise(*size)))


def test_input_and_output_in_any_layout(models: dict[str, Path]) -> None:
    assert_any_layout(open_backend("torch", models["edge-x4"]), noise(2, 60, 80))


def test_results_do_not_share_memory(models: dict[str, Path]) -> None:
    backend = open_backend("torch", models["edge-x4"])
    first = backend.run(noise(1, 9, 9))
    kept = first.copy()
    backend.run(noise(1, 9, 9, seed=1))
    np.testing.assert_array_equal(first, kept)


def test_several_threads(models: dict[str, Path]) -> None:
    backend = open_backend("torch", models["residual-x4"])
    images = [noise(1 + n % 2, 8 + n, 15 - n, seed=n) for n in range(6)]
    assert_same_from_threads(backend.run, images, threads=4, calls=12)


def test_through_upscaler(models: dict[str, Path]) -> None:
    """Tiles, gray and alpha, and its `info`."""
    import torch

    image = np.dstack([noise(40, 50), np.full((40, 50, 1), 200, np.uint8)])
    before = torch.get_num_threads()
    try:
        with (
            Upscaler(models["edge-x4"], backend="torch", tile=16, threads=1) as ours,
            Upscaler(models["edge-x4"], backend="onnxruntime") as theirs,
        ):
            for view in (image, image[..., :3], image[..., 0]):
                assert_close(ours(view), theirs(view))
            info = ours.info.frames
    finally:
        torch.set_num_threads(before)
    assert (info.name, info.device, info.threads) == ("torch", "cpu", 1)
    assert info.version == torch.__version__
    assert info.spec.name == "edge-x4"


def test_closed_is_closed(models: dict[str, Path]) -> None:
    backend: Backend = open_backend("torch", models["edge-x4"])
    backend.close()
    backend.close()
    with pytest.raises(InputError, match="closed"):
        backend.run(noise(1, 4, 4))


def test_auto_never_takes_it(models: dict[str, Path]) -> None:
    code = (
        "import sys; from pathlib import Path; from srsdk import Upscaler; "
        f"Upscaler(Path({str(models['edge-x4'])!r})); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_without_torch(models: dict[str, Path]) -> None:
    """The error is one line that names the command; other backends still work."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path; import srsdk\n"
        f"model = Path({str(models['edge-x4'])!r})\n"
        "for _ in range(2):\n"
        "    try: srsdk.Upscaler(model, backend='torch')\n"
        "    except srsdk.BackendUnavailableError as error: print(error)\n"
        "srsdk.Upscaler(model)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first == second
    assert "pip install 'srsdk[train]'" in first


def other_shuffle(model: onnx.ModelProto) -> None:
    node = model.graph.node[-1]
    node.op_type = "DepthToSpace"
    del node.attribute[:], node.input[1:]
    node.attribute.extend([helper.make_attribute("blocksize", 2)])


def one_sided_padding(model: onnx.ModelProto) -> None:
    for attribute in model.graph.node[0].attribute:
        if attribute.name == "pads":
            attribute.ints[:] = [0, 0, 2, 2]


def before_it_is_made(model: onnx.ModelProto) -> None:
    model.graph.node[1].input[0] = model.graph.node[-1].output[0]


@pytest.mark.parametrize(
    "change", [other_operator, other_shuffle, one_sided_padding, before_it_is_made, half_weights]
)
def test_what_it_cannot_run_is_named(
    models: dict[str, Path], tmp_path: Path, change: Callable[[onnx.ModelProto], None]
) -> None:
    refuses_change("torch", models["edge-x4"], tmp_path, change)


def test_strides_and_groups_are_obeyed(models: dict[str, Path], tmp_path: Path) -> None:
    """A stride of two and an enlargement by two: not what the exporter writes, but ONNX."""
    model = onnx.load(models["edge-x4"])
    model.graph.node[0].attribute.append(helper.make_attribute("strides", [2, 2]))
    path = tmp_path / "strided.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(
        ModelFormatError, match=r"strided\.onnx: sr of an 8x8 frame is \(48, 4, 4\)"
    ):
        open_backend("torch", path)
    grouped = onnx.load(models["edge-x4"])
    node, name = grouped.graph.node[2], grouped.graph.node[2].input[1]
    weight = next(w for w in grouped.graph.initializer if w.name == name)
    values = np.ascontiguousarray(numpy_helper.to_array(weight)[:, :2])
    weight.CopyFrom(numpy_helper.from_array(values, name))
    path.write_bytes(grouped.SerializeToString())
    with pytest.raises(ModelFormatError, match="export it again") as caught:
        open_backend("torch", path)
    assert "\n" not in str(caught.value)
    node.attribute.append(helper.make_attribute("group", 4))
    path.write_bytes(grouped.SerializeToString())
    assert_close(*both(path, noise(2, 11, 13)))


def test_precision_is_for_the_gpu(tmp_path: Path) -> None:
    half = convert(load(Path(zoo.find("edge-x4"))), "fp16").model
    save(half, tmp_path / "half.onnx")
    with pytest.raises(ModelFormatError, match=r"half\.onnx is fp16.*--precision fp32"):
        open_backend("torch", tmp_path / "half.onnx")


@pytest.mark.parametrize("name", ZOO)
def test_float16_as_on_a_gpu(name: str) -> None:
    """The GPU's arithmetic, on the CPU: within what the exporter asks of float16."""
    import torch

    from srsdk.backends.torchgraph import TorchGraph

    path, images = Path(zoo.find(name)), noise(2, 13, 17)
    generator = TorchGraph(path).to(torch.float16, memory_format=torch.channels_last)  # type: ignore[call-overload]
    ours = generator(torch.from_numpy(images)).numpy()
    theirs = open_backend("onnxruntime", path).run(images)
    error = np.abs(ours.astype(int) - theirs.astype(int))
    assert error.max() <= 2
    assert np.mean(error > 1) <= 1e-3


def test_damaged_and_missing_files(models: dict[str, Path], tmp_path: Path) -> None:
    refuses_damage("torch", models["edge-x4"], tmp_path, changes=100)
    with pytest.raises(ModelNotFoundError, match="no model file"):
        open_backend("torch", tmp_path / "missing.onnx")
