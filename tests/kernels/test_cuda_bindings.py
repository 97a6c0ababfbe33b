"""What `srsdk._kernels_cuda` says and checks before it launches anything: needs no GPU.

Device memory is addresses that nobody reads. Where a launch would be next, a machine without a
driver gives a CudaError; one with a GPU is the business of tests/gpu, so these tests skip there.
"""

from __future__ import annotations

import ctypes
import gc
from typing import Any

import numpy as np
import pytest

from srsdk import _kernels
from srsdk.errors import CudaError, SrsdkError

if not _kernels.built_with_cuda():
    pytest.skip("this build has no CUDA kernels", allow_module_level=True)

from srsdk import _kernels_cuda as cuda


def has_driver() -> bool:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


no_driver = pytest.mark.skipif(has_driver(), reason="launches would work, or fail for real")


def at(address: int, shape: Any, dtype: str, strides: Any = None) -> Any:
    return cuda.DeviceArray(address << 20, shape, dtype, strides)


def unpack_arguments() -> tuple[Any, Any]:
    return at(1, (3, 4, 5), "f4"), at(2, (4, 5, 3), "u1")


def calls() -> dict[str, Any]:
    dst, frame = unpack_arguments()
    x, out = at(3, (12, 4, 5), "f2"), at(4, (3, 8, 10), "f2")
    pixels, slope = at(5, (8, 10, 3), "u1"), at(6, (3,), "f4")
    wy, wx = at(7, (4,), "u2"), at(8, (5,), "u2")
    return {
        "unpack": lambda **k: cuda.unpack_into(dst, frame, **k),
        "pixel_shuffle": lambda **k: cuda.pixel_shuffle_into(out, x, 2, **k),
        "pixel_shuffle_prelu": lambda **k: cuda.pixel_shuffle_prelu_into(
            out, x, 2, at(9, (12,), "f4"), slope, **k
        ),
        "pack": lambda **k: cuda.pack_into(pixels, x, 2, lr=frame, base="bilinear", **k),
        "blend": lambda **k: cuda.blend_into(pixels, frame, 1, 2, wy, wx, **k),
    }


@no_driver
@pytest.mark.parametrize("name", calls())
def test_without_a_driver(name: str) -> None:
    with pytest.raises(CudaError, match=f"{name}: .*no CUDA device or no driver") as caught:
        calls()[name]()
    assert isinstance(caught.value, SrsdkError)
    assert isinstance(caught.value, RuntimeError)
    assert "\n" not in str(caught.value)


class Stream:
    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


@no_driver
@pytest.mark.parametrize(
    "stream",
    [
        None, 0, 1, 2, 1 << 40, np.int64(7), Stream(ptr=5), Stream(cuda_stream=6),
        Stream(handle=7), Stream(__cuda_stream__=(0, 8)), Stream(__cuda_stream__=lambda: (0, 9)),
    ],
)  # fmt: skip
def test_streams(stream: Any) -> None:
    with pytest.raises(CudaError):
        calls()["unpack"](stream=stream)


@pytest.mark.parametrize("stream", ["1", 1.5, True, object(), Stream(ptr="5")])
def test_no_streams(stream: Any) -> None:
    with pytest.raises(TypeError, match="stream must be None"):
        calls()["unpack"](stream=stream)


def test_nothing_to_do_needs_no_device() -> None:
    cuda.unpack_into(cuda.DeviceArray(0, (3, 0, 5), "f4"), cuda.DeviceArray(0, (0, 5, 3), "u1"))
    pixels = at(5, (8, 10, 3), "u1")
    cuda.blend_many_into(pixels, [])
    far = at(2, (4, 5, 3), "u1"), 2**63 - 1, -(2**63), at(7, (4,), "u2"), at(8, (5,), "u2")
    cuda.blend_many_into(pixels, [far] * 40)


def test_memory_of_the_host() -> None:
    dst, frame = unpack_arguments()
    with pytest.raises(ValueError, match="frame is not in CUDA memory"):
        cuda.unpack_into(dst, np.zeros((4, 5, 3), np.uint8))
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match="dst is not in CUDA memory"):
        cuda.unpack_into(torch.zeros(3, 4, 5), frame)


def test_bad_arguments() -> None:
    dst, frame = unpack_arguments()
    x, pixels = at(3, (12, 4, 5), "f4"), at(5, (8, 10, 3), "u1")
    with pytest.raises(TypeError, match=r"frame must be an array in device memory .* got list"):
        cuda.unpack_into(dst, [1, 2])
    with pytest.raises(ValueError, match="in layout NHWC"):
        cuda.unpack_into(dst, frame, layout="NHWC")
    with pytest.raises(ValueError, match="layout must be"):
        cuda.unpack_into(dst, frame, layout="HWC")
    with pytest.raises(ValueError, match="dst overlaps frame"):
        cuda.unpack_into(at(2, (3, 4, 5), "f4"), frame)
    with pytest.raises(ValueError, match="null pointer"):
        cuda.unpack_into(cuda.DeviceArray(0, (3, 4, 5), "f4"), frame)
    with pytest.raises(ValueError, match="not aligned"):
        cuda.unpack_into(cuda.DeviceArray((1 << 20) + 2, (3, 4, 5), "f4"), frame)
    with pytest.raises(ValueError, match="not aligned"):
        cuda.unpack_into(at(1, (3, 4, 5), "f4", (82, 20, 4)), frame)
    with pytest.raises(ValueError, match="overlap each other"):
        cuda.unpack_into(at(1, (3, 4, 5), "f4", (0, 20, 4)), frame)
    with pytest.raises(ValueError, match="dst must be float32 or float16, got float64"):
        cuda.unpack_into(at(1, (3, 4, 5), "f8"), frame)
    with pytest.raises(ValueError, match="same dtype"):
        cuda.pixel_shuffle_into(at(4, (3, 8, 10), "f2"), x, 2)
    with pytest.raises(ValueError, match="r must be"):
        cuda.pixel_shuffle_into(at(4, (3, 8, 10), "f4"), x, 5)
    with pytest.raises(ValueError, match="needs the low-resolution frame lr"):
        cuda.pack_into(pixels, x, 2, base="nearest")
    with pytest.raises(ValueError, match="is not inside lr"):
        cuda.pack_into(pixels, x, 2, lr=frame, base="nearest", origin=(1, 0))
    with pytest.raises(ValueError, match="contiguous pixels"):
        cuda.pack_into(at(5, (8, 10, 3), "u1", (40, 4, 1)), x, 2)
    with pytest.raises(ValueError, match=r"weight_x must be contiguous uint16 of shape \(5,\)"):
        cuda.blend_into(pixels, frame, 0, 0, at(7, (4,), "u2"), at(8, (6,), "u2"))
    with pytest.raises(ValueError, match="as many entries"):
        at(1, (3, 4), "f4", (4,))


class Interface:
    def __init__(self, **changes: Any) -> None:
        _, frame = unpack_arguments()
        self.__cuda_array_interface__ = {**frame.__cuda_array_interface__, **changes}


@no_driver
def test_interface() -> None:
    dst, _ = unpack_arguments()
    with pytest.raises(CudaError, match="unpack"):
        cuda.unpack_into(dst, Interface())
    with pytest.raises(CudaError, match="unpack"):
        cuda.unpack_into(dst, Interface(stream=1))  # that of the call itself
    with pytest.raises(CudaError, match="waiting for the stream of an array"):
        cuda.unpack_into(dst, Interface(stream=7))
    with pytest.raises(CudaError, match="unpack"):
        cuda.unpack_into(dst, Interface(data=(2 << 20, True)))  # an input may be read-only


def test_bad_interface() -> None:
    dst, frame = unpack_arguments()
    for changes, message in [
        ({"stream": 0}, "ambiguous"),
        ({"mask": dst}, "mask"),
        ({"strides": (1,)}, "strides for another shape"),
        ({"shape": None}, "lacks shape"),
        ({"shape": (4, -5, 3)}, "negative size"),
    ]:
        with pytest.raises(ValueError, match=message):
            cuda.unpack_into(dst, Interface(**changes))
    with pytest.raises(TypeError, match="malformed"):
        cuda.unpack_into(dst, Interface(data="there"))
    read_only = Interface(shape=(3, 4, 5), typestr="<f4", data=(9 << 20, True))
    with pytest.raises(ValueError, match="dst is read-only"):
        cuda.unpack_into(read_only, frame)


# ---- DLPack: a producer of CUDA tensors, down to the capsule


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64),
    )  # fmt: skip


_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Managed(ctypes.Structure):
    _fields_ = (("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _Deleter))


class _Versioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p),
        ("deleter", _Deleter), ("flags", ctypes.c_uint64), ("tensor", _Tensor),
    )  # fmt: skip


_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_is_valid = ctypes.pythonapi.PyCapsule_IsValid
_is_valid.argtypes = [ctypes.py_object, ctypes.c_char_p]


class Producer:
    """A CUDA tensor of float32 (or what `code` and `bits` say) at an address nobody reads."""

    def __init__(
        self, shape: Any, *, versioned: bool = True, major: int = 1, flags: int = 0, code: int = 2,
        bits: int = 32, strides: Any = None, device: int = 0, address: int = 9 << 20,
    ) -> None:  # fmt: skip
        self.versioned, self.device, self.deleted = versioned, device, 0
        self.asked: list[dict[str, Any]] = []
        self.shape = (ctypes.c_int64 * len(shape))(*shape)
        self.strides = (ctypes.c_int64 * len(shape))(*strides) if strides else None
        tensor = _Tensor(address, 2, device, len(shape), code, bits, 1, self.shape, self.strides, 0)
        deleter = _Deleter(self._delete)
        if versioned:
            self.managed: Any = _Versioned(major, 0, None, deleter, flags, tensor)
        else:
            self.managed = _Managed(tensor, None, deleter)

    def _delete(self, _: int) -> None:
        self.deleted += 1

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self.device

    def __dlpack__(self, **options: Any) -> Any:
        if not self.versioned and "max_version" in options:
            raise TypeError("__dlpack__() got an unexpected keyword argument 'max_version'")
        self.asked.append(options)
        name = b"dltensor_versioned" if self.versioned else b"dltensor"
        self.capsule = _new_capsule(ctypes.addressof(self.managed), name, None)
        return self.capsule


@no_driver
@pytest.mark.parametrize("versioned", [True, False])
def test_dlpack(versioned: bool) -> None:
    _, frame = unpack_arguments()
    for stream, expected in [(None, 1), (0, 1), (2, 2), (1 << 33, 1 << 33)]:
        dst = Producer((3, 4, 5), versioned=versioned)
        with pytest.raises(CudaError, match="no CUDA device"):
            cuda.unpack_into(dst, frame, stream=stream)
        assert [asked["stream"] for asked in dst.asked] == [expected]
        assert _is_valid(dst.capsule, b"used_dltensor_versioned" if versioned else b"used_dltensor")
        gc.collect()
        assert dst.deleted == 1


def test_bad_dlpack() -> None:
    _, frame = unpack_arguments()
    for producer, message in [
        (Producer((3, 4, 5), flags=1), "dst is read-only"),
        (Producer((3, 4, 5), major=2), r"DLPack 2\.x"),
        (Producer((3, 4, 5), code=4, bits=16), "dtype that no kernel takes"),
        (Producer((3, 4, 6)), "does not fit a frame"),
        (Producer((3, 4, 5), strides=(20, 5, 0)), "overlap each other"),
        (Producer((3, 4, 5), address=0), "null pointer"),
    ]:
        with pytest.raises(ValueError, match=message):
            cuda.unpack_into(producer, frame)
        assert producer.deleted == 1, message


def test_two_devices() -> None:
    first, second = Producer((3, 8, 10)), Producer((12, 4, 5), device=1, address=8 << 20)
    with pytest.raises(ValueError, match="different devices, 0 and 1"):
        cuda.pixel_shuffle_into(first, second, 2)
    assert (first.deleted, second.deleted) == (1, 1)
