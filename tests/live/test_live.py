"""`Live` with threads, real upscalers and bad cameras."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import cv2
import numpy as np
import pytest

from srsdk import DetectorError, InputError, Upscaler
from srsdk.faces import Face
from srsdk.live import Level, Live, LiveFrame
from srsdk.live.incoming import Cadence, to_frame
from srsdk.live.levels import ladder
from srsdk.live.render import UpscalerRenderer
from tests.live.simulated import Machine

GRAY = np.full((6, 8), 100, np.uint8)


@pytest.fixture(scope="module")
def bicubic() -> Iterator[Upscaler]:
    with Upscaler("bicubic-x2") as upscaler:
        yield upscaler


def numbered(index: int, size: tuple[int, int] = (18, 32)) -> np.ndarray:
    """A plain frame whose gray level is its number."""
    return np.full((*size, 3), index % 256, np.uint8)


def test_pictures_from_several_threads_come_in_order(bicubic: Upscaler) -> None:
    seen, numbers = [], count()

    def camera() -> None:
        for _ in range(50):
            live.put(numbered(next(numbers)))
            time.sleep(0.002)

    with Live(bicubic, deadline=60) as live:
        cameras = [threading.Thread(target=camera) for _ in range(3)]
        for thread in cameras:
            thread.start()
        while any(thread.is_alive() for thread in cameras):
            if (result := live.get(0.05)) is not None:
                seen.append(result.index)
        for thread in cameras:
            thread.join()
    assert seen == sorted(set(seen))
    stats = live.stats
    assert stats.received == 150
    assert stats.shown == len(seen) >= 1
    assert stats.shown + stats.dropped <= 150
    assert stats.state == "ended"


def test_the_newest_frame_wins(bicubic: Upscaler) -> None:
    live = Live(bicubic, deadline=60)
    for index in range(5):
        live.put(numbered(index * 10))
    assert live.step()
    result = live.get(0)
    assert result is not None
    assert result.index == 4
    assert result.pixels.shape == (36, 64, 3)
    assert (result.pixels == 40).all()
    assert not live.step()
    assert live.get(0) is None
    assert live.stats.dropped == 4


def test_a_frame_is_copied(bicubic: Upscaler) -> None:
    live, frame = Live(bicubic, deadline=60), numbered(7)
    live.put(frame)
    frame[:] = 0
    live.step()
    result = live.get(0)
    assert result is not None
    assert (result.pixels == 7).all()


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "frame",
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
    ],
)
def test_a_bad_frame_is_counted_and_the_last_picture_stays(bicubic: Upscaler, bad: Any) -> None:
    live = Live(bicubic, deadline=60)
    assert live.put(numbered(3))
    assert live.step()
    assert not live.put(bad)
    assert not live.step()
    result = live.get(0)
    assert result is not None
    assert (result.pixels == 3).all()
    stats = live.stats
    assert (stats.received, stats.bad, stats.shown) == (2, 1, 1)
    assert "frame" in stats.problem


@pytest.mark.parametrize(
    "image",
    [GRAY, GRAY[:, :, None], np.dstack([GRAY] * 4), np.dstack([GRAY] * 3)[::-1, ::2], GRAY[:1, :1]],
)
def test_every_kind_of_image_becomes_a_frame(image: np.ndarray) -> None:
    frame = to_frame(image)
    assert frame.shape == (*image.shape[:2], 3)
    assert frame.flags.c_contiguous
    assert (frame == 100).all()
    assert not np.shares_memory(frame, image)


def test_sizes_may_change_and_be_odd(bicubic: Upscaler) -> None:
    live = Live(bicubic, deadline=60)
    for height, width in ((18, 32), (17, 31), (1, 1), (100, 3), (18, 32)):
        live.put(numbered(9, (height, width)))
        live.step()
        result = live.get(0)
        assert result is not None
        assert result.pixels.shape == (2 * height, 2 * width, 3)


def test_the_state_is_said() -> None:
    machine = Machine()
    live = Live(machine, fps=30, clock=machine.clock)
    assert live.stats.state == "waiting"
    live.put(numbered(0))
    live.step()
    assert live.stats.state == "live"
    machine.now += 3
    assert live.stats.state == "stalled"
    machine.load = lambda _: 100.0
    live.put(numbered(1))
    live.step()
    assert live.stats.state == "overloaded"
    live.close()
    assert live.stats.state == "ended"


class Broken(Machine):
    """A renderer whose better levels fail."""

    def __init__(self, *broken: str) -> None:
        super().__init__()
        self.broken = broken

    def render(self, frame: np.ndarray, level: Level) -> tuple[np.ndarray, int]:
        if level.kind in self.broken:
            raise DetectorError("the detector is gone")
        return super().render(frame, level)


def test_a_level_that_fails_is_left_out() -> None:
    machine = Broken("faces")
    live = Live(machine, fps=30, clock=machine.clock)
    levels = []
    for index in range(100):
        machine.now = max(machine.now, index / 30)
        live.put(numbered(index))
        live.step()
        if (result := live.get(0)) is not None:
            levels.append(result.level.kind)
    assert levels[-1] == "frame"
    assert "the detector is gone" in live.stats.problem
    assert live.stats.shown >= 90


def test_when_all_levels_fail_the_error_comes_out() -> None:
    machine = Broken("faces", "frame", "fast", "bicubic")
    with Live(machine, fps=30) as live:
        for index in range(len(ladder(faces=True, fast=True)) + 1):
            live.put(numbered(index))
            time.sleep(0.05)
        with pytest.raises(DetectorError, match="gone"):
            live.get(5)


def test_get_ends_when_it_is_closed(bicubic: Upscaler) -> None:
    with Live(bicubic) as live:
        waiting = threading.Thread(target=live.get)
        waiting.start()
    waiting.join(5)
    assert not waiting.is_alive()
    assert live.get() is None
    live.close()


def test_the_interval_is_measured() -> None:
    cadence = Cadence(None)
    for index in range(40):
        cadence.arrived(index / 24 + (1.0 if index >= 20 else 0.0))  # one stall of a second
    assert cadence.interval == pytest.approx(1 / 24)


def test_frames_that_come_in_bursts_make_no_fast_camera() -> None:
    bursts = Cadence(None)  # ten frames at a time, three times a second
    for index in range(100):
        bursts.arrived(index // 10 / 3 + index % 10 * 1e-3)
    assert bursts.interval == pytest.approx(1 / 30, rel=0.25)
    slower = Cadence(None)
    for index in range(200):
        slower.arrived(index / 30 if index < 100 else 100 / 30 + (index - 100) / 15)
    assert slower.interval == pytest.approx(1 / 15)


@pytest.mark.parametrize("options", [{"deadline": 0}, {"fps": -1}, {"deadline": 1000}])
def test_impossible_options(bicubic: Upscaler, options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        Live(bicubic, **options)


def test_fast_must_have_the_same_scale(bicubic: Upscaler) -> None:
    with Upscaler("bicubic-x4") as fast, pytest.raises(InputError, match="same scale"):
        Live(bicubic, fast=fast)


def test_each_level_gives_its_own_picture() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    with Upscaler("edge-x4") as upscaler, Upscaler("bicubic-x4") as fast:
        renderer = UpscalerRenderer(upscaler, fast=fast)
        assert [str(level) for level in renderer.levels] == ["frame", "fast", "bicubic"]
        generated, quick, plain = (renderer.render(frame, level)[0] for level in renderer.levels)
        assert np.array_equal(generated, upscaler(frame))
        assert np.array_equal(quick, fast(frame))
        expected = cv2.resize(frame, (128, 96), interpolation=cv2.INTER_CUBIC)
        assert np.array_equal(plain, expected)


class Detector:
    """Finds one face, and keeps the number that is written in each frame that it is given."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def detect(self, frame: np.ndarray) -> list[Face]:
        self.seen.append(int(frame[0, 0, :2].view(np.uint16)[0]))
        return [Face((10.0, 8.0, 30.0, 36.0), 0.9)]


def test_detection_gets_rarer_and_stops_with_the_level() -> None:
    """By the numbers of the frames: the thread that looks begins when the machine lets it."""
    frame = np.random.default_rng(0).integers(0, 256, (60, 60, 3)).astype(np.uint8)
    detector, number = Detector(), 0
    with Upscaler("bicubic-x4", faces="portrait-x4", detector=detector) as upscaler:
        renderer = UpscalerRenderer(upscaler)
        for level in renderer.levels:
            first, before = number, len(detector.seen)
            while len(detector.seen) < before + 2 if level.detect_every else number < first + 20:
                frame[0, 0, :2] = np.array([number], np.uint16).view(np.uint8)
                assert renderer.render(frame, level)[1] == int(level.kind == "faces")
                number += 1
                time.sleep(0.002)
            seen = detector.seen[before:]
            assert len(seen) == (2 if level.detect_every else 0)
            assert (np.diff(seen) >= level.detect_every).all()


def test_a_closed_one_takes_no_frames_and_is_not_entered_again(bicubic: Upscaler) -> None:
    frame = np.zeros((8, 8, 3), np.uint8)
    live = Live(bicubic)
    with live:
        assert live.put(frame)
        with pytest.raises(InputError, match="make a new one"):
            live.__enter__()
    received = live.stats.received
    assert not live.put(frame)
    assert live.stats.received == received
    with pytest.raises(InputError, match="make a new one"), live:
        pass


def test_strength_and_faces_can_be_changed_while_it_runs() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (60, 60, 3)).astype(np.uint8)
    pictures = {}
    with Upscaler("bicubic-x4", faces="srresnet-x4", detector=Detector()) as upscaler:
        live = Live(upscaler, fps=0.01, deadline=60)

        def shown() -> LiveFrame:
            live.put(frame)
            live.step()
            result = live.get(0)
            assert result is not None
            return result

        while shown().level.kind != "faces":
            pass
        for strength in (1.0, 0.5, 0.0):
            live.strength = strength
            pictures[strength] = [shown() for _ in range(12)][-1].pixels.astype(int)
        live.faces = False
        assert shown().level.kind == "frame"
        for wrong in (2.0, float("nan"), "half", None):
            with pytest.raises(InputError, match="strength"):
                live.strength = wrong  # type: ignore[assignment]
    full, half, none = pictures[1.0], pictures[0.5], pictures[0.0]
    assert np.array_equal(none, upscaler_of(frame))
    assert np.abs(full - none).mean() > 0.5
    assert 0.3 < np.abs(half - none).mean() / np.abs(full - none).mean() < 0.7


def upscaler_of(frame: np.ndarray) -> np.ndarray:
    size = (4 * frame.shape[1], 4 * frame.shape[0])
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC))


def _burn(stop: Any) -> None:
    while not stop.is_set():
        sum(range(10_000))


def test_under_real_load_pictures_keep_coming() -> None:
    """Two busy processes beside it; how many pictures come is the benchmark's business."""
    stop = multiprocessing.get_context("spawn").Event()
    burners = [
        multiprocessing.get_context("spawn").Process(target=_burn, args=(stop,), daemon=True)
        for _ in range(2)
    ]
    frames = np.random.default_rng(0).integers(0, 256, (4, 90, 160, 3)).astype(np.uint8)
    seen: list[int] = []
    try:
        for burner in burners:
            burner.start()
        with Upscaler("edge-x4") as upscaler, Live(upscaler, fps=30) as live:
            started = time.perf_counter()
            for index in range(90):
                live.put(frames[index % 4])
                time.sleep(max(0.0, started + index / 30 - time.perf_counter()))
                if (result := live.get(0)) is not None:
                    seen.append(result.index)
        stats = live.stats
    finally:
        stop.set()
        for burner in burners:
            burner.join(10)
    assert seen == sorted(set(seen))
    assert stats.received == 90
    assert len(seen) > 5
    assert sum(stats.shares.values()) == pytest.approx(1)
