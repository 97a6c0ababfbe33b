"""The backend "cuda-native" up to its kernel: which graphs it takes, and frames through its chain.

The kernel's arithmetic is in tests/kernels/test_chain_on_host.py, the GPU in tests/gpu.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srsdk import _kernels
from srsdk.backends import open_backend
from srsdk.backends.cuda_native import NetworkGenerator, read_chain
from srsdk.cuda.chain import DeviceChain
from srsdk.cuda.driver import find_gpu
from srsdk.errors import BackendUnavailableError, InputError, ModelFormatError
from srsdk.onnxfile import read
from srsdk.spec import ModelSpec
from tests.kernels.chain_on_host import Layers, expected
from tests.sdk.cuda.device_on_host import HostDevice, HostStream, frames, on_device, view


class HostNetwork:
    """`srsdk._kernels_cuda.Network` in NumPy, in the stream's turn."""

    def __init__(self, layers: Any, *, shuffle: int, base: str, swap_rb: bool) -> None:
        weights, biases = ([np.asarray(layer[k]) for layer in layers] for k in (0, 1))
        self._layers = Layers(weights, biases, shuffle, base, swap_rb)

    def scratch_bytes(self, count: int, height: int, width: int) -> int:
        return count * height * width

    def tune_into(self, dst: Any, frames: Any, **more: Any) -> list[tuple[str, float]]:
        assert more["stream"].recording is None, "nothing can be timed while it is recorded"
        return [("as it is", 1.0)]

    def run_into(self, dst: Any, frames: Any, *, scratch: int, stream: HostStream) -> None:
        def work() -> None:
            batch = view(frames)
            images = batch if batch.ndim == 4 else batch[None]
            view(dst)[...] = expected(self._layers, images).reshape(view(dst).shape)

        assert scratch
        stream.put(work)


def opened(path: Path, device: HostDevice, color: str = "bgr") -> DeviceChain:
    device.kernels.Network = HostNetwork  # type: ignore[attr-defined]
    generator = NetworkGenerator(path, device, color=color)
    options = {"name": "cuda-native", "version": "0", "color": color, "tile": 512}
    return DeviceChain(device, generator, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("color", ["bgr", "rgb"])
@pytest.mark.parametrize("name", ["edge-x2", "edge-x3", "edge-x4", "edge-x4-image", "edge-x8"])
def test_pixels(models: dict[str, Path], name: str, color: Any) -> None:
    device = HostDevice()
    backend = opened(models[name], device, color)
    reference = open_backend("native", models[name], color=color, precision="fp32")
    for seed, shape in enumerate([(1, 9, 13), (3, 8, 7), (1, 9, 13)]):
        for again in range(4):
            batch = frames(10 * seed + again, *shape)
            off = np.abs(backend.run(batch).astype(int) - reference.run(batch))
            assert off.max() <= 1
    assert [graph.launches for graph in device.kernels.graphs] == [2 + 4, 2]
    backend.close()
    assert device.live == 0


def test_arrays_on_the_device_and_frames_of_the_host(models: dict[str, Path]) -> None:
    backend = opened(models["edge-x4"], HostDevice())
    reference = open_backend("native", models["edge-x4"], precision="fp32")
    for seed in range(6):
        batch = frames(seed, 1, 12, 10)
        known = reference.run(batch).astype(int)
        for image, result in ((batch, known), (batch[0], known[0])):
            on_gpu = backend.run_on_device(on_device(image)).numpy()
            assert np.abs(on_gpu - result).max() <= 1
        assert np.abs(backend.run(batch) - known).max() <= 1


def test_results_in_pinned_memory_stay_as_they_are(models: dict[str, Path]) -> None:
    """More at a time than are pinned, views that outlive their array, memory that is used again."""
    device = HostDevice()
    backend = opened(models["edge-x2"], device)
    kept = [backend.run(frames(seed, 1, 6, 7)) for seed in range(12)]
    copies = [result.copy() for result in kept]
    for result, copy in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(result, copy)
    row, known = kept[0][0, 3], copies[0][0, 3]
    del kept, result
    for seed in range(20, 32):
        backend.run(frames(seed, 1, 6, 7))
    np.testing.assert_array_equal(row, known)


def test_the_gpu_writes_into_the_callers_array(models: dict[str, Path]) -> None:
    """Where it is of `empty`, or a view of that; else by way of memory that is."""
    device = HostDevice()
    backend = opened(models["edge-x2"], device)
    reference = open_backend("native", models["edge-x2"], precision="fp32")
    batch = frames(0, 1, 6, 7)
    known = reference.run(batch).astype(int)
    given = backend.empty((12, 14, 3))
    backend.run(batch, given[None])
    before = device.live
    assert np.abs(given - known[0]).max() <= 1
    plain = np.empty((1, 12, 14, 3), np.uint8)
    backend.run(batch, plain)
    assert np.abs(plain - known).max() <= 1
    assert device.live == before + 1, "pinned memory on the way to an array that is not pinned"


def test_what_it_does_not_run(models: dict[str, Path], tmp_path: Path) -> None:
    for name in ("residual-x4",):
        path = models[name]
        file = read(path)
        with pytest.raises(ModelFormatError, match=r"cuda-native .*use backend="):
            read_chain(path, file, ModelSpec.from_metadata(file.metadata, source=name))
    device = HostDevice()

    def refuse(*_: Any, **__: Any) -> Any:
        raise ValueError("hidden layers must have 16 channels, not 20")

    device.kernels.Network = refuse  # type: ignore[attr-defined]
    with pytest.raises(ModelFormatError, match="not 20; use backend="):
        NetworkGenerator(models["edge-x4"], device, color="bgr")
    device.kernels.Network = HostNetwork  # type: ignore[attr-defined]
    generator = NetworkGenerator(models["edge-x4"], device, color="bgr")
    with pytest.raises(InputError, match="too many pixels"):
        generator.check((16, 4096, 4096))


@pytest.mark.skipif(find_gpu() is not None, reason="there is a GPU; see tests/gpu")
def test_without_a_gpu(models: dict[str, Path]) -> None:
    text = "nvidia-smi.*CPU backend" if _kernels.built_with_cuda() else "built without CUDA kernels"
    with pytest.raises(BackendUnavailableError, match=text) as caught:
        open_backend("cuda-native", models["edge-x4"])
    assert "\n" not in str(caught.value)
