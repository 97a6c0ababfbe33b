"""CUDA graphs and DLPack of `srsdk._kernels_cuda`, as far as they go without a GPU."""

from __future__ import annotations

import ctypes
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from srsdk import _kernels
from srsdk.errors import CudaError

if not _kernels.built_with_cuda():
    pytest.skip("this build has no CUDA kernels", allow_module_level=True)

from srsdk import _kernels_cuda as cuda
from tests.kernels.test_cuda_bindings import no_driver


class Owner:
    pass


class Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64),
    )  # fmt: skip


class Managed(ctypes.Structure):
    _fields_ = (("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


class Versioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p), ("flags", ctypes.c_uint64), ("tensor", Tensor),
    )  # fmt: skip


FORMS: dict[bool, tuple[bytes, Any]] = {
    False: (b"dltensor", Managed),
    True: (b"dltensor_versioned", Versioned),
}


def inside(capsule: Any, versioned: bool) -> Any:
    name, form = FORMS[versioned]
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return form.from_address(get(capsule, name))


def exported(owner: Any, versioned: bool) -> Any:
    return cuda.to_dlpack(owner, 5 << 20, (2, 3, 4), "u1", device=1, versioned=versioned)


@pytest.mark.parametrize("versioned", [False, True])
def test_dlpack_says_what_it_is_and_keeps_its_owner(versioned: bool) -> None:
    owner = Owner()
    alive = weakref.ref(owner)
    capsule = exported(owner, versioned)
    del owner
    gc.collect()
    assert alive() is not None
    held = inside(capsule, versioned)
    tensor = held.tensor
    assert (tensor.data, tensor.device_type, tensor.device_id) == (5 << 20, 2, 1)
    assert (tensor.code, tensor.bits, tensor.lanes, tensor.byte_offset) == (1, 8, 1, 0)
    assert tensor.shape[: tensor.ndim] == [2, 3, 4]
    assert tensor.strides[: tensor.ndim] == [12, 4, 1]
    if versioned:
        assert (held.major, held.flags) == (1, 0)
    del held, tensor, capsule  # nobody took it
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("versioned", [False, True])
def test_a_consumer_gives_the_owner_back(versioned: bool) -> None:
    owner = Owner()
    alive = weakref.ref(owner)
    capsule = exported(owner, versioned)
    held = inside(capsule, versioned)
    rename = ctypes.pythonapi.PyCapsule_SetName
    rename.argtypes = [ctypes.py_object, ctypes.c_char_p]
    assert rename(capsule, b"used_" + FORMS[versioned][0]) == 0
    del owner, capsule
    gc.collect()
    assert alive() is not None, "taken: its consumer decides"
    deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(held.deleter)
    deleter(ctypes.addressof(held))
    gc.collect()
    assert alive() is None


@no_driver
def test_the_kernels_take_what_is_handed_out() -> None:
    """A frame by DLPack: everything up to the launch."""

    class Array:
        def __dlpack_device__(self) -> tuple[int, int]:
            return 2, 0

        def __dlpack__(self, *, stream: int, max_version: Any) -> Any:
            return cuda.to_dlpack(
                self, 3 << 20, self.shape, "u1", device=0, versioned=max_version >= (1, 0)
            )

        def __init__(self, *shape: int) -> None:
            self.shape = shape

    planes = cuda.DeviceArray(1 << 20, (3, 4, 5), "f4")
    with pytest.raises(CudaError, match="no CUDA device or no driver"):
        cuda.unpack_into(planes, Array(4, 5, 3))
    with pytest.raises(ValueError, match="does not fit a frame of shape"):
        cuda.unpack_into(planes, Array(4, 6, 3))


@no_driver
@pytest.mark.parametrize(
    "call",
    [
        lambda: cuda.begin_capture(0),
        lambda: cuda.end_capture(0),
        lambda: cuda.wait_for(5, 6),
    ],
)
def test_without_a_driver(call: Callable[[], Any]) -> None:
    with pytest.raises(CudaError, match="no CUDA device or no driver"):
        call()


def test_streams_that_are_none() -> None:
    with pytest.raises(TypeError, match="stream must be"):
        cuda.begin_capture("seven")
    with pytest.raises(TypeError, match="stream must be"):
        cuda.wait_for(1, "seven")
