"""Which faces a frame can afford, on a machine whose speed is made up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest

from srsdk import Upscaler
from srsdk.errors import InputError
from srsdk.faces import Face, FaceEnhancer, FaceStream
from srsdk.faces.crop import box_of_square
from srsdk.faces.limits import SizeLimits
from srsdk.types import Pixels

FRAME = np.asarray(
    cv2.resize(np.random.default_rng(0).integers(0, 255, (45, 80, 3), np.uint8), (640, 360)),
    np.uint8,
)


class Machine:
    """A clock that only the generator (by the pixel) and the detector (by the call) move."""

    def __init__(self, per_pixel: float, per_detection: float = 0.0) -> None:
        self.now, self.per_pixel, self.per_detection = 0.0, per_pixel, per_detection
        self.detections = 0
        self.squares: Sequence[tuple[float, float, float]] = ()

    def clock(self) -> float:
        return self.now

    def run(self, batch: Pixels) -> Pixels:
        self.now += self.per_pixel * batch.shape[0] * batch.shape[1] * batch.shape[2]
        return batch.repeat(2, axis=1).repeat(2, axis=2)

    def detect(self, frame: Any) -> list[Face]:
        self.detections += 1
        self.now += self.per_detection
        return [Face(box_of_square(*square), 0.9) for square in self.squares]

    def stream(self, budget_ms: float | None, every: int = 1) -> FaceStream:
        enhancer = FaceEnhancer(
            self.run, scale=2, face_size=32, detector=self, clock=self.clock, max_side=300
        )
        return FaceStream(enhancer, every=every, budget_ms=budget_ms)


def play(stream: FaceStream, frames: int) -> list[list[float]]:
    """Strengths of the faces in each frame."""
    sr = np.zeros((720, 1280, 3), np.uint8)
    return [[f.strength for f in stream.enhance(FRAME, sr).faces] for _ in range(frames)]


def test_the_largest_face_costs_no_more_than_the_budget() -> None:
    """One microsecond a pixel: 5 ms are 5,000 pixels, so a crop of 70 pixels."""
    for side, wanted in ((48, 1.0), (64, 1.0), (72, 0.0), (120, 0.0), (200, 0.0)):
        machine = Machine(per_pixel=1e-6)
        machine.squares = [(320, 180, side)]
        assert play(machine.stream(5.0), 8)[-1] == [wanted], side
        assert play(machine.stream(None), 8)[-1] == [1.0], "no budget, no limit"


def test_small_faces_come_first_and_the_frame_stays_within_the_budget() -> None:
    machine = Machine(per_pixel=1e-6)
    machine.squares = [(80 + 110 * n, 180, side) for n, side in enumerate((96, 40, 64, 32, 40))]
    stream = machine.stream(8.0)
    assert play(stream, 8)[-1] == [0, 1, 0, 1, 1]
    before = machine.now
    play(stream, 1)
    assert machine.now - before <= 8e-3


def test_a_face_at_the_edge_of_the_budget_does_not_come_and_go() -> None:
    machine = Machine(per_pixel=1e-6)
    stream = machine.stream(5.7)
    shown = []
    for n in range(40):
        machine.squares = [(320, 180, 71 + 3 * (n % 2))]  # crops of 72 and 80 pixels
        shown.append(play(stream, 1)[0][0])
    assert min(shown) == 1


def test_a_slower_machine_shows_fewer_faces() -> None:
    machine = Machine(per_pixel=1e-6)
    machine.squares = [(100, 180, 40), (300, 180, 64)]
    stream = machine.stream(7.0)
    assert play(stream, 8)[-1] == [1, 1]
    machine.per_pixel *= 2
    strengths = play(stream, 60)
    assert strengths[-1] == [1, 0]
    assert max(np.abs(np.diff([pair[1] for pair in strengths]))) < 0.2, "it fades"


def test_detection_is_rarer_where_it_costs_too_much() -> None:
    counts = {}
    for milliseconds in (1, 10, 100):
        machine = Machine(per_pixel=1e-9, per_detection=milliseconds / 1000)
        machine.squares = [(320, 180, 64)]
        play(machine.stream(4.0, every=5), 120)
        counts[milliseconds] = machine.detections
    assert counts[1] == 24
    assert counts[10] == pytest.approx(12, abs=2)  # a millisecond a frame: every tenth
    assert counts[100] == pytest.approx(120 / 30, abs=2)  # never more than a second apart


def test_sizes_fade_out_at_the_limits() -> None:
    limits = SizeLimits(16, 160)
    weights = limits.weights(np.arange(0, 200, 0.5))
    sides = np.arange(0, 200, 0.5)
    assert (weights[(sides < 16) | (sides > 160)] == 0).all()
    assert (weights[(sides > 20) & (sides < 130)] == 1).all()
    assert np.abs(np.diff(weights)).max() < 0.2
    for pair in ((-1, 5), (5, 4)):
        with pytest.raises(InputError, match="limits"):
            SizeLimits(*pair)


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="budget"):
        Upscaler("bicubic-x2", faces="bicubic-x2", face_budget_ms=-1)


def test_a_real_generator_keeps_a_budget() -> None:
    """What is shown depends on this machine's speed; that it runs does not."""
    upscaler = Upscaler("edge-x2", faces="edge-x2", face_budget_ms=1000)
    with upscaler, upscaler.stream() as stream:
        stream(FRAME)
        assert stream.faces == ()
