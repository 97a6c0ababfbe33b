"""The backends on srsdk's own chain on a real GPU, against ONNX Runtime on the CPU."""

from __future__ import annotations

import gc
import importlib.util
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srsdk import Upscaler, zoo
from srsdk.backends import open_backend
from srsdk.cuda import DeviceArray
from srsdk.cuda.driver import find_gpu
from srsdk.errors import (
    BackendUnavailableError,
    CudaError,
    EngineMismatchError,
    InputError,
    ModelFormatError,
)
from srsdk.tensorrt.cache import cached_engine
from srsdk.tensorrt.sidecar import sidecar_path
from srsdk.types import Backend, Pixels
from tests.gpu.pictures import frames

pytestmark = pytest.mark.gpu

ZOO = ["edge-x4", "srresnet-x4"]
LIBRARIES = ["tensorrt", "tensorrt_rtx"]


@pytest.fixture(scope="module", autouse=True)
def device() -> None:
    if find_gpu() is None:
        pytest.skip("no CUDA driver answers")


@pytest.fixture(
    scope="module", params=["cuda-native", "tensorrt", "tensorrt_rtx", "onnxruntime-cuda"]
)
def kind(request: pytest.FixtureRequest) -> str:
    if request.param in LIBRARIES and importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return str(request.param)


def model(kind: str, name: str) -> Path:
    path = Path(zoo.find(name))
    return cached_engine(path, kind) if kind in LIBRARIES else path


def opened(kind: str, name: str, color: Any = "bgr") -> Any:
    try:
        backend = "tensorrt" if kind in LIBRARIES else kind
        return open_backend(backend, model(kind, name), color=color)
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    except ModelFormatError as error:
        if kind != "cuda-native" or name == "edge-x4":
            raise
        pytest.skip(str(error))


@pytest.fixture
def edge(kind: str) -> Iterator[Any]:
    backend = opened(kind, "edge-x4")
    yield backend
    backend.close()


@cache
def reference(name: str, color: Any = "bgr") -> Backend:
    return open_backend("onnxruntime", zoo.find(name), color=color)


def assert_close(ours: Pixels, theirs: Pixels) -> None:
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1


SHAPES = {
    "edge-x4": [(1, 180, 320), (1, 1, 1), (1, 61, 83), (1, 360, 640), (1, 9, 1000)],
    "srresnet-x4": [(1, 32, 32), (1, 16, 16), (16, 32, 32), (3, 47, 61), (4, 130, 100)],
}


@pytest.mark.parametrize("color", ["bgr", "rgb"])
@pytest.mark.parametrize("name", ZOO)
def test_pixels(kind: str, name: str, color: str) -> None:
    backend = opened(kind, name, color)
    for seed, shape in enumerate(SHAPES[name]):
        for again in range(4):  # as it is, then as a graph
            batch = frames(10 * seed + again, *shape)
            poisoned = np.full((shape[0], 4 * shape[1], 4 * shape[2], 3), 0xA5, np.uint8)
            assert backend.run(batch, poisoned) is poisoned
            assert_close(poisoned, reference(name, color).run(batch))
    backend.close()


def test_graph_is_replayed_on_new_frames(edge: Any) -> None:
    for seed in range(12):
        batch = frames(seed, 1, 180, 320)
        assert_close(edge.run(batch), reference("edge-x4").run(batch))


def test_results_stay_as_they_are(edge: Any) -> None:
    kept = []
    for seed in range(8):
        result = edge.run(frames(seed, 1, 64, 64))
        kept.append((result, result.copy()))
    for result, copy in kept:
        np.testing.assert_array_equal(result, copy)


def test_strided_frames(edge: Any) -> None:
    batch = frames(1, 1, 90, 120)[:, ::-1, 3:103]
    canvas = np.full((1, 400, 420, 3), 9, np.uint8)
    out = canvas[:, 20:380, 10:410]
    edge.run(batch, out)
    assert_close(out, reference("edge-x4").run(batch))
    out[:] = 9
    assert (canvas == 9).all()


def test_threads(edge: Any) -> None:
    shapes = [(1, 180, 320), (1, 64, 64), (1, 50, 70)]
    known = {seed: reference("edge-x4").run(frames(seed, *shapes[seed % 3])) for seed in range(12)}

    def work(seed: int) -> None:
        for _ in range(10):
            assert_close(edge.run(frames(seed, *shapes[seed % 3])), known[seed])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(12)))


def test_futures(edge: Any) -> None:
    batches = [frames(seed, 1, 180, 320) for seed in range(12)]
    futures = []
    for batch in batches:
        given = batch.copy()
        futures.append(edge.submit(given))
        given[:] = 0
    for number in (11, 0, 5, *range(12)):
        known = reference("edge-x4").run(batches[number])
        assert_close(futures[number].result(), known)


def test_stream(kind: str) -> None:
    try:
        path = model(kind, "edge-x4")
        backend = "tensorrt" if kind in LIBRARIES else kind
        upscaler = Upscaler(path, backend=backend)
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    shown = [frames(seed, 1, 180, 320)[0] for seed in range(20)]
    with upscaler:
        for shot, result in zip(shown, upscaler.stream().map(shown, in_flight=3), strict=True):
            assert_close(result, reference("edge-x4").run(shot[None])[0])
        large = frames(1, 1, 1500, 1700)[0]
        whole = Upscaler("edge-x4", backend="onnxruntime")(large)
        assert_close(upscaler(large), whole)  # in tiles


@pytest.mark.parametrize("batched", [False, True])
def test_torch_in_and_out(edge: Any, batched: bool) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    side = torch.cuda.Stream()
    for seed in range(6):
        pixels = frames(seed, 1, 180, 320) if batched else frames(seed, 1, 180, 320)[0]
        known = (
            reference("edge-x4")
            .run(pixels.reshape(1, 180, 320, 3))
            .reshape((*pixels.shape[:-3], 720, 1280, 3))
        )
        with torch.cuda.stream(side):
            torch.cuda._sleep(20_000_000)  # the frame is not there yet when it is handed in
            image = torch.from_numpy(pixels).cuda(non_blocking=True)
            result = edge.run_on_device(image)
            del image
            assert isinstance(result, DeviceArray)
            assert result.__dlpack_device__() == (2, 0)
            tensor = torch.from_dlpack(result)
            del result  # the tensor keeps the memory
            gc.collect()
            assert tensor.is_cuda
            assert_close(tensor.cpu().numpy(), known)
            out = torch.full_like(tensor, 0xA5)
            source = torch.from_numpy(pixels).cuda()
            assert edge.run_on_device(source, out) is out
            assert_close(out.cpu().numpy(), known)
            again = edge.run_on_device(torch.from_numpy(pixels).cuda()).numpy()
            assert_close(again, known)


def test_cupy_in_and_out(edge: Any) -> None:
    cupy = pytest.importorskip("cupy")
    for seed in range(4):
        pixels = frames(seed, 1, 120, 200)[0]
        result = cupy.asarray(edge.run_on_device(cupy.asarray(pixels)))
        assert_close(result.get(), reference("edge-x4").run(pixels[None])[0])
        strided = cupy.asarray(pixels)[::2, 5:105]
        known = reference("edge-x4").run(pixels[None, ::2, 5:105])[0]
        assert_close(edge.run_on_device(strided).numpy(), known)


def test_device_arrays_from_several_threads(edge: Any) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")

    def work(seed: int) -> None:
        pixels = frames(seed, 1, 64, 64 + seed)[0]
        known = reference("edge-x4").run(pixels[None])[0]
        for _ in range(10):
            result = edge.run_on_device(torch.from_numpy(pixels).cuda())
            assert_close(torch.from_dlpack(result).cpu().numpy(), known)

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(work, range(5)))


def test_memory_is_flat(edge: Any) -> None:
    """500 frames, sizes that change among them, device arrays too."""
    from srsdk.cuda.device import open_device

    def free() -> int:
        gc.collect()
        return open_device().free_memory()

    def some(count: int) -> None:
        for number in range(count):
            edge.run(frames(0, 1, 180, 320))
            edge.run(frames(0, 1, 40 + number % 10, 50))

    some(25)
    before = free()
    some(250)
    assert abs(before - free()) < 8 << 20


@pytest.mark.parametrize("library", LIBRARIES)
def test_sizes_outside_the_profiles(library: str) -> None:
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    backend = opened(library, "srresnet-x4")
    for shape in [(1, 400, 400), (1, 4, 4)]:
        with pytest.raises(InputError, match=r"faces .*close-ups .*--shapes"):
            backend.run(frames(0, *shape))
    batch = frames(0, 20, 32, 32)  # in two parts
    assert_close(backend.run(batch), reference("srresnet-x4").run(batch))


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_engine_that_is_none(library: str, tmp_path: Path) -> None:
    """Its sidecar fits, so that TensorRT itself has to refuse it."""
    import dataclasses
    import hashlib

    from srsdk.tensorrt.sidecar import read_record, write_record

    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    good = model(library, "edge-x4")
    bad = tmp_path / "bad.engine"
    data = b"no engine" * 1000
    bad.write_bytes(data)
    record = dataclasses.replace(
        read_record(good),
        engine_bytes=len(data),
        engine_sha256=hashlib.sha256(data).hexdigest(),
    )
    write_record(bad, record)
    assert sidecar_path(bad).is_file()
    with pytest.raises((EngineMismatchError, CudaError)) as caught:
        Upscaler(bad)
    assert "\n" not in str(caught.value)


def test_too_little_memory(edge: Any) -> None:
    """A result that no GPU holds; afterwards everything works."""

    class Huge:
        __cuda_array_interface__ = {  # noqa: RUF012
            "version": 3, "shape": (1 << 20, 1 << 18, 3), "typestr": "|u1",
            "data": (1 << 20, False), "strides": None, "stream": None,
        }  # fmt: skip

    # cuda-native counts pixels in 31 bits, and says so before it asks for memory.
    too_much = r"too little memory.*smaller tile or batch|too many pixels"
    with pytest.raises((CudaError, InputError), match=too_much):
        edge.run_on_device(Huge())
    batch = frames(0, 1, 64, 64)
    assert_close(edge.run(batch), reference("edge-x4").run(batch))


def test_closing(kind: str) -> None:
    backend = opened(kind, "edge-x4")
    batch = frames(0, 1, 64, 64)
    future = backend.submit(batch)
    backend.close()
    assert_close(future.result(), reference("edge-x4").run(batch))
    with pytest.raises(InputError, match="closed"):
        backend.run(batch)
