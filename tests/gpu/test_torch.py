"""The torch backend on a GPU, in float16 and CUDA graphs, against ONNX Runtime on the CPU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from srsdk import InputError, Upscaler, zoo
from srsdk.backends import open_backend
from srsdk.errors import CudaError
from srsdk.types import Backend, DeviceBackend, Pixels
from tests.gpu.pictures import frames
from tests.sdk.backends.agreement import assert_any_layout

pytestmark = pytest.mark.gpu

ZOO = ["edge-x4", "srresnet-x4"]


@pytest.fixture(autouse=True)
def device() -> str:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    return str(torch.cuda.get_device_name())


def assert_close(ours: Pixels, theirs: Pixels) -> None:
    """What the exporter asks of float16, with room for sums in another order."""
    assert ours.shape == theirs.shape
    error = np.abs(ours.astype(int) - theirs.astype(int))
    assert error.max() <= 3
    assert np.mean(error > 1) <= 1e-3


@pytest.mark.parametrize("color", ["bgr", "rgb"])
@pytest.mark.parametrize("size", [(1, 1, 1), (1, 1, 50), (1, 17, 3), (4, 32, 32), (1, 90, 160)])
@pytest.mark.parametrize("name", ZOO)
def test_equals_onnx_runtime(name: str, size: tuple[int, int, int], color: str) -> None:
    images, path = frames(0, *size), Path(zoo.find(name))
    ours = open_backend("torch", path, color=color)  # type: ignore[arg-type]
    theirs = open_backend("onnxruntime", path, color=color)  # type: ignore[arg-type]
    expected = theirs.run(images)
    for _ in range(5):  # step by step, then as a CUDA graph
        assert_close(ours.run(images), expected)


def test_info_names_the_gpu(device: str) -> None:
    with Upscaler(backend="torch") as upscaler:
        info = upscaler.info.frames
    assert (info.name, info.device, info.threads) == ("torch", device, 0)


def test_replays_take_new_frames_and_leave_results_alone() -> None:
    """Seven sizes, more than are kept, in turn."""
    backend = open_backend("torch", Path(zoo.find("edge-x4")))
    kept: list[tuple[Pixels, Pixels]] = []
    for turn in range(3):
        for n in range(7):
            sr = backend.run(frames(turn, 1 + n % 2, 8 + n, 20 - n))
            kept.append((sr, sr.copy()))
    for sr, copy in kept:
        np.testing.assert_array_equal(sr, copy)
    np.testing.assert_array_equal(backend.run(frames(1, 1, 8, 20)), kept[7][0])
    assert (kept[0][0] != kept[7][0]).any()


def test_frames_in_flight() -> None:
    """More at a time than are computed at once, waited for in any order."""
    path = Path(zoo.find("edge-x4"))
    backend, exact = open_backend("torch", path), open_backend("onnxruntime", path)
    assert isinstance(backend, DeviceBackend)
    batches = [frames(seed, 1, 90, 160) for seed in range(12)]
    futures = [backend.submit(batch) for batch in batches]
    for number in (3, 11, 0, 5, 1, 2, 10, 4, 9, 6, 8, 7):
        assert_close(futures[number].result(), exact.run(batches[number]))


def test_tensors_in_and_out() -> None:
    """On the streams of torch's that are current when they are handed over."""
    import torch

    path = Path(zoo.find("edge-x4"))
    backend, exact = open_backend("torch", path), open_backend("onnxruntime", path)
    assert isinstance(backend, DeviceBackend)
    for seed in range(6):
        batch = frames(seed, 2, 90, 160)
        known = exact.run(batch)
        with torch.cuda.stream(torch.cuda.Stream()):  # type: ignore[no-untyped-call]
            on_gpu = torch.zeros(batch.shape, dtype=torch.uint8, device="cuda")
            on_gpu += torch.from_numpy(batch).cuda()
            result = backend.run_on_device(on_gpu)
            assert_close(torch.from_dlpack(result).cpu().numpy(), known)  # type: ignore[attr-defined]
            assert_close(result.numpy(), known)
            out = torch.zeros_like(torch.from_numpy(known[0]), device="cuda")
            backend.run_on_device(on_gpu[0].flip(0), out)
            assert_close(out.cpu().numpy(), exact.run(batch[:1, ::-1])[0])
        assert_close(backend.run(batch), known)


def test_input_and_output_in_any_layout() -> None:
    assert_any_layout(open_backend("torch", Path(zoo.find("edge-x4"))), frames(0, 2, 60, 80))


def test_several_threads_capture_and_replay() -> None:
    backend = open_backend("torch", Path(zoo.find("srresnet-x4")))
    images = [frames(n, 1 + n % 2, 16 + n, 30 - n) for n in range(6)]
    exact = open_backend("onnxruntime", Path(zoo.find("srresnet-x4")))
    expected = [exact.run(image) for image in images]

    def work(first: int) -> None:
        for n in range(18):
            which = (first + n) % len(images)
            assert_close(backend.run(images[which]), expected[which])

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(work, range(5)))


def test_closing_frees_the_memory() -> None:
    import torch

    backend: Backend = open_backend("torch", Path(zoo.find("srresnet-x4")))
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    backend.run(frames(0, 4, 64, 64))
    assert torch.cuda.memory_allocated() > before
    backend.close()
    backend.close()
    assert torch.cuda.memory_allocated() < before
    with pytest.raises(InputError, match="closed"):
        backend.run(frames(0, 1, 8, 8))


def test_too_little_memory_is_one_line_and_no_end() -> None:
    import torch

    backend = open_backend("torch", Path(zoo.find("srresnet-x4")))
    small = frames(0, 1, 16, 16)
    expected = backend.run(small)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.02)
    try:
        with pytest.raises(CudaError, match=r"too little memory.*smaller tile") as caught:
            backend.run(np.zeros((16, 1024, 1024, 3), np.uint8))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(backend.run(small), expected)
