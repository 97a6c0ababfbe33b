"""The logic of `srsdk.cuda` on host memory; what a GPU makes of it is in tests/gpu."""

from __future__ import annotations

import gc
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srsdk.cuda.failure import explained
from srsdk.errors import CudaError, InputError
from tests.sdk.cuda.device_on_host import (
    HostDevice,
    HostGenerator,
    HostStream,
    chain,
    expected,
    frames,
    on_device,
)

NAMES = ["edge-x2", "edge-x3", "edge-x4", "edge-x4-image", "edge-x8", "residual-x4"]


@pytest.mark.parametrize("color", ["bgr", "rgb"])
@pytest.mark.parametrize("name", NAMES)
def test_pixels(models: dict[str, Path], name: str, color: str) -> None:
    """The same bits as ONNX Runtime between the CPU kernels, in every run."""
    device = HostDevice()
    backend = chain(HostGenerator(models[name]), device, color=color)
    for seed, shape in enumerate([(1, 9, 13), (1, 1, 1), (3, 8, 7), (1, 9, 13)]):
        for again in range(4):
            batch = frames(10 * seed + again, *shape)
            np.testing.assert_array_equal(backend.run(batch), expected(models[name], batch, color))
    # From the third run of a size on; the last one is the first again.
    assert [graph.launches for graph in device.kernels.graphs] == [2 + 4, 2, 2]


def test_a_size_that_stays_is_a_graph_replayed_on_new_frames(models: dict[str, Path]) -> None:
    device, path = HostDevice(), models["edge-x4"]
    generator = HostGenerator(path)
    backend = chain(generator, device)
    batches = [frames(seed, 1, 12, 10) for seed in range(8)]
    results = [backend.run(batch) for batch in batches]
    for batch, result in zip(batches, results, strict=True):
        np.testing.assert_array_equal(result, expected(path, batch))
    assert [graph.launches for graph in device.kernels.graphs] == [6]
    assert generator.steps == 1


def test_graphs_of_both_kinds(models: dict[str, Path]) -> None:
    """Frames of the host and arrays of the device in turn, in one workspace."""
    device, path = HostDevice(), models["edge-x4"]
    generator = HostGenerator(path)
    backend = chain(generator, device)
    for seed in range(6):
        batch = frames(seed, 1, 12, 10)
        known = expected(path, batch)
        np.testing.assert_array_equal(backend.run_on_device(on_device(batch)).numpy(), known)
        np.testing.assert_array_equal(backend.run(batch), known)
    # Two runs as they are, one of each kind; then the generator's graph and that of everything.
    assert [graph.launches for graph in device.kernels.graphs] == [5, 5]
    assert generator.steps == 1


def test_sizes_that_change_share_one_workspace(models: dict[str, Path]) -> None:
    device, path = HostDevice(), models["edge-x2"]
    generator = HostGenerator(path)
    backend = chain(generator, device)
    for seed in range(20):
        batch = frames(seed, 1 + seed % 3, 5 + seed % 7, 6 + seed % 5)
        np.testing.assert_array_equal(backend.run(batch), expected(path, batch))
    assert generator.steps == 1
    assert device.kernels.graphs == []


def test_input_may_change_once_it_is_handed_in(models: dict[str, Path]) -> None:
    backend, path = chain(HostGenerator(models["edge-x4"])), models["edge-x4"]
    batch = frames(1, 2, 6, 5)
    copy = batch.copy()
    future = backend.submit(batch)
    batch[:] = 0
    np.testing.assert_array_equal(future.result(), expected(path, copy))
    assert future.result() is future.result()


@pytest.mark.parametrize("order", [range(10), reversed(range(10)), [7, 3, 9, 0, 1, 2, 8, 4, 6, 5]])
def test_more_futures_than_workspaces(models: dict[str, Path], order: Any) -> None:
    backend, path = chain(HostGenerator(models["edge-x2"]), workspaces=3), models["edge-x2"]
    batches = [frames(seed, 1, 6 + seed % 2, 5) for seed in range(10)]
    futures = [backend.submit(batch) for batch in batches]
    for number in order:
        np.testing.assert_array_equal(futures[number].result(), expected(path, batches[number]))


def test_batches_larger_than_an_engine_takes(models: dict[str, Path]) -> None:
    """Six at most here: seventeen faces go as 6, 6 and 5."""
    generator = HostGenerator(models["edge-x2"])
    backend = chain(generator, workspaces=2)
    batch = frames(3, 17, 5, 6)
    out = np.zeros((17, 10, 12, 3), np.uint8)
    future = backend.submit(batch, out)
    assert future.result() is out
    np.testing.assert_array_equal(out, expected(models["edge-x2"], batch))
    assert {size[0] for size in generator.resizes} == {6, 5}


def test_interrupted_while_waiting(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, path = chain(HostGenerator(models["edge-x2"]), workspaces=1), models["edge-x2"]
    future = backend.submit(frames(3, 1, 5, 6))

    def interrupted(_stream: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(HostStream, "synchronize", interrupted)
        with pytest.raises(KeyboardInterrupt):
            future.result()
    with pytest.raises(KeyboardInterrupt):
        future.result()  # what it should have filled is not given out
    batch = frames(4, 1, 5, 6)
    np.testing.assert_array_equal(backend.run(batch), expected(path, batch))


def test_strided_and_read_only(models: dict[str, Path]) -> None:
    backend, path = chain(HostGenerator(models["edge-x2"])), models["edge-x2"]
    batch = frames(2, 2, 12, 10)[:, ::-2, 1:9]
    batch.setflags(write=False)
    canvas = np.full((2, 20, 30, 3), 7, np.uint8)
    out = canvas[:, 3:15, 5:21]
    assert backend.run(batch, out) is out
    np.testing.assert_array_equal(out, expected(path, batch))
    canvas[:, 3:15, 5:21] = 7
    assert (canvas == 7).all()


def test_threads(models: dict[str, Path]) -> None:
    device, path = HostDevice(), models["edge-x4"]
    generator = HostGenerator(path)
    backend = chain(generator, device, workspaces=3)

    def work(seed: int) -> bool:
        batch = frames(seed, 1 + seed % 2, 6, 5 + seed % 3)
        return np.array_equal(backend.run(batch), expected(path, batch))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(80)))
    assert device.live <= 3 * 6 + 8, "six for each workspace, and eight pinned results"


def test_memory_is_bounded_and_freed(models: dict[str, Path]) -> None:
    device = HostDevice()
    backend = chain(HostGenerator(models["edge-x2"]), device, workspaces=2)
    most = 0
    for seed in range(12):
        for again in range(4):  # each size becomes a graph, so that the oldest must go
            backend.run(frames(again, 1, 5 + seed, 6))
            most = max(most, device.live)
    assert most <= 2 * 6, "two tensors, two frames and two pinned ones for each workspace"
    backend.close()
    backend.close()
    with pytest.raises(InputError, match="closed"):
        backend.run(frames(0, 1, 5, 6))
    del backend
    gc.collect()
    assert device.live == 0


def test_closing_finishes_what_is_on_its_way(models: dict[str, Path]) -> None:
    backend, path = chain(HostGenerator(models["edge-x2"])), models["edge-x2"]
    batch = frames(3, 1, 6, 6)
    future = backend.submit(batch)
    backend.close()
    np.testing.assert_array_equal(future.result(), expected(path, batch))


def test_without_graphs(models: dict[str, Path], caplog: pytest.LogCaptureFixture) -> None:
    for spoils in (False, True):
        device, path = HostDevice(), models["edge-x2"]
        generator = HostGenerator(path, capturable=spoils)
        generator.spoils_recordings = spoils
        backend = chain(generator, device)
        with caplog.at_level(logging.WARNING):
            for seed in range(6):
                batch = frames(seed, 1, 7, 6)
                np.testing.assert_array_equal(backend.run(batch), expected(path, batch))
        assert device.kernels.graphs == []
    assert caplog.text.count("no CUDA graph") == 1


def test_a_failure_costs_one_batch(models: dict[str, Path]) -> None:
    generator = HostGenerator(models["edge-x2"])
    backend = chain(generator, workspaces=2)
    batch = frames(4, 1, 6, 6)
    for error in [CudaError("device lost"), MemoryError("cuMemAlloc failed: out of memory")] * 3:
        generator.fails = error
        with pytest.raises(CudaError, match=r"device lost|smaller tile or batch"):
            backend.run(batch)
    generator.fails = None
    np.testing.assert_array_equal(backend.run(batch), expected(models["edge-x2"], batch))


def test_sizes_that_are_refused_cost_nothing(models: dict[str, Path]) -> None:
    device = HostDevice()
    generator = HostGenerator(models["edge-x2"])
    backend = chain(generator, device)
    with pytest.raises(InputError, match="too high"):
        backend.run(frames(0, 1, 1001, 2))
    with pytest.raises(InputError, match="too high"):
        backend.run_on_device(on_device(frames(0, 1001, 2)))
    assert (device.live, generator.steps) == (0, 0)


def test_out_of_memory_names_the_remedy() -> None:
    import onnxruntime.capi.onnxruntime_pybind11_state as state

    said = [
        MemoryError("cuMemAlloc failed: out of memory"),
        state.RuntimeException("[ONNXRuntimeError] BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer"),  # noqa: E501
        "IExecutionContext::init: Error Code 2: OutOfMemory (requested 9 bytes)",
    ]  # fmt: skip
    for error in said:
        failure = explained(error, "upscaling 1*640x360")
        assert isinstance(failure, CudaError)
        assert "smaller tile or batch" in str(failure)
        assert "\n" not in str(failure)
    other = str(explained(ValueError("line one\nline two"), "upscaling"))
    assert other == "upscaling failed on the GPU: line one"
    assert str(explained(ValueError(), "upscaling")).endswith("ValueError")
