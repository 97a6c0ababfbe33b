"""Detection beside the frames: of one frame, used in one of the next."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from srsdk.faces.detect import Face, FaceDetector
from srsdk.faces.motion import Move, View, measure
from srsdk.types import Pixels


@dataclass(frozen=True)
class Found:
    """What a detection found.

    Attributes:
        faces: The faces, carried to the frame in which they are used.
        certain: Of each, whether its motion since it was found is known; else it is where it was.
        seconds: What the detection took.
    """

    faces: list[Face]
    certain: list[bool]
    seconds: float


class DetectionLater:
    """Runs a detector in an executor, on one frame at a time.

    Args:
        detector: Finds the faces.
        executor: Runs it.
    """

    def __init__(self, detector: FaceDetector, executor: Executor) -> None:
        self._detector, self._executor = detector, executor
        self._running: tuple[Future[tuple[list[Face], float]], View] | None = None

    def start(self, frame: Pixels, view: View) -> bool:
        """Search a frame, unless another one is being searched or waits for `take`.

        Args:
            frame: `(H, W, 3)` uint8 BGR; copied.
            view: Of this frame.

        Returns:
            Whether it is searched.
        """
        if self._running is not None:
            return False
        self._running = self._executor.submit(self._detect, np.array(frame, order="C")), view
        return True

    def take(self, now: View) -> Found | None:
        """What was found, if the search is over. Never waits.

        Args:
            now: Of the frame in which it is used, of the same shape.

        Raises:
            DetectorError: The detector failed.
        """
        if self._running is None or not self._running[0].done():
            return None
        (future, then), self._running = self._running, None
        faces, seconds = future.result()
        moves = measure(then, now, np.array([face.box for face in faces]))
        return Found(_carried(faces, moves), [move is not None for move in moves], seconds)

    def forget(self) -> None:
        """Leave what is being searched; it belongs to another scene."""
        self._running = None

    def _detect(self, frame: Pixels) -> tuple[list[Face], float]:
        started = perf_counter()
        return self._detector.detect(frame), perf_counter() - started


def _carried(faces: Sequence[Face], moves: Sequence[Move | None]) -> list[Face]:
    """The faces after their motion; one whose motion is not known stays."""
    carried = []
    for face, move in zip(faces, moves, strict=True):
        if move is None:
            carried.append(face)
            continue
        x, y, width, height = face.box
        width, height = width * move.zoom, height * move.zoom
        left = x + move.dx + (face.box[2] - width) / 2
        top = y + move.dy + (face.box[3] - height) / 2
        # Landmarks are asked for the roll alone, which this does not change.
        carried.append(replace(face, box=(left, top, width, height)))
    return carried
