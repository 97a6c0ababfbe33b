"""Device memory through torch or CuPy, whichever is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from srsdk import _kernels
from tests.kernels.cases import Case, Strided


class Torch:
    """Device memory that torch holds."""

    def __init__(self) -> None:
        import torch

        self.module = torch
        if not torch.cuda.is_available():
            raise ImportError("torch sees no GPU")

    def upload(self, array: np.ndarray) -> Any:
        return self.module.from_numpy(np.ascontiguousarray(array)).cuda()

    def address(self, memory: Any) -> int:
        return int(memory.data_ptr())

    def download(self, memory: Any) -> np.ndarray:
        self.module.cuda.synchronize()
        return np.asarray(memory.cpu().numpy())

    def stream(self) -> Any:
        return self.module.cuda.Stream()

    def synchronize(self) -> None:
        self.module.cuda.synchronize()


class CuPy:
    """Device memory that CuPy holds."""

    def __init__(self) -> None:
        import cupy

        self.module = cupy
        if cupy.cuda.runtime.getDeviceCount() == 0:
            raise ImportError("CuPy sees no GPU")

    def upload(self, array: np.ndarray) -> Any:
        return self.module.asarray(np.ascontiguousarray(array))

    def address(self, memory: Any) -> int:
        return int(memory.data.ptr)

    def download(self, memory: Any) -> np.ndarray:
        self.synchronize()
        return np.asarray(memory.get())

    def stream(self) -> Any:
        return self.module.cuda.Stream(non_blocking=True)

    def synchronize(self) -> None:
        self.module.cuda.runtime.deviceSynchronize()


@pytest.fixture(scope="session")
def gpu() -> Any:
    """Torch or CuPy, with a GPU that the kernels were built for."""
    if not _kernels.built_with_cuda():
        pytest.skip("this build has no CUDA kernels")
    reasons = []
    for library in (Torch, CuPy):
        try:
            return library()
        except Exception as error:
            reasons.append(f"{library.__name__}: {error}")
    pytest.skip("; ".join(reasons))


def run(gpu: Any, case: Case, stream: Any = None) -> np.ndarray:
    """The bytes of `case.dst.base` after the call on the device."""
    from srsdk import _kernels_cuda as cuda

    kept = []

    def move(value: Any) -> Any:
        if isinstance(value, Strided):
            memory = gpu.upload(value.base)
            kept.append(memory)
            view = value.view
            at = gpu.address(memory) + value.offset
            return cuda.DeviceArray(at, view.shape, view.dtype, view.strides)
        if isinstance(value, (list, tuple)):
            return type(value)(move(item) for item in value)
        return value

    dst, inputs = move(case.dst), [move(value) for value in case.inputs]
    options = {key: move(value) if key == "lr" else value for key, value in case.options.items()}
    gpu.synchronize()  # uploads went over the library's own stream
    getattr(cuda, f"{case.name}_into")(dst, *inputs, **options, stream=stream)
    gpu.synchronize()
    return gpu.download(kept[0])
