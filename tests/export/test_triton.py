"""The server's configuration parses as Triton's `ModelConfig`, and agrees with the graph."""

from __future__ import annotations

import importlib.util
from importlib.metadata import files
from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest
from google.protobuf import text_format
from google.protobuf.runtime_version import VersionError
from typer.testing import CliRunner

from srexport.cli import app
from srexport.onnx import save
from srexport.precision import convert
from srexport.triton import Served, configuration, write_repository
from srsdk.errors import EngineMismatchError, InputError, ModelFormatError, ModelNotFoundError
from srsdk.spec import ModelSpec, TrainingSummary
from tests.export.test_precision import edge
from tests.export.tiny import tiny
from tests.sdk.tensorrt.stand_in import edit


@pytest.fixture(scope="module")
def schema() -> Any:
    """`ModelConfig` as NVIDIA ships it; read by itself, since its package wants gRPC."""
    pytest.importorskip("tritonclient")
    source = next(f for f in files("tritonclient") or [] if f.name == "model_config_pb2.py")
    spec = importlib.util.spec_from_file_location("model_config_pb2", str(source.locate()))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except VersionError as error:
        pytest.skip(f"tritonclient was generated for another protobuf: {error}")
    return module


def parsed(schema: Any, text: str) -> Any:
    return text_format.Parse(text, schema.ModelConfig())


def test_face_crops_are_batched(schema: Any, tmp_path: Path) -> None:
    model = tiny(tmp_path / "t.onnx")
    repository = tmp_path / "repository"
    result = CliRunner().invoke(app, ["triton", str(model), "-o", str(repository)])
    assert result.exit_code == 0, result.exception
    found = sorted(str(p.relative_to(repository)) for p in repository.rglob("*") if p.is_file())
    assert found == ["tiny/1/model.onnx", "tiny/config.pbtxt"]
    assert (repository / "tiny/1/model.onnx").read_bytes() == model.read_bytes()
    config = parsed(schema, (repository / "tiny/config.pbtxt").read_text())
    assert config.name == "tiny"
    assert config.platform == "onnxruntime_onnx"
    assert config.default_model_filename == "model.onnx"
    assert config.max_batch_size == 16
    assert list(config.dynamic_batching.preferred_batch_size) == [4, 8, 16]
    assert config.dynamic_batching.max_queue_delay_microseconds == 2000
    assert not config.instance_group
    text = config.parameters["srsdk.spec"].string_value
    assert ModelSpec.from_metadata({"srsdk.spec": text}).name == "tiny"


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_tensors_are_those_of_the_graph(schema: Any, tmp_path: Path, precision: str) -> None:
    path = tmp_path / "m.onnx"
    save(convert(edge(), precision).model, path)  # type: ignore[arg-type]
    folder = write_repository(path, tmp_path / "r", name="frames", version=7)
    config = parsed(schema, (folder / "config.pbtxt").read_text())
    assert (folder / "7" / "model.onnx").is_file()
    assert config.name == folder.name == "frames"
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = {schema.TYPE_FP32: "tensor(float)", schema.TYPE_FP16: "tensor(float16)"}
    for ours, theirs in (
        (config.input, session.get_inputs()),
        (config.output, session.get_outputs()),
    ):
        assert [tensor.name for tensor in ours] == [node.name for node in theirs]
        assert names[ours[0].data_type] == theirs[0].type
        shape = [size if isinstance(size, int) else -1 for size in theirs[0].shape]
        assert list(ours[0].dims) == shape[1:]
    # Whole frames are not batched.
    assert config.max_batch_size == 1
    assert not config.HasField("dynamic_batching")


def test_engine_becomes_a_plan(schema: Any, engine: Path, tmp_path: Path) -> None:
    folder = write_repository(engine, tmp_path / "r", delay=500)
    config = parsed(schema, (folder / "config.pbtxt").read_text())
    assert (folder / "1" / "model.plan").read_bytes() == engine.read_bytes()
    assert config.platform == "tensorrt_plan"
    assert config.input[0].data_type == schema.TYPE_FP16
    assert config.max_batch_size == 16
    assert config.dynamic_batching.max_queue_delay_microseconds == 500
    (group,) = config.instance_group
    assert group.kind == schema.ModelInstanceGroup.KIND_GPU
    assert list(group.profile) == ["0"]


@pytest.mark.parametrize(
    ("batch", "preferred"), [(2, [2]), (4, [4]), (5, [4, 5]), (8, [4, 8]), (24, [4, 8, 16, 24])]
)
def test_preferred_batches(schema: Any, batch: int, preferred: list[int]) -> None:
    served = Served("m", "onnxruntime_onnx", "model.onnx", ModelSpec("m", "edge", 4), batch)
    config = parsed(schema, configuration(served))
    assert list(config.dynamic_batching.preferred_batch_size) == preferred


def test_names_with_quotes_and_other_letters(schema: Any) -> None:
    spec = ModelSpec('m"\\', "edge", 4, training=TrainingSummary(data='a "b"\nç \\ 漢'))
    served = Served(spec.name, "onnxruntime_onnx", "model.onnx", spec, 1)
    config = parsed(schema, configuration(served))
    assert config.name == spec.name
    text = config.parameters["srsdk.spec"].string_value
    assert ModelSpec.from_metadata({"srsdk.spec": text}) == spec


def test_what_cannot_be_served(engine: Path, tmp_path: Path) -> None:
    repository = tmp_path / "r"
    with pytest.raises(InputError, match="up to 16, not 32"):
        write_repository(engine, repository, max_batch=32)
    edit(engine, flavour="tensorrt_rtx")
    with pytest.raises(InputError, match=r"TensorRT-RTX.*ONNX"):
        write_repository(engine, repository)
    engine.write_bytes(engine.read_bytes()[:-1])
    with pytest.raises(EngineMismatchError, match="engine_bytes"):
        write_repository(engine, repository)
    with pytest.raises(ModelNotFoundError):
        write_repository(tmp_path / "none.onnx", repository)
    (tmp_path / "text.onnx").write_text("text")
    with pytest.raises(ModelFormatError):
        write_repository(tmp_path / "text.onnx", repository)
    assert not repository.exists()
