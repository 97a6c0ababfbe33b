"""What it was measured on."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from srsdk.cuda.driver import find_gpu
from tests.benchmarks.gpu.report import JsonObject

ROOT = Path(__file__).parents[3]
PACKAGES = (
    "srsdk", "torch", "triton", "onnxruntime", "onnxruntime-gpu", "onnx", "tensorrt",
    "tensorrt-rtx-cu13", "cupy-cuda12x", "cupy-cuda13x", "numpy", "opencv-python",
)  # fmt: skip


def describe() -> JsonObject:
    """Device, driver and versions; "" for what is not there."""
    device = find_gpu()
    nvcc = re.search(r"release ([\d.]+)", _said("nvcc", "--version"))
    driver = _said("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    return {
        "device": device.name if device else "",
        "compute_capability": "{}.{}".format(*device.compute_capability) if device else "",
        "memory_bytes": device.memory if device else "",
        "driver": driver.splitlines()[0] if device and driver else "",
        "driver_cuda": device.driver if device else "",
        "nvcc": nvcc[1] if nvcc else "",
        "processor": platform.processor() or platform.machine(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
    }


def commit() -> str:
    """The sources' commit, with "+" where tracked files differ from it; "" outside of git."""
    head = _said("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD")
    changed = _said("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no")
    return head + ("+" if head and changed else "")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _said(program: str, *arguments: str) -> str:
    """What a program printed, "" where it is missing or fails."""
    found = shutil.which(program)
    if not found:
        return ""
    done = subprocess.run(
        [found, *arguments], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    return done.stdout.strip() if done.returncode == 0 else ""
