"""NEON's int8 convolutions under an emulator: the bits of portable C++, and of this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
FOR_ARM = [
    "-DCMAKE_SYSTEM_NAME=Linux",
    "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
    f"-DCMAKE_CXX_COMPILER={COMPILER}",
    "-DCMAKE_EXE_LINKER_FLAGS=-static",
]


def built(folder: Path, *options: str) -> Path:
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("there is no cmake")
    settings = ["-DSRSDK_PYTHON=OFF", "-DSRSDK_NATIVE_TEST=ON", "-DSRSDK_CUDA=OFF", *options]
    for command in (
        [cmake, "-S", str(ROOT), "-B", str(folder), *settings],
        [cmake, "--build", str(folder), "--target", "int8_test", "--parallel", "2"],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "int8_test"


def output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def digest(text: str) -> str:
    found = re.search(r"0 differ, hash (\w+)", text)
    assert found, text
    return found[1]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_neon_gives_the_bits_of_portable_code(tmp_path: Path) -> None:
    if not shutil.which(COMPILER) or not shutil.which(EMULATOR):
        pytest.skip(f"{COMPILER} and {EMULATOR} (Debian: g++-aarch64-linux-gnu, qemu-user) needed")
    program = str(built(tmp_path / "arm", *FOR_ARM))
    newest = output(EMULATOR, "-cpu", "max", program)
    assert "instruction sets: neon-i8mm neon-dot neon portable" in newest
    assert digest(newest) == digest(output(str(built(tmp_path / "host"))))
