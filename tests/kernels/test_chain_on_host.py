"""The CUDA engine without a GPU: the device's code with the layouts of its fragments, on the host.

Threads are fibers here, and tensor cores are emulated as PTX documents them
(kernels/cuda/warps_on_host.h). What only hardware has is in tests/gpu.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from srsdk import zoo
from srsdk.backends import open_backend
from srsdk.backends.cuda_native import read_chain
from srsdk.onnxfile import read
from srsdk.spec import ModelSpec

from . import chain_on_host
from .chain_on_host import Layers, expected, random_layers, run
from .cuda_on_host import compiler

LARGE = {"multiprocessors": 132, "shared_bytes": 232_448}  # H100
SMALL = {"multiprocessors": 1, "shared_bytes": 99 << 10}  # one of an RTX 4090's


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    if compiler() is None:
        pytest.skip("no C++ compiler here")
    folder: Path = tmp_path_factory.mktemp("chain_on_host")
    return chain_on_host.build(folder, "-Werror")


def poisoned(batch: np.ndarray, scale: int) -> np.ndarray:
    """Room for a result inside of a larger frame, at an odd address."""
    count, height, width, _ = batch.shape
    canvas = np.full((count, height * scale, width * scale + 3, 3), 0xA5, np.uint8)
    return canvas[:, :, 1:-2]


def assert_close(ours: np.ndarray, theirs: np.ndarray) -> None:
    """One grey level, and that seldom: half a level is what float16 may move."""
    off = np.abs(ours.astype(int) - theirs.astype(int))
    assert off.max() <= 1
    assert off.mean() <= 0.03


@pytest.mark.parametrize("last", [1, 3])
@pytest.mark.parametrize("shuffle", [1, 2, 3, 4, 8])
def test_every_scale(shuffle: int, last: int, library: ctypes.CDLL) -> None:
    rng = np.random.default_rng([shuffle, last])
    base, swap_rb = ("bilinear", "none", "nearest")[shuffle % 3], bool(last == 1)
    layers = random_layers(rng, 16, 1, last, shuffle, base, swap_rb)
    batch = rng.integers(0, 256, (2, 7, 21, 3), np.uint8)[:, ::-1]
    out = poisoned(batch, shuffle)
    run(library, layers, batch, out, **LARGE)
    assert_close(out, expected(layers, batch))
    canvas = out.base
    assert canvas is not None
    out[:] = 0xA5
    assert (canvas == 0xA5).all()


@pytest.mark.parametrize("channels", [16, 24, 32, 48])
def test_every_width_and_way(channels: int, library: ctypes.CDLL) -> None:
    """Tiles with halo on all sides, one launch or several; in both orders of threads."""
    rng = np.random.default_rng(channels)
    layers = random_layers(rng, channels, 2, 3, 2, "bilinear", channels == 24)
    batch = rng.integers(0, 256, (1, 29, 41, 3), np.uint8)
    shared, known = 700 * channels + 9000, expected(layers, batch)
    launches = set()
    for way in (0, 1, 2, 9):
        out = poisoned(batch, 2)
        gpu = {"multiprocessors": 2, "shared_bytes": shared}
        launches.add(run(library, layers, batch, out, **gpu, way=way, backward=way % 2 == 1))
        assert_close(out, known)
    assert len(launches) >= 2
    again = poisoned(batch, 2)
    run(library, layers, batch, again, **gpu, way=9, backward=False)
    np.testing.assert_array_equal(again, out)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 2), (16, 16), (3, 3)])
def test_small_frames(size: tuple[int, int], library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(size)
    layers = random_layers(rng, 16, 3, 1, 4, "bilinear", True)
    batch = rng.integers(0, 256, (3, *size, 3), np.uint8)
    out = poisoned(batch, 4)
    run(library, layers, batch, out, **SMALL)
    assert_close(out, expected(layers, batch))


@pytest.mark.parametrize("name", ["edge-x4", "edge-x2"])
def test_bundled_models(name: str, library: ctypes.CDLL) -> None:
    """Within one grey level of float32, on shades and on noise."""
    path = Path(zoo.find(name))
    file = read(path)
    spec = ModelSpec.from_metadata(file.metadata, source=name)
    chain, shuffle = read_chain(path, file, spec)
    weights, biases = ([np.ascontiguousarray(layer[k]) for layer in chain] for k in (0, 1))
    layers = Layers(weights, biases, shuffle, spec.base, swap_rb=True)
    y, x = np.mgrid[0:21, 0:33]
    shades = np.stack([x * 5, y * 6, (x + y) * 3], axis=-1)
    noise = np.random.default_rng(0).integers(0, 256, (21, 33, 3))
    batch = np.stack([shades, noise]).astype(np.uint8)
    out = poisoned(batch, shuffle)
    run(library, layers, batch, out, **LARGE)
    theirs = open_backend("native", path, precision="fp32").run(batch)
    off = np.abs(out.astype(int) - theirs.astype(int))
    assert off[0].max() <= 1
    assert off[1].max() <= 1


def test_what_the_kernel_does_not_run(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(0)
    batch = rng.integers(0, 256, (1, 8, 8, 3), np.uint8)

    def refuse(layers: Layers, why: str, **gpu: int) -> None:
        out = poisoned(batch, layers.shuffle)
        with pytest.raises(ValueError, match=why):
            run(library, layers, batch, out, **{**LARGE, **gpu})

    refuse(random_layers(rng, 20, 1, 3, 2, "none", False), "16, 24, 32 or 48")
    refuse(random_layers(rng, 16, 1, 5, 2, "none", False), "kernel of 5")
    plain = random_layers(rng, 16, 1, 3, 2, "none", False)
    refuse(plain, "shared memory", shared_bytes=2000)
    plain.weights[1][0, 0, 0, 0] = 1e6
    refuse(plain, "too large for float16")
