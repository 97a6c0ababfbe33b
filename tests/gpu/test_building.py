"""On a GPU: engines are built for it, deserialise on it, and are refused on another."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import pytest

from srexport.onnx import load, read_spec
from srsdk.errors import EngineMismatchError
from srsdk.tensorrt.building import Options, build_engine
from srsdk.tensorrt.flavour import Flavour, find_flavour
from srsdk.tensorrt.machine import check_engine
from srsdk.tensorrt.profiles import profiles
from tests.export.tiny import tiny

pytestmark = pytest.mark.gpu


@pytest.fixture(params=["tensorrt", "tensorrt_rtx"])
def flavour(request: pytest.FixtureRequest) -> Flavour:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    found = find_flavour(request.param)
    if found.device is None:
        pytest.skip("no CUDA driver finds a GPU")
    return found


def build(tmp_path: Path, flavour: Flavour, options: Options) -> Path:
    model, output = tiny(tmp_path / "t.onnx"), tmp_path / "t.engine"
    wanted = profiles([], read_spec(load(model)))
    build_engine(model, output, wanted, flavour, options, command="again")
    return output


def test_an_engine_built_here_runs_here(flavour: Flavour, tmp_path: Path) -> None:
    output = build(tmp_path, flavour, Options())
    record = check_engine(output, flavour.machine(), tmp_path / "t.onnx")
    assert flavour.device is not None
    assert record.device == flavour.device.name
    assert record.driver == flavour.device.driver
    runtime = flavour.trt.Runtime(flavour.trt.Logger(flavour.trt.Logger.ERROR))
    engine = runtime.deserialize_cuda_engine(output.read_bytes())
    assert engine is not None
    assert engine.num_optimization_profiles == len(record.profiles)


def test_an_engine_for_another_gpu_is_refused(flavour: Flavour, tmp_path: Path) -> None:
    output = build(tmp_path, flavour, Options())
    machine = dataclasses.replace(flavour.machine(), compute_capability=(5, 3))
    with pytest.raises(EngineMismatchError, match=r"this GPU has 5\.3"):
        check_engine(output, machine)


def test_timing_cache_is_kept_and_reused(flavour: Flavour, tmp_path: Path) -> None:
    if not flavour.has_timing_cache:
        pytest.skip("TensorRT-RTX times nothing")
    cache = tmp_path / "timing"
    build(tmp_path, flavour, Options(timing_cache=cache))
    first = cache.stat().st_size
    assert first > 0
    build(tmp_path, flavour, Options(timing_cache=cache))
    assert cache.stat().st_size >= first


def test_wider_compatibility(flavour: Flavour, tmp_path: Path) -> None:
    if flavour.name != "tensorrt":
        pytest.skip("TensorRT-RTX engines are portable as they are")
    assert flavour.device is not None
    if flavour.device.compute_capability < (8, 0):
        pytest.skip("ampere-plus needs an Ampere or later GPU")
    options = Options(hardware="ampere-plus", version_compatible=True)
    output = build(tmp_path, flavour, options)
    machine = flavour.machine()
    for capability in ((8, 0), (9, 0), (12, 0)):
        check_engine(output, dataclasses.replace(machine, compute_capability=capability))
    with pytest.raises(EngineMismatchError, match="compute_capabilities"):
        check_engine(output, dataclasses.replace(machine, compute_capability=(7, 5)))
