"""A backend that overlaps frames behind `Upscaler`: streams, tiles, video, faces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srsdk import Upscaler, image
from srsdk.backends import BACKENDS
from srsdk.errors import InputError
from srsdk.types import DeviceBackend, Pixels
from tests.sdk.cuda.device_on_host import expected, frames, on_device


@pytest.fixture
def on_host(monkeypatch: pytest.MonkeyPatch, models: dict[str, Path]) -> Iterator[Upscaler]:
    monkeypatch.setitem(BACKENDS, "host", "tests.sdk.cuda.device_on_host")
    with Upscaler(models["edge-x4"], backend="host", tile=64) as upscaler:
        yield upscaler


def test_stream_of_frames(on_host: Upscaler, models: dict[str, Path]) -> None:
    assert isinstance(on_host._backend, DeviceBackend)
    cpu = Upscaler(models["edge-x4"], backend="onnxruntime", threads=1, tile=64)
    shown: list[Any] = [frames(seed, 20, 30) for seed in range(6)]
    shown += [frames(1, 7, 9)[..., 0], np.dstack([shown[0], shown[1][..., 0]]), frames(2, 70, 90)]
    known = [cpu(frame) for frame in shown]
    for in_flight in (1, 2, 3, 7, 100):
        results = list(on_host.stream().map(iter(shown), in_flight=in_flight))
        for result, other in zip(results, known, strict=True):
            np.testing.assert_array_equal(result, other)
    assert [r.shape for r in cpu.stream().map(shown)] == [r.shape for r in known]
    assert list(on_host.stream().map([])) == []


def test_what_fits_goes_whole(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame that an engine was built for is not cut, whatever its suggestion for tiles."""
    monkeypatch.setitem(BACKENDS, "host", "tests.sdk.cuda.device_on_host")
    shown = frames(0, 520, 30)
    for tile, whole in ((None, True), (512, False)):
        with Upscaler(models["edge-x2"], backend="host", tile=tile) as upscaler:
            assert upscaler.info.tile == 512
            result = upscaler(shown)
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
                upscaler(tall), expected(models["edge-x2"], tall[None])[0]
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
    """The pipeline with two frames in flight writes the same file as with one."""
    from srsdk.video import EncodeOptions, enhance_video
    from srsdk.video.processor import FrameQueue

    clip, most = tmp_path / "in.mp4", 0
    write_clip(clip, [frames(seed, 24, 32) for seed in range(9)])
    cpu = Upscaler(models["edge-x4"], backend="onnxruntime", threads=1, tile=64)
    outputs = []
    for upscaler, in_flight in ((on_host, 2), (cpu, 1)):
        stream = upscaler.stream()
        assert isinstance(stream, FrameQueue)
        assert stream.in_flight == in_flight
        submit = stream.submit

        def watched(frame: Any, out: Any = None, submit: Any = submit, stream: Any = stream) -> Any:
            nonlocal most
            future = submit(frame, out)
            most = max(most, len(stream._queue))
            return future

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
    """Results asked for in reverse order are the same as in order."""
    from srsdk.faces import Face

    class Middle:
        def __init__(self) -> None:
            self.seen: list[int] = []

        def detect(self, frame: Pixels) -> list[Face]:
            self.seen.append(int(frame[0, 0, 0]))
            return []

    monkeypatch.setitem(BACKENDS, "host", "tests.sdk.cuda.device_on_host")
    detector = Middle()
    with Upscaler(
        models["edge-x4"], faces=models["residual-x4"], detector=detector, backend="host"
    ) as upscaler:
        stream = upscaler.stream(detect_every=1)
        shown = [np.full((40, 40, 3), number, np.uint8) for number in range(5)]
        futures = [stream.submit(frame) for frame in shown]
        assert detector.seen == []
        futures[3].result()
        assert detector.seen == [0, 1, 2, 3]
        futures[0].result()
        futures[4].result()
        assert detector.seen == [0, 1, 2, 3, 4]
        with pytest.raises(InputError, match="faces are found on the CPU"):
            upscaler(on_device(shown[0]))


def test_device_arrays_through_upscaler(on_host: Upscaler, models: dict[str, Path]) -> None:
    pixels = frames(3, 10, 12)
    np.testing.assert_array_equal(on_host(on_device(pixels)).numpy(), on_host(pixels))
    for backend in ("native", "onnxruntime"):
        with (
            Upscaler(models["edge-x4"], backend=backend) as cpu,
            pytest.raises(InputError, match=rf"device memory and backend '{backend}'.*tensorrt"),
        ):
            cpu(on_device(pixels))
    with pytest.raises(InputError, match="NumPy array"):
        image.split(on_device(pixels))
