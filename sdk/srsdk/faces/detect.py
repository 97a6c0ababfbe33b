"""What a face detector is, and what detectors share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from srsdk.faces.frames import shrink
from srsdk.types import Pixels

Box = tuple[float, float, float, float]

SMALLEST = 16
"""A picture with a shorter side than this, in pixels, is not searched."""

_ENLARGED_TO = 320  # small faces in a small frame are found better in a larger copy


@dataclass(frozen=True)
class Face:
    """One detected face.

    Attributes:
        box: x, y of the top left corner, width and height, in pixels of the frame (floats; may
            reach over the frame's border). From the brow to the chin and cheek to cheek, as
            WIDER FACE labels faces; not the whole head.
        score: Confidence, 0 to 1.
        landmarks: `(N, 2)` float32 x, y, where the detector gives them: the eye that is on the left
            of an upright picture, the other eye, the tip of the nose, then what else it finds.
    """

    box: Box
    score: float
    landmarks: NDArray[np.float32] | None = None

    @property
    def roll(self) -> float:
        """How far the head is tilted clockwise, in radians; 0 where there are no landmarks."""
        if self.landmarks is None:
            return 0.0
        right, down = (self.landmarks[1] - self.landmarks[0]).tolist()
        return math.atan2(down, right)


class FaceDetector(Protocol):
    """Finds faces. Safe to call from several threads at once."""

    def detect(self, frame: Pixels) -> list[Face]:
        """Find the faces of one frame.

        Args:
            frame: `(H, W, 3)` uint8 BGR, any strides, never modified.

        Returns:
            The faces, best score first.

        Raises:
            InputError: `frame` is something else.
            DetectorError: The detector failed.
        """
        ...


def copy_to_search(frame: Pixels, work_side: int) -> tuple[Pixels, float, float]:
    """The copy of a frame that a detector looks at, its longer side at most `work_side`.

    A frame smaller than 320 pixels is enlarged, at most twice.

    Returns:
        The copy, and the factors that take its x and y to those of the frame.
    """
    longer = max(frame.shape[:2])
    return shrink(frame, min(work_side, max(longer, _ENLARGED_TO)), max_zoom=2.0)


def best_first(faces: list[Face], min_score: float) -> list[Face]:
    """The faces that have an area and at least this score, best first."""
    kept = [f for f in faces if f.score >= min_score and min(f.box[2:]) > 0]
    return sorted(kept, key=lambda f: -f.score)
