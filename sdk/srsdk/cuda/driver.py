"""Facts about the GPU from the CUDA driver, without any package."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*


@dataclass(frozen=True)
class GpuInfo:
    """A GPU.

    Attributes:
        name: Product name.
        compute_capability: Major and minor version.
        driver: Newest CUDA version that the driver supports, for instance "12.6".
        memory: Total memory in bytes.
    """

    name: str
    compute_capability: tuple[int, int]
    driver: str
    memory: int


def find_gpu(index: int = 0) -> GpuInfo | None:
    """The GPU with this number, or None without a GPU or driver. Creates no CUDA context."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        cuda = ctypes.CDLL(library)
    except OSError:
        return None
    device, number = ctypes.c_int(), ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), index):
        return None
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    cuda.cuDriverGetVersion(ctypes.byref(number))
    version = number.value
    capability = []
    for attribute in (_MAJOR, _MINOR):
        cuda.cuDeviceGetAttribute(ctypes.byref(number), attribute, device)
        capability.append(number.value)
    return GpuInfo(
        name.value.decode(errors="replace"),
        (capability[0], capability[1]),
        f"{version // 1000}.{version % 1000 // 10}",
        memory.value,
    )
