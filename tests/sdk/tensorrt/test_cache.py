"""The TensorRT backend as far as it goes without a GPU: engines are really built and checked."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from srsdk import Upscaler, _kernels, zoo
from srsdk.backends.tensorrt import EngineGenerator
from srsdk.cuda.driver import find_gpu
from srsdk.errors import (
    BackendUnavailableError,
    CudaError,
    EngineMismatchError,
    InputError,
    ModelFormatError,
    ModelNotFoundError,
)
from srsdk.tensorrt.cache import cache_folder, cached_engine, engine_key
from srsdk.tensorrt.library import load_library
from srsdk.tensorrt.machine import check_engine
from srsdk.tensorrt.sidecar import read_record, sidecar_path

needs_rtx = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None, reason="tensorrt_rtx is not installed"
)
no_gpu = pytest.mark.skipif(find_gpu() is not None, reason="there is a GPU; see tests/gpu")
needs_kernels = pytest.mark.skipif(
    not _kernels.built_with_cuda(), reason="this build has no CUDA kernels"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One cache for the whole file, so that few engines are built."""
    monkeypatch.setenv("SRSDK_CACHE", str(folder))
    return folder


@pytest.fixture
def engine(cache: Path, models: dict[str, Path], tmp_path: Path) -> Path:
    """A real engine of a small generator, of the test's own."""
    built = cached_engine(models["edge-x2"], "tensorrt_rtx")
    for path in (built, sidecar_path(built)):
        shutil.copy(path, tmp_path / path.name)
    return tmp_path / built.name


def edit(engine: Path, **changes: Any) -> None:
    path = sidecar_path(engine)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def python(code: str, *missing: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a Python that cannot import some modules."""
    blocked = "".join(f"sys.modules[{name!r}] = None; " for name in missing)
    return subprocess.run(
        [sys.executable, "-c", f"import sys; {blocked}{code}"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def message(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stdout
    return done.stderr.strip().splitlines()[-1]


# ---- the cache


@needs_rtx
def test_built_once(cache: Path, models: dict[str, Path]) -> None:
    first = cached_engine(models["edge-x2"], "tensorrt_rtx")
    assert first.is_relative_to(cache / "engines")
    before = first.stat().st_mtime_ns
    assert cached_engine(models["edge-x2"], "tensorrt_rtx") == first
    assert first.stat().st_mtime_ns == before
    record = check_engine(first, load_library("tensorrt_rtx").machine(), models["edge-x2"])
    for size in [(1, 180, 320), (1, 720, 1280), (1, 1, 1), (1, 333, 517), (1, 1408, 1300)]:
        record.profile_for(size)
    assert record.profile_for((1, 360, 640)) != record.profile_for((1, 361, 640))
    with pytest.raises(InputError, match=r"takes no 1\*2000x1000, only 320x180.*--shapes"):
        record.profile_for((1, 1000, 2000))
    faces = read_record(cached_engine(models["residual-x4"], "tensorrt_rtx"))
    assert [profile.name for profile in faces.profiles] == ["faces", "close-ups"]


@needs_rtx
def test_a_key_for_everything_that_matters(models: dict[str, Path], tmp_path: Path) -> None:
    from srsdk.cuda.driver import GpuInfo
    from srsdk.tensorrt.flavour import find_flavour
    from srsdk.tensorrt.profiles import Profile

    flavour = find_flavour("tensorrt_rtx")
    model, copy = models["edge-x2"], tmp_path / "copy.onnx"
    shutil.copy(model, copy)
    profiles = (Profile("a", (1, 8, 8), (1, 8, 8), (1, 8, 8)),)
    wider = (Profile("a", (1, 8, 8), (1, 8, 8), (2, 8, 8)),)

    class Newer:
        __name__, __version__ = "tensorrt_rtx", "99.0"

    orin = GpuInfo("Orin", (8, 7), "12.6", 1 << 33)
    keys = [
        engine_key(model, flavour, profiles),
        engine_key(models["edge-x3"], flavour, profiles),
        engine_key(model, flavour, wider),
        engine_key(model, dataclasses.replace(flavour, trt=Newer()), profiles),
        engine_key(model, dataclasses.replace(flavour, name="tensorrt"), profiles),
        engine_key(model, dataclasses.replace(flavour, device=orin), profiles),
    ]
    assert len(set(keys)) == len(keys)
    assert engine_key(copy, flavour, profiles) == keys[0], "the name does not matter"


@needs_rtx
@pytest.mark.parametrize("damage", ["truncated", "no sidecar", "other version", "no engine"])
def test_a_damaged_one_is_built_again(
    cache: Path, models: dict[str, Path], tmp_path: Path, damage: str, monkeypatch: Any
) -> None:
    monkeypatch.setenv("SRSDK_CACHE", str(tmp_path))
    good = cached_engine(models["edge-x2"], "tensorrt_rtx")
    if damage == "truncated":
        good.write_bytes(good.read_bytes()[:1000])
    elif damage == "no sidecar":
        sidecar_path(good).unlink()
    elif damage == "other version":
        edit(good, version="1.0")
    else:
        good.unlink()
    assert cached_engine(models["edge-x2"], "tensorrt_rtx") == good
    check_engine(good, load_library("tensorrt_rtx").machine(), models["edge-x2"])
    assert len(list((tmp_path / "engines").iterdir())) == 1


@needs_rtx
def test_several_processes_build_at_once(models: dict[str, Path], tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from srsdk.tensorrt.cache import cached_engine; "
        f"print(cached_engine(Path({str(models['edge-x2'])!r}), 'tensorrt_rtx'))"
    )
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "SRSDK_CACHE": str(tmp_path)}
    running = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(3)
    ]
    outcomes = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], outcomes
    paths = {Path(printed.strip()) for printed, _ in outcomes}
    assert len(paths) == 1
    check_engine(paths.pop(), load_library("tensorrt_rtx").machine(), models["edge-x2"])
    assert len(list((tmp_path / "engines").iterdir())) == 1, "nothing half-built is left"


@needs_rtx
def test_an_interrupted_build_leaves_nothing(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import srsdk.tensorrt.cache

    def stopped(*_arguments: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("SRSDK_CACHE", str(tmp_path))
    monkeypatch.setattr(srsdk.tensorrt.cache, "build_engine", stopped)
    with pytest.raises(KeyboardInterrupt):
        cached_engine(models["edge-x2"], "tensorrt_rtx")
    assert list((tmp_path / "engines").iterdir()) == []


@needs_rtx
def test_a_cache_that_cannot_be(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SRSDK_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot be kept in .*SRSDK_CACHE"):
        cached_engine(models["edge-x2"], "tensorrt_rtx")


@pytest.mark.skipif(sys.platform != "linux", reason="the rules of Linux")
def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("SRSDK_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert cache_folder() == tmp_path / ".cache/srsdk"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache/srsdk"
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_folder() == Path("/elsewhere/srsdk")
    monkeypatch.setenv("SRSDK_CACHE", "~/own")
    assert cache_folder() == tmp_path / "own"


# ---- what is missing


def test_building_needs_tensorrt(models: dict[str, Path], tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from srsdk.tensorrt.cache import cached_engine; "
        f"cached_engine(Path({str(models['edge-x2'])!r}))"
    )
    said = message(python(code, "tensorrt", "tensorrt_rtx", SRSDK_CACHE=str(tmp_path)))
    assert "pip install tensorrt-rtx-cu13" in said
    assert list(tmp_path.iterdir()) == []


@needs_rtx
def test_an_engine_needs_its_library(engine: Path) -> None:
    code = f"from srsdk import Upscaler; Upscaler({str(engine)!r})"
    said = message(python(code, "tensorrt_rtx"))
    assert "this engine needs tensorrt_rtx" in said
    assert "pip install tensorrt-rtx-cu13" in said


@needs_rtx
@needs_kernels
@no_gpu
def test_without_a_driver(engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For real: the CUDA kernels are here and their driver is not."""
    monkeypatch.setenv("SRSDK_CACHE", str(tmp_path / "new"))
    for attempt in (
        lambda: Upscaler(engine),
        lambda: Upscaler("edge-x4", backend="tensorrt"),
        lambda: Upscaler(zoo.models()[0].path, backend="tensorrt"),
    ):
        with pytest.raises(BackendUnavailableError, match=r"nvidia-smi.*CPU backend") as caught:
            attempt()
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists(), "no engine is built that could not run"


@needs_rtx
def test_without_cuda_kernels(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import srsdk.cuda.device as device

    device.open_device.cache_clear()
    monkeypatch.setitem(sys.modules, "srsdk._kernels_cuda", None)
    monkeypatch.delattr("srsdk._kernels_cuda", raising=False)
    expected = "cannot be loaded" if _kernels.built_with_cuda() else "built without CUDA kernels"
    with pytest.raises(BackendUnavailableError, match=expected):
        Upscaler(engine)


@needs_rtx
@no_gpu
def test_deserialising_without_a_driver(engine: Path) -> None:
    """What TensorRT itself says goes into one line."""
    record = read_record(engine)
    with pytest.raises(CudaError, match=r"loading edge-x2\.engine failed on the GPU: ") as caught:
        EngineGenerator(engine, record, load_library(record.flavour))
    assert "\n" not in str(caught.value)


# ---- engines that do not fit: found before anything is deserialised


@needs_rtx
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": "1.0.0"}, r"version is 1\.0\.0, this machine has .*srsdk-export engine"),
        ({"engine_sha256": "0" * 64}, "engine_sha256 is not.*srsdk-export engine"),
        ({"engine_bytes": 5}, r"engine_bytes is \d+, its sidecar says 5.*srsdk-export engine"),
    ],
)
def test_edited_sidecars(engine: Path, changes: dict[str, Any], message: str) -> None:
    edit(engine, **changes)
    for backend in ("auto", "tensorrt"):
        with pytest.raises(EngineMismatchError, match=message):
            Upscaler(engine, backend=backend)


@needs_rtx
def test_damaged_engines(engine: Path, tmp_path: Path) -> None:
    whole = engine.read_bytes()
    engine.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EngineMismatchError, match=r"engine_bytes.*build it again"):
        Upscaler(engine)
    engine.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(EngineMismatchError, match="engine_sha256"):
        Upscaler(engine)
    engine.write_bytes(whole)
    edit(engine, flavour="abacus")
    with pytest.raises(BackendUnavailableError, match="no TensorRT 'abacus'"):
        Upscaler(engine)
    sidecar_path(engine).unlink()
    with pytest.raises(ModelFormatError, match="srsdk-export engine"):
        Upscaler(engine)
    with pytest.raises(ModelNotFoundError):
        Upscaler(tmp_path / "none.engine")


@needs_rtx
def test_engines_and_other_backends(engine: Path) -> None:
    for backend in ("native", "onnxruntime", "torch", "onnxruntime-cuda"):
        with pytest.raises(ModelFormatError, match=r"is an engine.*tensorrt"):
            Upscaler(engine, backend=backend)
