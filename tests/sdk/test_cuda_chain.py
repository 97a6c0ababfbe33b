"""The logic of `srsdk.cuda` on host memory; what a GPU makes of it is in tests/gpu."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srsdk import Upscaler, image
from srsdk.backends import BACKENDS, open_backend
from srsdk.backends.base import Backend, DeviceBackend, Pixels
from srsdk.cuda import DeviceArray, is_device_array
from srsdk.cuda.failure import explained
from srsdk.cuda.pool import Pool
from srsdk.errors import CudaError, InputError
from tests.sdk.device_on_host import HostDevice, HostGenerator, HostStream, chain, on_device

NAMES = ["edge-x2", "edge-x3", "edge-x4", "edge-x4-image", "edge-x8", "residual-x4"]


def frames(seed: int, *shape: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


@cache
def reference(path: Path, color: Any) -> Backend:
    return open_backend("onnxruntime", path, threads=1, color=color)


def expected(path: Path, batch: Pixels, color: Any = "bgr") -> Pixels:
    return reference(path, color).run(batch)


@pytest.mark.parametrize("color", ["bgr", "rgb"])
@pytest.mark.parametrize("name", NAMES)
def test_pixels(models: dict[str, Path], name: str, color: str) -> None:
    """Those of ONNX Runtime between the CPU kernels, bit for bit, run after run."""
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
    ticket = backend.submit(batch)
    batch[:] = 0
    np.testing.assert_array_equal(ticket.result(), expected(path, copy))
    assert ticket.result() is ticket.result()


@pytest.mark.parametrize("order", [range(10), reversed(range(10)), [7, 3, 9, 0, 1, 2, 8, 4, 6, 5]])
def test_more_tickets_than_workspaces(models: dict[str, Path], order: Any) -> None:
    backend, path = chain(HostGenerator(models["edge-x2"]), workspaces=3), models["edge-x2"]
    batches = [frames(seed, 1, 6 + seed % 2, 5) for seed in range(10)]
    tickets = [backend.submit(batch) for batch in batches]
    for number in order:
        np.testing.assert_array_equal(tickets[number].result(), expected(path, batches[number]))


def test_batches_larger_than_an_engine_takes(models: dict[str, Path]) -> None:
    """Six at most here: seventeen faces go as 6, 6 and 5."""
    generator = HostGenerator(models["edge-x2"])
    backend = chain(generator, workspaces=2)
    batch = frames(3, 17, 5, 6)
    out = np.zeros((17, 10, 12, 3), np.uint8)
    ticket = backend.submit(batch, out)
    assert ticket.result() is out
    np.testing.assert_array_equal(out, expected(models["edge-x2"], batch))
    assert {size[0] for size in generator.resizes} == {6, 5}


def test_interrupted_while_waiting(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, path = chain(HostGenerator(models["edge-x2"]), workspaces=1), models["edge-x2"]
    ticket = backend.submit(frames(3, 1, 5, 6))

    def interrupted(_stream: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(HostStream, "synchronize", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ticket.result()
    with pytest.raises(KeyboardInterrupt):
        ticket.result()  # what it should have filled is not given out
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
    assert device.live <= 3 * 6


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
    ticket = backend.submit(batch)
    backend.close()
    np.testing.assert_array_equal(ticket.result(), expected(path, batch))


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


def test_device_arrays(models: dict[str, Path]) -> None:
    device, path = HostDevice(), models["edge-x4"]
    backend = chain(HostGenerator(path), device)
    for shape in [(6, 5), (2, 6, 5), (1, 3, 4)]:
        pixels = frames(5, *shape)
        batch = pixels.reshape(-1, *pixels.shape[-3:])
        known = expected(path, batch).reshape(*shape[:-2], 4 * shape[-2], 4 * shape[-1], 3)
        result = backend.run_on_device(on_device(pixels))
        assert isinstance(result, DeviceArray)
        assert result.shape == known.shape
        assert is_device_array(result)
        np.testing.assert_array_equal(result.numpy(), known)
        out = np.zeros_like(known)
        target = on_device(out)
        assert backend.run_on_device(on_device(pixels), target) is target
        np.testing.assert_array_equal(out, known)
    again = backend.run_on_device(result).numpy()  # from device array to device array
    np.testing.assert_array_equal(again, expected(path, known))
    strided = frames(6, 12, 20)[::2, 3:11]
    result = backend.run_on_device(on_device(strided))
    np.testing.assert_array_equal(result.numpy(), expected(path, strided[None])[0])


def test_a_device_array_outlives_its_upscaler(models: dict[str, Path]) -> None:
    device, path = HostDevice(), models["edge-x4"]
    backend = chain(HostGenerator(path), device)
    pixels = frames(7, 6, 5)
    result = backend.run_on_device(on_device(pixels))
    backend.close()
    del backend
    gc.collect()
    np.testing.assert_array_equal(result.numpy(), expected(path, pixels[None])[0])
    del result
    gc.collect()
    assert device.live == 0


def test_device_arrays_are_freed_in_any_thread(models: dict[str, Path]) -> None:
    device = HostDevice()
    backend = chain(HostGenerator(models["edge-x2"]), device)
    results = [backend.run_on_device(on_device(frames(8, 6, 5))) for _ in range(5)]
    before = device.live
    thread = threading.Thread(target=results.clear)
    thread.start()
    thread.join()
    assert device.live == before - 5


def test_handing_over(models: dict[str, Path]) -> None:
    device = HostDevice()
    backend = chain(HostGenerator(models["edge-x2"]), device)
    result = backend.run_on_device(on_device(frames(8, 6, 5)))
    interface = result.__cuda_array_interface__
    assert interface["shape"] == (12, 10, 3)
    assert interface["typestr"] == "|u1"
    assert interface["stream"] > 2
    assert result.__dlpack_device__() == (2, 0)
    for version, versioned in ((None, False), ((0, 8), False), ((1, 0), True), ((1, 1), True)):
        owner, pointer, shape, dtype, more = result.__dlpack__(stream=1, max_version=version)
        assert owner is result
        assert (pointer, False) == interface["data"]
        assert (shape, dtype) == ((12, 10, 3), "u1")
        assert more == {"device": 0, "versioned": versioned}
    result.__dlpack__(dl_device=(2, 0), copy=False)
    for refused in ({"copy": True}, {"dl_device": (1, 0)}):
        with pytest.raises(BufferError, match="no copies"):
            result.__dlpack__(**refused)
    assert "(12, 10, 3) uint8" in repr(result)


class Elsewhere:
    def __init__(self, pixels: Pixels) -> None:
        self.__cuda_array_interface__ = on_device(pixels).__cuda_array_interface__

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: on_device(frames(1, 4, 4).astype(np.float32)), "float32 values.*expected uint8"),
        (lambda: on_device(frames(1, 4, 4)[..., 0]), r"shape \(H, W, 3\).*got \(4, 4\)"),
        (lambda: on_device(np.zeros((4, 4, 4), np.uint8)), r"got \(4, 4, 4\)"),
        (lambda: on_device(np.zeros((1, 1, 4, 4, 3), np.uint8)), r"got \(1, 1, 4, 4, 3\)"),
        (lambda: on_device(np.zeros((0, 4, 3), np.uint8)), "is empty"),
        (lambda: Elsewhere(frames(1, 4, 4)), "CUDA device 3, this Upscaler runs on device 0"),
    ],
)
def test_device_arrays_that_will_not_do(models: dict[str, Path], make: Any, message: str) -> None:
    backend = chain(HostGenerator(models["edge-x2"]))
    with pytest.raises(InputError, match=message):
        backend.run_on_device(make())
    good = on_device(frames(1, 4, 4))
    for out in (make(), np.zeros((8, 8, 3), np.uint8), on_device(np.zeros((8, 7, 3), np.uint8))):
        with pytest.raises(InputError):
            backend.run_on_device(good, out)


def test_what_counts_as_a_device_array() -> None:
    class ByDlpack:
        def __init__(self, kind: int) -> None:
            self._kind = kind

        def __dlpack_device__(self) -> tuple[int, int]:
            return self._kind, 0

        def __dlpack__(self, **_options: Any) -> Any:
            raise AssertionError("asked for its memory")

    assert is_device_array(on_device(frames(1, 2, 2)))
    assert is_device_array(ByDlpack(2))
    assert is_device_array(ByDlpack(13))
    assert not is_device_array(ByDlpack(1))
    assert not is_device_array(frames(1, 2, 2))
    assert not is_device_array([1, 2])
    assert not is_device_array(None)


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


# ---- the pool by itself


class Item:
    def __init__(self) -> None:
        self.size: Any = None
        self.bound = False


def taken(pool: Pool[Any], size: Any, *, bound: bool = False) -> Any:
    item = pool.take(size)
    assert item is not None
    item.size, item.bound = size, item.bound or bound
    return item


A, B, C = (1, 2, 3), (1, 2, 4), (1, 2, 5)


def test_pool_prefers_what_fits_best() -> None:
    pool: Pool[Item] = Pool(Item, 4)
    free, same, bound = (taken(pool, size) for size in (B, A, A))
    bound.bound = True
    for item in (bound, same, free):
        pool.give_back(item)
    assert [pool.take(A), pool.take(A), pool.take(A)] == [bound, same, free]
    assert pool.take(A) not in (None, bound, same, free)
    assert pool.take(A) is None


def test_pool_lets_the_oldest_go() -> None:
    pool: Pool[Item] = Pool(Item, 2)
    first, second = taken(pool, A, bound=True), taken(pool, B, bound=True)
    assert pool.take(C) is None
    pool.give_back(second)
    pool.give_back(first)
    third = taken(pool, C, bound=True)
    assert third not in (first, second)
    assert pool.take(A) is first, "B was used longest ago"
    assert pool.take(B) is None


def test_pool_counts_failures() -> None:
    calls: list[int] = []

    def make() -> Item:
        calls.append(1)
        if len(calls) < 5:
            raise CudaError("no")
        return Item()

    pool = Pool(make, 1)
    for _ in range(4):
        with pytest.raises(CudaError):
            pool.take(A)
    assert pool.take(A) is not None
    assert pool.take(A) is None
    pool.drop()
    assert pool.take(A) is not None
    with pytest.raises(ValueError, match="limit"):
        Pool(Item, 0)


def test_pool_wakes_those_who_wait() -> None:
    pool: Pool[Item] = Pool(Item, 1)
    item = taken(pool, A)
    got: list[Item] = []

    def wait() -> None:
        while (found := pool.take(A)) is None:
            pool.wait()
        got.append(found)

    thread = threading.Thread(target=wait)
    thread.start()
    pool.give_back(item)
    thread.join(10)
    assert got == [item]


# ---- through Upscaler


@pytest.fixture
def on_host(monkeypatch: pytest.MonkeyPatch, models: dict[str, Path]) -> Iterator[Upscaler]:
    monkeypatch.setitem(BACKENDS, "host", "tests.sdk.device_on_host")
    with Upscaler(models["edge-x4"], backend="host", tile=64) as upscaler:
        yield upscaler


def test_stream_of_frames(on_host: Upscaler, models: dict[str, Path]) -> None:
    assert isinstance(on_host._backend, DeviceBackend)
    cpu = Upscaler(models["edge-x4"], backend="onnxruntime", threads=1, tile=64)
    shown: list[Any] = [frames(seed, 20, 30) for seed in range(6)]
    shown += [frames(1, 7, 9)[..., 0], np.dstack([shown[0], shown[1][..., 0]]), frames(2, 70, 90)]
    known = [cpu.up(frame) for frame in shown]
    for in_flight in (1, 2, 3, 7, 100):
        results = list(on_host.stream().map(iter(shown), in_flight=in_flight))
        for result, other in zip(results, known, strict=True):
            np.testing.assert_array_equal(result, other)
    assert [r.shape for r in cpu.stream().map(shown)] == [r.shape for r in known]
    assert list(on_host.stream().map([])) == []


def test_what_fits_goes_whole(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame that an engine was built for is not cut, whatever its suggestion for tiles."""
    monkeypatch.setitem(BACKENDS, "host", "tests.sdk.device_on_host")
    shown = frames(0, 520, 30)
    for tile, whole in ((None, True), (512, False)):
        with Upscaler(models["edge-x2"], backend="host", tile=tile) as upscaler:
            assert upscaler.info.tile == 512
            result = upscaler.up(shown)
            generator = upscaler._backend._generator  # type: ignore[attr-defined]
            assert ((1, 520, 30) in generator.resizes) == whole
            np.testing.assert_array_equal(result, expected(models["edge-x2"], shown[None])[0])
            generator.resizes.clear()
            for result, known in zip(
                upscaler.batch(frames(2, 5, 520, 4)), frames(2, 5, 520, 4), strict=True
            ):
                np.testing.assert_array_equal(result, expected(models["edge-x2"], known[None])[0])
            assert ((5, 520, 4) in generator.resizes) == whole
            tall = frames(1, 1100, 8)
            np.testing.assert_array_equal(
                upscaler.up(tall), expected(models["edge-x2"], tall[None])[0]
            )


def test_stream_takes_no_more_frames_than_it_may(on_host: Upscaler) -> None:
    drawn: list[int] = []

    def source() -> Iterator[Pixels]:
        for number in range(6):
            drawn.append(number)
            yield frames(number, 8, 8)

    results = on_host.stream().map(source(), in_flight=3)
    next(results)
    assert drawn == [0, 1, 2]
    next(results)
    assert drawn == [0, 1, 2, 3]
    with pytest.raises(InputError, match="in_flight is 0"):
        on_host.stream().map([], in_flight=0)


def test_stream_stops_at_a_bad_frame(on_host: Upscaler) -> None:
    results = on_host.stream().map([frames(0, 8, 8), frames(1, 8, 8).astype(float)], in_flight=1)
    next(results)
    with pytest.raises(InputError, match="float64"):
        next(results)


def test_video_through_a_queue(on_host: Upscaler, models: dict[str, Path], tmp_path: Path) -> None:
    """Two frames at a time in the pipeline, and the file that one at a time gives."""
    from srsdk.video import EncodeOptions, enhance_video
    from srsdk.video.pipeline import FrameQueue

    clip, most = tmp_path / "in.mp4", 0
    write_clip(clip, [frames(seed, 24, 32)[:, :, :] for seed in range(9)])
    cpu = Upscaler(models["edge-x4"], backend="onnxruntime", threads=1, tile=64)
    outputs = []
    for upscaler, in_flight in ((on_host, 2), (cpu, 1)):
        stream = upscaler.stream()
        assert isinstance(stream, FrameQueue)
        assert stream.in_flight == in_flight
        submit = stream.submit

        def watched(frame: Any, out: Any = None, submit: Any = submit, stream: Any = stream) -> Any:
            nonlocal most
            ticket = submit(frame, out)
            most = max(most, len(stream._on_the_way))
            return ticket

        stream.submit = watched  # type: ignore[method-assign]
        outputs.append(tmp_path / f"{in_flight}.mp4")
        options = EncodeOptions(codec="libx264")
        report = enhance_video(clip, outputs[-1], stream, encode=options, depth=2)
        assert report.frames == 9
    assert most == 2
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def write_clip(path: Path, shown: list[Pixels]) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = (
            shown[0].shape[1],
            shown[0].shape[0],
            "yuv420p",
        )
        for pixels in shown:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        container.mux(stream.encode())


def test_faces_stay_in_order(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Tickets asked for backwards give what frames one after the other give."""
    from srsdk.faces import Face

    class Middle:
        def __init__(self) -> None:
            self.seen: list[int] = []

        def detect(self, frame: Pixels) -> list[Face]:
            self.seen.append(int(frame[0, 0, 0]))
            return []

    monkeypatch.setitem(BACKENDS, "host", "tests.sdk.device_on_host")
    detector = Middle()
    with Upscaler(
        models["edge-x4"], faces=models["residual-x4"], detector=detector, backend="host"
    ) as upscaler:
        stream = upscaler.stream(detect_every=1)
        shown = [np.full((40, 40, 3), number, np.uint8) for number in range(5)]
        tickets = [stream.submit(frame) for frame in shown]
        assert detector.seen == []
        tickets[3].result()
        assert detector.seen == [0, 1, 2, 3]
        tickets[0].result()
        tickets[4].result()
        assert detector.seen == [0, 1, 2, 3, 4]
        with pytest.raises(InputError, match="faces are found on the CPU"):
            upscaler.up(on_device(shown[0]))


def test_device_arrays_through_upscaler(on_host: Upscaler, models: dict[str, Path]) -> None:
    pixels = frames(3, 10, 12)
    np.testing.assert_array_equal(on_host.up(on_device(pixels)).numpy(), on_host.up(pixels))
    for backend in ("native", "onnxruntime"):
        with (
            Upscaler(models["edge-x4"], backend=backend) as cpu,
            pytest.raises(InputError, match=rf"device memory and backend '{backend}'.*tensorrt"),
        ):
            cpu.up(on_device(pixels))
    with pytest.raises(InputError, match="NumPy array"):
        image.split(on_device(pixels))
