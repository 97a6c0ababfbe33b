"""The CUDA kernels' bodies (kernels/cuda/*.h), compiled for the host and run thread by thread."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from .cases import MAKERS, Case, Strided

ROOT = Path(__file__).parents[2]
BASES = {"none": 0, "nearest": 1, "bilinear": 2}


class Frames(ctypes.Structure):
    """srsdk::Frames."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        *((f"size_{axis}", ctypes.c_int64) for axis in "nhw"),
        *((f"stride_{axis}", ctypes.c_int64) for axis in "nhwc"),
    )


class Tensor(ctypes.Structure):
    """srsdk::cuda::Tensor."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("dtype", ctypes.c_int32),
        *((f"size_{axis}", ctypes.c_int64) for axis in "nchw"),
        *((f"stride_{axis}", ctypes.c_int64) for axis in "nchw"),
    )


class Face(ctypes.Structure):
    """srsdk::cuda::Face."""

    _fields_ = (
        ("patch", Frames),
        ("top", ctypes.c_int64),
        ("left", ctypes.c_int64),
        ("weight_y", ctypes.c_void_p),
        ("weight_x", ctypes.c_void_p),
    )


def compiler() -> str | None:
    """The C++ compiler that CMake would take."""
    return os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")


def build(folder: Path, *flags: str) -> ctypes.CDLL:
    """Compile tests/kernels/native/cuda_on_host.cpp and load it."""
    library = folder / "libcuda_on_host.so"
    source = ROOT / "tests/kernels/native/cuda_on_host.cpp"
    command = [
        str(compiler()), "-std=c++17", "-O1", "-ffp-contract=off", "-shared", "-fPIC",
        "-Wall", "-Wextra", "-Werror", *flags,
        f"-I{ROOT / 'kernels/include'}", str(source), "-o", str(library),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(library))


def frames(array: np.ndarray) -> Frames:
    """(H, W, 3) or (N, H, W, 3)."""
    if array.ndim == 3:
        array = array[None]
    return Frames(array.ctypes.data, *array.shape[:3], *array.strides)


def tensor(array: np.ndarray, layout: str) -> Tensor:
    """(N, C, H, W) or (N, H, W, C)."""
    if layout == "NHWC":
        array = np.moveaxis(array, -1, 1)
    return Tensor(
        array.ctypes.data, 0 if array.dtype == np.float32 else 1, *array.shape, *array.strides
    )


def run(library: ctypes.CDLL, case: Case, backward: bool) -> np.ndarray:
    """The bytes of `case.dst.base` after the call; the case itself stays as it is."""
    memory = case.dst.base.copy()
    # The copy may begin anywhere: move it to the alignment that the case asks for.
    room = np.empty(memory.size + 64, np.uint8)
    room = room[-room.ctypes.data % 64 :][: memory.size]
    room[:] = memory
    source = case.dst.view
    dst = np.ndarray(source.shape, source.dtype, room.data, case.dst.offset, source.strides)
    CALLS[case.name](library, dst, case, ctypes.c_int(backward))
    return room


def _unpack(library: ctypes.CDLL, dst: np.ndarray, case: Case, backward: Any) -> None:
    out, frame = tensor(dst, case.options["layout"]), frames(case.inputs[0].view)
    scale = ctypes.c_float(case.options.get("scale", np.float32(1 / 255)))
    library.unpack(ctypes.byref(out), ctypes.byref(frame), case.options["swap_rb"], scale, backward)


def _pixel_shuffle(library: ctypes.CDLL, dst: np.ndarray, case: Case, backward: Any) -> None:
    out, x = (tensor(a, case.options["layout"]) for a in (dst, case.inputs[0].view))
    library.pixel_shuffle(ctypes.byref(out), ctypes.byref(x), case.inputs[1], backward)


def _pixel_shuffle_prelu(library: ctypes.CDLL, dst: np.ndarray, case: Case, backward: Any) -> None:
    source, r, bias, slope = case.inputs
    out, x = (tensor(a, case.options["layout"]) for a in (dst, source.view))
    library.pixel_shuffle_prelu(
        ctypes.byref(out), ctypes.byref(x), r, _address(bias), _address(slope),
        slope.view.size == 1, backward,
    )  # fmt: skip


def _pack(library: ctypes.CDLL, dst: np.ndarray, case: Case, backward: Any) -> None:
    source, r = case.inputs
    out, x, options = frames(dst), tensor(source.view, "NCHW"), case.options
    lr = frames(options["lr"].view) if "lr" in options else Frames()
    top, left = options.get("origin", (0, 0))
    library.pack(
        ctypes.byref(out), ctypes.byref(x), r, BASES[options.get("base", "none")],
        ctypes.byref(lr), options.get("scale", r), ctypes.c_int64(top), ctypes.c_int64(left),
        options["swap_rb"], backward,
    )  # fmt: skip


def _blend_many(library: ctypes.CDLL, dst: np.ndarray, case: Case, backward: Any) -> None:
    given = case.inputs[0]
    faces = (Face * len(given))(
        *(
            Face(frames(patch.view), top, left, _address(weight_y), _address(weight_x))
            for patch, top, left, weight_y, weight_x in given
        )
    )
    out = frames(dst)
    library.blend(ctypes.byref(out), faces, ctypes.c_int64(len(given)), backward)


def _address(array: Strided | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if array is None else array.view.ctypes.data)


CALLS = {
    "unpack": _unpack,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_shuffle_prelu": _pixel_shuffle_prelu,
    "pack": _pack,
    "blend_many": _blend_many,
}


def fence(library: ctypes.CDLL, case: Case, up: bool) -> None:
    """Forbid the address sanitizer's library to touch what lies around the inputs' elements."""
    change = library.__asan_poison_memory_region if up else library.__asan_unpoison_memory_region
    arrays = [*case.inputs, case.options.get("lr")]
    if case.name == "blend_many":
        arrays = [value for face in case.inputs[0] for value in face]
    for array in arrays:
        if not isinstance(array, Strided) or array.view.size == 0:
            continue
        whole, view = array.base.base, array.view
        assert whole is not None
        begin, end = whole.ctypes.data, whole.ctypes.data + whole.size
        first = last = view.ctypes.data
        for size, stride in zip(view.shape, view.strides, strict=True):
            first += min(0, (size - 1) * stride)
            last += max(0, (size - 1) * stride)
        last += view.itemsize
        change(ctypes.c_void_p(begin), ctypes.c_size_t(first - begin))
        change(ctypes.c_void_p(last), ctypes.c_size_t(end - last))


def main() -> None:
    """Run cases under the address sanitizer; the program ends at the first byte too many."""
    library = build(Path(sys.argv[1]), "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    for make in MAKERS.values():
        for seed in range(200):
            case = make(np.random.default_rng([seed, 7]))
            fence(library, case, up=True)
            memory = run(library, case, bool(seed % 2))
            fence(library, case, up=False)
            case.check(memory)


if __name__ == "__main__":
    main()
