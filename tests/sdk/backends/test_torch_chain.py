"""The torch backend's way on a GPU, on host memory: its generator in the chain, in float32.

What torch makes of streams, memory and CUDA graphs is in tests/gpu/test_torch.py.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from srsdk import InputError
from srsdk.backends import open_backend
from srsdk.cuda.chain import DeviceChain
from tests.sdk.backends.agreement import assert_any_layout, assert_same_from_threads, noise
from tests.sdk.cuda.device_on_host import HostDevice, HostStream, frames, on_device, view

torch = pytest.importorskip("torch")

if TYPE_CHECKING:
    from srsdk.backends.torch import TorchGenerator

NAMES = ["edge-x2", "edge-x4", "edge-x4-image", "residual-x4"]


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference is on the CPU, even on a machine with a GPU."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


class TensorStream(HostStream):
    """As `srsdk.backends.torchdevice.TorchStream`."""

    def run(self, work: Callable[[], None]) -> None:
        self.put(work)

    def keep(self, tensors: Any) -> None:
        pass


class TensorDevice(HostDevice):
    """As `srsdk.backends.torchdevice.TorchDevice`."""

    stream_type = TensorStream

    def tensor(self, array: Any, stream: TensorStream) -> Any:
        return torch.from_numpy(view(array))


def generator(path: Path, device: TensorDevice, color: str = "bgr") -> TorchGenerator:
    from srsdk.backends.torch import TorchGenerator
    from srsdk.backends.torchgraph import TorchGraph

    return TorchGenerator(TorchGraph(path, color=color).eval(), device)


def opened(path: Path, device: TensorDevice, color: str = "bgr", workspaces: int = 2) -> Any:
    options = {"name": "torch", "version": "0", "tile": 512, "workspaces": workspaces}
    return DeviceChain(device, generator(path, device, color), color=color, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("color", ["bgr", "rgb"])
@pytest.mark.parametrize("name", NAMES)
def test_pixels(models: dict[str, Path], name: str, color: Any) -> None:
    """The same as on the CPU, step by step and as a CUDA graph that takes new frames."""
    device = TensorDevice()
    backend = opened(models[name], device, color)
    reference = open_backend("torch", models[name], color=color)
    for seed, shape in enumerate([(1, 9, 13), (3, 8, 7), (1, 9, 13)]):
        for again in range(4):
            batch = frames(10 * seed + again, *shape)
            np.testing.assert_array_equal(backend.run(batch), reference.run(batch))
    assert [graph.launches for graph in device.kernels.graphs] == [2 + 4, 2]


def test_two_frames_in_flight(models: dict[str, Path]) -> None:
    """A frame is started while the one before has not been waited for; a third waits for one."""
    device = TensorDevice()
    backend = opened(models["edge-x4"], device)
    reference = open_backend("torch", models["edge-x4"])
    batches = [frames(seed, 1, 12, 10) for seed in range(9)]
    futures = [backend.submit(batch) for batch in batches[:2]]
    streams = list(device.kernels.streams.values())
    assert [bool(stream.waiting) for stream in streams] == [True, True]
    futures += [backend.submit(batch) for batch in batches[2:]]
    assert len(device.kernels.streams) == 2
    for batch, future in zip(batches, futures, strict=True):
        np.testing.assert_array_equal(future.result(), reference.run(batch))


def test_arrays_in_device_memory(models: dict[str, Path]) -> None:
    device = TensorDevice()
    backend = opened(models["edge-x2"], device)
    reference = open_backend("torch", models["edge-x2"])
    for seed in range(5):
        batch = frames(seed, 2, 12, 10)
        known = reference.run(batch)
        np.testing.assert_array_equal(backend.run_on_device(on_device(batch)).numpy(), known)
        out = np.zeros((24, 20, 3), np.uint8)
        backend.run_on_device(on_device(batch[0]), on_device(out))
        np.testing.assert_array_equal(out, known[0])


def test_any_layout_and_several_threads(models: dict[str, Path]) -> None:
    backend = opened(models["residual-x4"], TensorDevice())
    assert_any_layout(backend, noise(2, 30, 40))
    images = [noise(1 + n % 2, 8 + n, 15 - n, seed=n) for n in range(6)]
    assert_same_from_threads(backend.run, images, threads=4, calls=12)


def test_closing_frees_the_generator(models: dict[str, Path]) -> None:
    device = TensorDevice()
    loaded = generator(models["edge-x4"], device)
    graph = weakref.ref(loaded.graph)
    backend = DeviceChain(device, loaded, name="torch", version="0", color="bgr", tile=512)
    del loaded
    for seed in range(4):
        backend.run(frames(seed, 1, 8, 9))
    backend.close()
    backend.close()
    device.kernels.graphs.clear()  # which the stand-in keeps
    assert graph() is None
    with pytest.raises(InputError, match="closed"):
        backend.run(frames(0, 1, 8, 9))
