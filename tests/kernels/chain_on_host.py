"""The CUDA engine (kernels/cuda/chain.h) compiled for the host, and what it is compared with."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from srsdk import reference

from .cuda_on_host import BASES, ROOT, compiler, frames

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Layers:
    """A chain of convolutions `(outputs, inputs, k, k)` and biases over a base image."""

    weights: list[Floats]
    biases: list[Floats]
    shuffle: int
    base: str
    swap_rb: bool


def build(folder: Path, *flags: str) -> ctypes.CDLL:
    """Compile tests/kernels/native/chain_on_host.cpp and load it."""
    library = folder / "libchain_on_host.so"
    source = ROOT / "tests/kernels/native/chain_on_host.cpp"
    command = [
        str(compiler()), "-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC",
        "-Wall", "-Wextra", *flags,
        f"-I{ROOT / 'kernels/include'}", str(source), "-o", str(library),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.error.restype = ctypes.c_char_p
    return loaded


def random_layers(
    rng: np.random.Generator,
    channels: int,
    hidden: int,
    last: int,
    shuffle: int,
    base: str,
    swap_rb: bool,
) -> Layers:
    """Weights that keep activations in the range of a trained network's."""
    shapes = [(channels, 3, 3, 3), *[(channels, channels, 3, 3)] * hidden]
    shapes.append((3 * shuffle**2, channels, last, last))
    weights = [
        (rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)
        for shape in shapes
    ]
    weights[-1] *= 0.15
    biases = [rng.uniform(-0.1, 0.1, shape[0]).astype(np.float32) for shape in shapes]
    return Layers(weights, biases, shuffle, base, swap_rb)


def expected(layers: Layers, batch: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """In float64, up to the pack of `srsdk.reference`."""
    images = batch[..., ::-1] if layers.swap_rb else batch
    x = np.moveaxis(images, -1, 1) / 255.0
    for number, (weight, bias) in enumerate(zip(layers.weights, layers.biases, strict=True)):
        pad = weight.shape[-1] // 2
        padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], axis=(2, 3))
        x = np.einsum("nihwyx,oiyx->nohw", windows, weight, optimize=True)
        x += bias[:, None, None]
        if number + 1 < len(layers.weights):
            x = np.maximum(x, 0)
    y = x.astype(np.float32)
    if layers.base == "none":
        return reference.pack(y, layers.shuffle, swap_rb=layers.swap_rb)
    base = {"lr": batch, "base": layers.base, "scale": layers.shuffle}
    return reference.pack(y, layers.shuffle, swap_rb=layers.swap_rb, **base)  # type: ignore[arg-type]


def run(
    library: ctypes.CDLL,
    layers: Layers,
    batch: NDArray[np.uint8],
    out: NDArray[np.uint8],
    *,
    multiprocessors: int,
    shared_bytes: int,
    way: int = 0,
    backward: bool = False,
) -> int:
    """Into `out` by one of the planner's ways, the last where there are fewer.

    Returns:
        The number of launches.

    Raises:
        ValueError: With what was wrong.
    """
    count = len(layers.weights)
    sizes = (ctypes.c_int * (3 * count))()
    for number, weight in enumerate(layers.weights):
        sizes[3 * number : 3 * number + 3] = [weight.shape[1], weight.shape[0], weight.shape[2]]
    pointers = [
        (ctypes.c_void_p * count)(*(array.ctypes.data for array in arrays))
        for arrays in (layers.weights, layers.biases)
    ]
    launches = library.run_chain(
        ctypes.byref(frames(out)), ctypes.byref(frames(batch)), count, sizes, *pointers,
        layers.shuffle, BASES[layers.base], layers.swap_rb,
        multiprocessors, shared_bytes, way, backward,
    )  # fmt: skip
    if launches < 0:
        raise ValueError(library.error().decode())
    return int(launches)
