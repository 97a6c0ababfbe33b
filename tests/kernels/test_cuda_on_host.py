"""The CUDA kernels against NumPy without a GPU: the device's code, run by the host.

What this cannot show is what only hardware has: that launches work, and how fast they are. See
tests/gpu for these.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from . import cuda_on_host
from .cases import MAKERS


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    if cuda_on_host.compiler() is None:
        pytest.skip("no C++ compiler here")
    folder: Path = tmp_path_factory.mktemp("cuda_on_host")
    return cuda_on_host.build(folder)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_random_cases(name: str, backward: bool, library: ctypes.CDLL) -> None:
    """In both orders of the threads: a race would show as a difference."""
    for seed in range(200):
        case = MAKERS[name](np.random.default_rng([seed, backward]))
        case.check(cuda_on_host.run(library, case, backward))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_byte_too_many_is_read(tmp_path: Path) -> None:
    """With the address sanitizer, and fences before and after the elements of every input."""
    compiler = cuda_on_host.compiler()
    if compiler is None:
        pytest.skip("no C++ compiler here")
    runtimes = []
    for name in ("libasan.so", "libubsan.so"):
        command = [compiler, f"-print-file-name={name}"]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        if not Path(found).is_absolute():
            pytest.skip(f"{compiler} has no {name}")
        runtimes.append(found)
    subprocess.run(
        [sys.executable, "-m", "tests.kernels.cuda_on_host", str(tmp_path)],
        cwd=cuda_on_host.ROOT,
        env={**os.environ, "LD_PRELOAD": " ".join(runtimes), "ASAN_OPTIONS": "detect_leaks=0"},
        check=True,
    )
