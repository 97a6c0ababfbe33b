"""The torch backend on a GPU, in float16 and CUDA graphs, against ONNX Runtime on the CPU."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from srsdk import InputError, Upscaler, zoo
from srsdk.backends import Backend, Pixels, open_backend
from srsdk.errors import CudaError

pytestmark = pytest.mark.gpu

ZOO = ["edge-x4", "srresnet-x4"]


@pytest.fixture(autouse=True)
def device() -> str:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    return str(torch.cuda.get_device_name())


def frames(*shape: int, seed: int = 0) -> Pixels:
    """Shades with noise: float16 has its usual range of values to get through."""
    count, height, width = shape
    y, x = np.mgrid[0:height, 0:width]
    shades = np.stack([x * 200 // width, y * 200 // height, (x + y) % 200], axis=-1)
    noise = np.random.default_rng(seed).integers(0, 56, (count, height, width, 3))
    return (shades + noise).astype(np.uint8)


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
    images, path = frames(*size), Path(zoo.find(name))
    ours = open_backend("torch", path, color=color)  # type: ignore[arg-type]
    theirs = open_backend("onnxruntime", path, color=color)  # type: ignore[arg-type]
    expected = theirs.run(images)
    for _ in range(3):  # captured, then replayed
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
            sr = backend.run(frames(1 + n % 2, 8 + n, 20 - n, seed=turn))
            kept.append((sr, sr.copy()))
    for sr, copy in kept:
        np.testing.assert_array_equal(sr, copy)
    np.testing.assert_array_equal(backend.run(frames(1, 8, 20, seed=1)), kept[7][0])
    assert (kept[0][0] != kept[7][0]).any()


def test_input_and_output_in_any_layout() -> None:
    backend = open_backend("torch", Path(zoo.find("edge-x4")))
    wide = frames(2, 60, 80)
    wide.flags.writeable = False
    for view in (
        wide[:, ::2],
        wide[:, :, ::3],
        wide[:, ::-1],
        wide[..., ::-1],
        wide[:, 3:40, 5:33],
    ):
        expected = backend.run(np.ascontiguousarray(view))
        count, height, width, _ = view.shape
        canvas = np.full((count, 4 * height + 9, 4 * width + 5, 3), 77, np.uint8)
        region = canvas[:, 7 : 7 + 4 * height, 2 : 2 + 4 * width]
        assert backend.run(view, region) is region
        np.testing.assert_array_equal(region, expected)
        region[:] = 77
        assert (canvas == 77).all()


def test_several_threads_capture_and_replay() -> None:
    backend = open_backend("torch", Path(zoo.find("srresnet-x4")))
    images = [frames(1 + n % 2, 16 + n, 30 - n, seed=n) for n in range(6)]
    exact = open_backend("onnxruntime", Path(zoo.find("srresnet-x4")))
    expected = [exact.run(image) for image in images]
    errors: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for n in range(18):
                which = (first + n) % len(images)
                assert_close(backend.run(images[which]), expected[which])
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not errors


def test_closing_frees_the_memory() -> None:
    import torch

    backend: Backend = open_backend("torch", Path(zoo.find("srresnet-x4")))
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    backend.run(frames(4, 64, 64))
    assert torch.cuda.memory_allocated() > before
    backend.close()
    backend.close()
    assert torch.cuda.memory_allocated() < before
    with pytest.raises(InputError, match="closed"):
        backend.run(frames(1, 8, 8))


def test_too_little_memory_is_one_line_and_no_end() -> None:
    import torch

    backend = open_backend("torch", Path(zoo.find("srresnet-x4")))
    small = frames(1, 16, 16)
    expected = backend.run(small)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.02)
    try:
        with pytest.raises(CudaError, match=r"too little memory.*tile=") as caught:
            backend.run(np.zeros((16, 1024, 1024, 3), np.uint8))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(backend.run(small), expected)
