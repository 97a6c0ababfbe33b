"""The CUDA kernels compile through the CMake presets, keep to their registers, and land in the
library for every architecture that was asked for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WANTED = [72, 75, 80, 86, 87, 89, 90, 100, 120]


def configure(preset: str, folder: Path, *options: str) -> str:
    """Configure a preset in `folder`; what CMake said."""
    cmake = shutil.which("cmake")
    if not cmake or not shutil.which("nvcc"):
        pytest.skip("needs cmake and nvcc on PATH")
    version = subprocess.run([cmake, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"(\d+)\.(\d+)", version.stdout)
    assert found
    if (int(found[1]), int(found[2])) < (3, 21):
        pytest.skip("presets need CMake 3.21")
    return run([cmake, "--preset", preset, "-S", str(ROOT), "-B", str(folder), *options])


def build(folder: Path) -> str:
    """Build the CUDA kernels in a configured folder; what the compilers said."""
    return run(
        ["cmake", "--build", str(folder), "--target", "srsdk_cuda", "--verbose", "--parallel", "2"]
    )


def run(command: list[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-4000:]
    return said


def check(said: str, folder: Path, architectures: list[int]) -> None:
    compiled = re.findall(r"Compiling entry function '(\w+)' for 'sm_(\d+)'", said)
    assert {int(sm) for _, sm in compiled} == set(architectures)
    for sm in architectures:
        kernels = [name for name, at in compiled if int(at) == sm]
        for part in (
            "Unpack",
            "ShufflePlanes",
            "ShufflePixels",
            "ShuffleAny",
            "Pack",
            "Blend",
            "chain_kernel",
        ):
            assert any(part in name for name in kernels), (part, sm)
        assert len(kernels) == len(compiled) // len(architectures)
    spills = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores", said)
    assert len(spills) >= len(compiled)
    assert set(spills) == {("0", "0")}, "kernels spill registers to local memory"
    assert "warning" not in said.lower()
    cuobjdump = shutil.which("cuobjdump")
    if cuobjdump:
        command = [cuobjdump, "--list-elf", str(folder / "libsrsdk_cuda.a")]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert {int(sm) for sm in re.findall(r"sm_(\d+)", listed)} == set(architectures)


@pytest.mark.slow  # about two minutes of a core
@pytest.mark.timeout(1800)
def test_all_architectures(tmp_path: Path) -> None:
    said = configure("cuda-all", tmp_path) + build(tmp_path)
    nvcc = ["nvcc", "--list-gpu-code"]
    known = subprocess.run(nvcc, capture_output=True, text=True, check=True).stdout.split()
    check(said, tmp_path, [sm for sm in WANTED if f"sm_{sm}" in known])
    assert "CUDA kernels for " in said
    assert re.search(r"CUDA kernels for .*\d+-virtual", said), "no PTX for what comes after"


def test_the_architectures_that_were_asked_for(tmp_path: Path) -> None:
    said = configure("cuda", tmp_path, "-DSRSDK_CUDA_ARCHITECTURES=80-real;87-real")
    assert "CUDA kernels for 80-real;87-real" in said


def test_off(tmp_path: Path) -> None:
    """Without CUDA the rest configures, and the target is not there."""
    cmake = shutil.which("cmake")
    if not cmake:
        pytest.skip("needs cmake on PATH")
    command = [
        cmake, "-S", str(ROOT), "-B", str(tmp_path), "-DSRSDK_CUDA=OFF", "-DSRSDK_PYTHON=OFF",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "CUDA kernels for" not in done.stdout


def test_auto_without_a_compiler_that_works(tmp_path: Path) -> None:
    cmake = shutil.which("cmake")
    if not cmake:
        pytest.skip("needs cmake on PATH")
    broken = tmp_path / "nvcc"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    common = [cmake, "-S", str(ROOT), "-DSRSDK_PYTHON=OFF"]
    environment = {**os.environ, "CUDACXX": str(broken)}
    for option, works in [("AUTO", True), ("ON", False)]:
        folder = tmp_path / option
        command = [*common, "-B", str(folder), f"-DSRSDK_CUDA={option}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert (done.returncode == 0) == works, done.stderr
    assert "SRSDK_CUDA=ON needs a CUDA compiler" in done.stderr


@pytest.fixture
def without_nvcc(tmp_path: Path) -> dict[str, str]:
    """This environment, but with no nvcc on PATH, or anywhere that CMake asks for it."""
    tools = tmp_path / "tools"
    tools.mkdir()
    places = []
    for place in os.environ["PATH"].split(os.pathsep):
        if not (Path(place) / "nvcc").exists():
            places.append(place)
    for name in ("cc", "c++", "gcc", "g++", "make", "ninja", "ld", "ar", "ranlib", "nm"):
        found = shutil.which(name)
        if found and not shutil.which(name, path=os.pathsep.join(places)):
            (tools / name).symlink_to(found)
    asked = ("CUDACXX", "CUDA_PATH", "CUDA_HOME", "CUDAToolkit_ROOT")
    kept = {name: value for name, value in os.environ.items() if name not in asked}
    return {**kept, "PATH": os.pathsep.join([str(tools), *places])}


def test_no_nvcc(tmp_path: Path, without_nvcc: dict[str, str]) -> None:
    """ON says in one line what is missing; AUTO says it too, and goes on."""
    cmake = shutil.which("cmake")
    if not cmake:
        pytest.skip("needs cmake on PATH")

    def configure(option: str) -> subprocess.CompletedProcess[str]:
        command = [cmake, "-S", str(ROOT), "-B", str(tmp_path / option), "-DSRSDK_PYTHON=OFF"]
        command.append(f"-DSRSDK_CUDA={option}")
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=without_nvcc
        )

    auto, on = configure("AUTO"), configure("ON")
    assert auto.returncode == 0, auto.stderr
    assert "no CUDA compiler that works, so no CUDA kernels" in auto.stdout
    assert on.returncode != 0
    assert "SRSDK_CUDA=ON needs a CUDA compiler: put nvcc on PATH or set CUDACXX" in on.stderr
    assert on.stderr.count("CMake Error") == 1


def test_no_nvcc_in_pip(tmp_path: Path, without_nvcc: dict[str, str]) -> None:
    """What somebody who builds the package reads."""
    pytest.importorskip("scikit_build_core")
    pytest.importorskip("pybind11")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    command += ["--wheel-dir", str(tmp_path / "wheel"), str(ROOT)]
    command += ["--config-settings=cmake.define.SRSDK_CUDA=ON"]
    command += [f"--config-settings=build-dir={tmp_path / 'build'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=without_nvcc)
    if "No module named pip" in done.stderr:
        pytest.skip("needs pip")
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "SRSDK_CUDA=ON needs a CUDA compiler: put nvcc on PATH or set CUDACXX" in said
    assert not (tmp_path / "wheel").exists() or not list((tmp_path / "wheel").iterdir())
