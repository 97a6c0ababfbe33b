"""Frames for `srsdk bench`: of a video, or made up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from srsdk.errors import InputError, VideoError
from srsdk.timing import StageTimer

if TYPE_CHECKING:
    from srsdk.types import Pixels


@dataclass(frozen=True)
class BenchFrames:
    """The frames.

    Attributes:
        source: Video to take frames from, again from its beginning where it is too short; None:
            made-up frames.
        size: Width and height of made-up frames.
        frames: Frames to measure.
        warmup: Frames before that, not counted.
        detect_every: Frames from one face detection to the next.
    """

    source: Path | None
    size: tuple[int, int]
    frames: int
    warmup: int
    detect_every: int

    def pictures(self, timer: StageTimer | None = None) -> Iterator[Pixels]:
        """Frames without end; waiting for those of a video is the timer's stage "decode".

        Raises:
            InputError: The video cannot be read.
        """
        if self.source is None:
            return _made_up(self.size)
        return _decoded(self.source, timer or StageTimer())


def _made_up(size: tuple[int, int]) -> Iterator[Pixels]:
    """Noise over a gradient that moves, eight different frames in turn."""
    generator = np.random.default_rng(0)
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    kept: list[Pixels] = []
    for shift in range(8):
        ramp = np.stack([x + 4 * shift, y + 4 * shift, x + y], axis=-1) % 224
        kept.append((ramp + generator.integers(0, 32, ramp.shape)).astype(np.uint8))
    while True:
        yield from kept


def _decoded(source: Path, timer: StageTimer) -> Iterator[Pixels]:
    """Frames of a video, over and over."""
    from srsdk.video import VideoReader

    while True:
        try:
            with VideoReader(source) as reader:
                entries = iter(reader)
                while True:
                    began = time.perf_counter()
                    frame = next(entries, None)
                    if frame is None:
                        break
                    timer.add("decode", time.perf_counter() - began)
                    yield frame.pixels
        except VideoError as error:
            raise InputError(str(error)) from error
