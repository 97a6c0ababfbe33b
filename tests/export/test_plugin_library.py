"""The plugin's library: that it builds, and what it computes, without a GPU.

These tests need TensorRT's headers, for instance in $TENSORRT_INCLUDE_DIR, and skip without them.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from srsdk import reference
from srsdk.tensorrt.plugin import LIBRARY

# ---- building it

ROOT = Path(__file__).parents[2]


def cmake(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("cmake")
    if not program or not shutil.which("nvcc"):
        pytest.skip("needs cmake and nvcc on PATH")
    command = [program, "-S", str(ROOT), "-B", str(folder), "-DSRSDK_PYTHON=OFF", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_without_headers_of_tensorrt_10_there_is_none(tmp_path: Path) -> None:
    build, nowhere, old = tmp_path / "build", tmp_path / "nowhere", tmp_path / "old"
    old.mkdir()
    (old / "NvInferRuntime.h").write_text("class IPluginV2DynamicExt;\n")
    done = cmake(build, f"-DTENSORRT_INCLUDE_DIR={nowhere}")
    assert done.returncode == 0, done.stderr
    assert "no TensorRT plugin: TensorRT's headers not found" in done.stdout
    done = cmake(build, f"-DTENSORRT_INCLUDE_DIR={old}")
    assert done.returncode == 0, done.stderr
    assert "before 10, without IPluginV3" in done.stdout
    done = cmake(build, f"-DTENSORRT_INCLUDE_DIR={nowhere}", "-DSRSDK_PLUGIN=ON")
    assert done.returncode != 0
    assert "-DTENSORRT_INCLUDE_DIR" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_it_compiles_without_a_warning(tmp_path: Path) -> None:
    done = cmake(tmp_path, "-DSRSDK_CUDA_ARCHITECTURES=80-real")
    if "TensorRT plugin with the headers" not in done.stdout:
        pytest.skip("needs TensorRT's headers, for instance in $TENSORRT_INCLUDE_DIR")
    command = ["cmake", "--build", str(tmp_path), "--target", "srsdk_plugin"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    said = built.stdout + built.stderr
    assert built.returncode == 0, said[-4000:]
    assert "warning" not in said.lower()
    symbols = ["nm", "-D", "--defined-only", str(tmp_path / LIBRARY)]
    listed = subprocess.run(symbols, capture_output=True, text=True, check=True).stdout
    exported = {line.split()[2] for line in listed.splitlines() if line.split()[1] == "T"}
    assert exported == {"getCreators", "setLoggerFinder"}


# ---- running it, with the host in the GPU's place

FLOAT, HALF = 0, 1
PLANAR, CHANNELS_LAST = 0, 2


@pytest.fixture(scope="module")
def on_host(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """plugin.cpp with the kernel's body instead of its launch."""
    nvcc, compiler = shutil.which("nvcc"), shutil.which("c++") or shutil.which("g++")
    usual = f"/usr/include/{platform.machine()}-linux-gnu"
    headers = Path(os.environ.get("TENSORRT_INCLUDE_DIR", usual))
    if not nvcc or not compiler or not (headers / "NvInferRuntime.h").is_file():
        pytest.skip("needs CUDA's and TensorRT's headers, the latter in $TENSORRT_INCLUDE_DIR")
    asked = [nvcc, "--dryrun", "-x", "cu", os.devnull]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stderr
    found = re.search(r"INCLUDES=\"-I(.*?)\"", said)
    assert found
    target = tmp_path_factory.mktemp("plugin") / "plugin.so"
    sources = [ROOT / "tests/kernels/native/plugin_on_host.cpp", ROOT / "kernels/plugin/plugin.cpp"]
    command = [
        compiler, "-std=c++17", "-O1", "-fPIC", "-shared", "-ffp-contract=off", "-Wall", "-Wextra",
        "-Werror", f"-I{ROOT / 'kernels/include'}", "-isystem", str(headers), "-isystem", found[1],
        *map(str, sources), "-o", str(target),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return ctypes.CDLL(str(target))


def call(
    library: ctypes.CDLL, x: np.ndarray, r: int, bias: np.ndarray, slope: np.ndarray, layout: int
) -> tuple[int, np.ndarray]:
    """What the plugin answers, and the result in the layout of NCHW."""
    n, wide, h, w = x.shape
    c = wide // r**2
    last = layout == CHANNELS_LAST
    given = np.ascontiguousarray(np.moveaxis(x, 1, -1) if last else x)
    got = np.full((n, h * r, w * r, c) if last else (n, c, h * r, w * r), np.nan, x.dtype)
    kinds = [FLOAT if array.dtype == np.float32 else HALF for array in (x, bias)]
    numbers = [ctypes.c_int(value) for value in (r, *kinds, layout)]
    sizes = [ctypes.c_int64(value) for value in (n, c, h, w, slope.size)]
    answer = library.run(
        *numbers, *sizes, *(ctypes.c_void_p(a.ctypes.data) for a in (given, bias, slope, got))
    )
    return answer, np.moveaxis(got, -1, 1) if last else got


@pytest.mark.parametrize("one_slope", [False, True])
@pytest.mark.parametrize("r", [1, 2, 3, 4, 8])
@pytest.mark.parametrize(
    ("dtype", "layout"), [(np.float32, PLANAR), (np.float16, PLANAR), (np.float16, CHANNELS_LAST)]
)
def test_it_computes_what_the_kernel_does(
    on_host: ctypes.CDLL, dtype: type, layout: int, r: int, one_slope: bool
) -> None:
    rng = np.random.default_rng(r)
    c = 8 if layout == CHANNELS_LAST else 3
    x = rng.normal(size=(2, c * r**2, 5, 7)).astype(dtype)
    bias = rng.normal(size=c * r**2).astype(np.float32)
    slope = rng.normal(size=1 if one_slope else c).astype(np.float32)
    answer, got = call(on_host, x, r, bias, slope, layout)
    assert answer == 0
    np.testing.assert_array_equal(got, reference.pixel_shuffle_prelu(x, r, bias, slope))


@pytest.mark.parametrize(
    ("dtype", "bias_dtype", "channels", "layout"),
    [
        (np.float16, np.float16, 8, PLANAR),  # bias in half
        (np.float16, np.float32, 7, CHANNELS_LAST),  # padded between pixels
        (np.float32, np.float32, 8, CHANNELS_LAST),  # no such layout in float
        (np.float16, np.float32, 8, 1),  # pairs of channels
    ],
)
def test_it_takes_nothing_else(
    on_host: ctypes.CDLL, dtype: type, bias_dtype: type, channels: int, layout: int
) -> None:
    x = np.zeros((1, channels * 4, 2, 2), dtype)
    bias, slope = np.zeros(channels * 4, bias_dtype), np.zeros(channels, bias_dtype)
    assert call(on_host, x, 2, bias, slope, layout)[0] == -1
