"""The `onnxruntime-cuda` backend as far as it goes without a GPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnxruntime as ort
import pytest

from srsdk import Upscaler, _kernels
from srsdk.backends import open_backend
from srsdk.cuda.device import CudaDevice
from srsdk.cuda.driver import find_gpu
from srsdk.errors import BackendUnavailableError, ModelNotFoundError

PROVIDER = "CUDAExecutionProvider"


def test_another_onnxruntime(models: dict[str, Path]) -> None:
    if PROVIDER in ort.get_available_providers():
        pytest.skip("onnxruntime-gpu is installed; see tests/gpu")
    with pytest.raises(BackendUnavailableError, match=r"onnxruntime-gpu.*CPU.*uninstall") as caught:
        Upscaler(models["edge-x2"], backend="onnxruntime-cuda")
    assert "\n" not in str(caught.value)


def test_without_onnxruntime(models: dict[str, Path]) -> None:
    code = (
        "import sys; sys.modules['onnxruntime'] = None; from srsdk import Upscaler; "
        f"Upscaler({str(models['edge-x2'])!r}, backend='onnxruntime-cuda')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "backend onnxruntime-cuda needs onnxruntime-gpu" in done.stderr.strip().splitlines()[-1]


def test_what_it_does_not_run(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        open_backend("onnxruntime-cuda", tmp_path / "none.onnx")


@pytest.mark.skipif(find_gpu() is not None, reason="there is a GPU; see tests/gpu")
@pytest.mark.skipif(not _kernels.built_with_cuda(), reason="this build has no CUDA kernels")
def test_no_device() -> None:
    """For real: the CUDA kernels are here, and their driver or device is not."""
    with pytest.raises(BackendUnavailableError, match=r"nvidia-smi.*CPU backend"):
        CudaDevice()


def test_auto_stays_on_the_cpu(models: dict[str, Path]) -> None:
    with Upscaler(models["edge-x2"]) as upscaler:
        assert upscaler.info.frames.device == "cpu"


def test_importing_needs_no_gpu() -> None:
    """It is not what `import srsdk` takes its time with."""
    code = (
        "import sys; import srsdk.cuda, srsdk.cuda.chain; "
        "assert not {'onnxruntime', 'torch', 'av', 'tensorrt'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
