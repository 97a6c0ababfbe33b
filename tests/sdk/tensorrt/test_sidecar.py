"""An engine is checked against its sidecar before anything of it is deserialised."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from srexport.runtimes import Side
from srexport.verify import Certificate, Parity, Tolerance
from srsdk.cuda.driver import find_gpu
from srsdk.errors import EngineMismatchError, InputError, ModelFormatError, ModelNotFoundError
from srsdk.tensorrt.machine import Machine, check_engine, this_machine, this_platform
from srsdk.tensorrt.profiles import Profile
from srsdk.tensorrt.sidecar import read_record, sidecar_path
from tests.sdk.tensorrt.stand_in import edit

ORIN = Machine("tensorrt", "10.3.0", (8, 7), "12.6", "Linux aarch64")
RTX = Machine("tensorrt_rtx", "1.7.1.116", (12, 0), "13.0", "Linux x86_64")


def test_what_fits(engine: Path) -> None:
    record = check_engine(engine, ORIN, engine.with_name("face.onnx"))
    assert record == read_record(engine)
    assert record.spec.precision == "fp16"
    assert record.profiles[0].covers((16, 128, 16))
    assert sidecar_path(engine).name == "face.engine.json"
    # Without a GPU, what needs one is not judged.
    check_engine(engine, dataclasses.replace(ORIN, compute_capability=None, driver=""))


@pytest.mark.parametrize(
    ("machine", "field"),
    [
        ({"flavour": "tensorrt_rtx"}, "flavour is tensorrt, this machine has tensorrt_rtx"),
        ({"version": "10.7.0"}, "version is 10.3.0, this machine has 10.7.0"),
        ({"version": "8.6.2"}, "version is 10.3.0, this machine has 8.6.2"),
        ({"compute_capability": (8, 6)}, "compute_capabilities is 8.7, this GPU has 8.6"),
        ({"compute_capability": (9, 0)}, "compute_capabilities is 8.7, this GPU has 9.0"),
        ({"driver": "12.2"}, "driver is CUDA 12.6, this machine has the older 12.2"),
        ({"platform": "Linux x86_64"}, "platform is Linux aarch64, this machine is Linux x86_64"),
    ],
)
def test_another_machine(engine: Path, machine: dict[str, Any], field: str) -> None:
    with pytest.raises(EngineMismatchError) as caught:
        check_engine(engine, dataclasses.replace(ORIN, **machine))
    message = str(caught.value)
    assert field in message
    assert message.endswith("build it again: srsdk-export engine face.onnx -o face.engine")
    assert "\n" not in message


def test_newer_driver_is_fine(engine: Path) -> None:
    check_engine(engine, dataclasses.replace(ORIN, driver="13.0"))
    edit(engine, driver="12.10")
    with pytest.raises(EngineMismatchError, match="driver"):
        check_engine(engine, dataclasses.replace(ORIN, driver="12.9"))


def test_version_compatible_engines_take_later_versions(engine: Path) -> None:
    edit(engine, flags={"version_compatible": True})
    check_engine(engine, dataclasses.replace(ORIN, version="10.16.1"))
    for version in ("10.0.1", "11.0.0"):
        with pytest.raises(EngineMismatchError, match="version"):
            check_engine(engine, dataclasses.replace(ORIN, version=version))


def test_engines_for_many_gpus(engine: Path) -> None:
    edit(
        engine,
        flavour="tensorrt_rtx",
        version=RTX.version,
        driver="",
        compute_capabilities=["7.5", "8.9+"],
    )
    for capability in ((7, 5), (8, 9), (12, 0)):
        check_engine(engine, dataclasses.replace(RTX, compute_capability=capability))
    check_engine(engine, dataclasses.replace(RTX, platform="Windows AMD64"))
    for capability in ((7, 0), (8, 0), (8, 6)):
        with pytest.raises(EngineMismatchError, match=r"7\.5, 8\.9\+"):
            check_engine(engine, dataclasses.replace(RTX, compute_capability=capability))


def test_truncated_or_changed_engine(engine: Path) -> None:
    whole = engine.read_bytes()
    for damaged, field in ((whole[:-1], "engine_bytes"), (b"P" + whole[1:], "engine_sha256")):
        engine.write_bytes(damaged)
        with pytest.raises(EngineMismatchError, match=f"{field}.*build it again"):
            check_engine(engine, ORIN)


def test_changed_model(engine: Path) -> None:
    engine.with_name("face.onnx").write_bytes(b"trained on")
    check_engine(engine, ORIN)
    with pytest.raises(EngineMismatchError, match=r"model_sha256.*face\.onnx"):
        check_engine(engine, ORIN, engine.with_name("face.onnx"))


def test_missing_files(engine: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"no engine.*none\.engine"):
        read_record(engine.with_name("none.engine"))
    sidecar_path(engine).unlink()
    with pytest.raises(ModelFormatError, match=r"no sidecar face\.engine\.json.*srsdk-export"):
        read_record(engine)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1}', "no json"])
def test_damaged_sidecar(engine: Path, text: str) -> None:
    sidecar_path(engine).write_text(text)
    with pytest.raises(ModelFormatError, match=r"face\.engine\.json.*srsdk-export engine"):
        read_record(engine)


def test_sidecar_with_fields_of_the_wrong_kind(engine: Path) -> None:
    for change in ({"profiles": [{"name": "x"}]}, {"surprise": 1}, {"spec": {"format": 1}}):
        whole = sidecar_path(engine).read_text()
        edit(engine, **change)
        with pytest.raises(ModelFormatError):
            read_record(engine)
        sidecar_path(engine).write_text(whole)


def test_certificates_of_engines_go_into_the_sidecar(engine: Path) -> None:
    side = Side("a", "torch", "2", "fp32", "")
    certificate = Certificate(side, side, "made", Parity(1, 0.1, 0.0, 60.0), Tolerance(1))
    target = certificate.write(engine)
    assert target.name == "face.parity.json"
    record = check_engine(engine, ORIN)
    assert record.parity == certificate.record() == json.loads(target.read_text())
    assert sorted(path.name for path in engine.parent.iterdir()) == [
        "face.engine", "face.engine.json", "face.onnx", "face.parity.json",
    ]  # fmt: skip


def test_info_prints_it_without_tensorrt(engine: Path) -> None:
    code = (
        "import sys; sys.modules['tensorrt'] = sys.modules['tensorrt_rtx'] = None; "
        f"sys.argv = ['srsdk', 'info', {str(engine)!r}, *sys.argv[1:]]; "
        "from srsdk.cli import main; main()"
    )
    for more in ([], ["--json"]):
        result = subprocess.run(
            [sys.executable, "-c", code, *more], capture_output=True, text=True, timeout=60
        )
        assert result.returncode == 0, result.stderr
        for fact in ("10.3.0", "8.7", "Orin", "fp16", "4*32x32", "61.5", "face.onnx", "largest 1"):
            assert fact in result.stdout
    assert json.loads(result.stdout)["kind"] == "engine"
    sidecar_path(engine).unlink()
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1


def test_the_tightest_profile_is_taken(engine: Path) -> None:
    record = read_record(engine)
    wide = Profile("wide", (1, 8, 8), (1, 64, 64), (16, 512, 512))
    exact = Profile("exact", (2, 32, 32), (2, 32, 32), (2, 32, 32))
    record = dataclasses.replace(record, profiles=(wide, *record.profiles, exact))
    assert record.profile_for((2, 32, 32)) == 2
    assert record.profile_for((3, 32, 32)) == 1
    assert record.profile_for((1, 8, 512)) == 0
    for size in ((17, 32, 32), (1, 4, 32), (1, 32, 513)):
        with pytest.raises(InputError) as caught:
            record.profile_for(size)
        batch, height, width = size
        for words in (f"{batch}*{width}x{height}", "faces (1*16x16", "--shapes", record.command):
            assert words in str(caught.value)


def test_machine_of_a_module() -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    machine = this_machine(trt)
    assert machine.flavour == "tensorrt_rtx"
    assert machine.version == trt.__version__
    assert (machine.compute_capability is None) == (find_gpu() is None)


def test_device_here() -> None:
    """None without a driver; what it says otherwise is judged by the GPU tests."""
    device = find_gpu()
    if device is not None:
        assert device.compute_capability >= (5, 0)
    assert find_gpu(1000) is None
    assert this_platform().split()[0] in {"Linux", "Darwin", "Windows"}
