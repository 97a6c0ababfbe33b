"""How boxes moved from one frame to the next: sparse optical flow on a small gray copy."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from srsdk.faces.frames import Vector, shrink
from srsdk.types import Pixels

_WINDOW = (11, 11)
_LEVELS = 3
_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03)
_MANY = 4  # more faces than this get a coarser grid each, so that a crowd costs no more
_MAX_STEP = 1.25  # no face grows or shrinks by more than this between two frames


@dataclass(frozen=True)
class Move:
    """Motion of one box: its centre by (dx, dy) pixels of the frame, its size by a factor."""

    dx: float
    dy: float
    zoom: float


class View:
    """The small gray copy of one frame that motion and scene cuts are measured on.

    Args:
        frame: `(H, W, 3)` uint8 BGR.
        side: Longer side of the copy; a smaller frame is not enlarged.
    """

    def __init__(self, frame: Pixels, side: int = 320) -> None:
        small, sx, sy = shrink(frame, side)
        gray = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        self.factor = np.array([sx, sy], np.float32)
        self.shape = frame.shape[:2]
        self.gray = gray
        self.thumb = cv2.resize(gray, (32, 18), interpolation=cv2.INTER_AREA).astype(np.float32)

    def difference(self, other: View) -> float:
        """Mean difference in grey levels of the two thumbnails: large across a scene cut."""
        return float(np.abs(self.thumb - other.thumb).mean())


def measure(before: View, after: View, boxes: Vector) -> list[Move | None]:
    """Motion of each box between two views of equal shape.

    A grid of points in each box is followed (pyramidal Lucas-Kanade) and summed up by medians, so
    that a few points on the background or on a blinking eye do not matter.

    Args:
        before: The earlier frame.
        after: The later frame.
        boxes: `(N, 4)` x, y, width, height in pixels of the frame.

    Returns:
        N moves; None where the points disagree: a cut, an occlusion, or nothing to hold on to.
    """
    if not len(boxes):
        return []
    ticks = np.linspace(0.1, 0.9, 5 if len(boxes) <= _MANY else 4)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    points = boxes[:, None, :2] + grid * boxes[:, None, 2:]
    start = np.float32(points / before.factor)
    end, status, _ = cv2.calcOpticalFlowPyrLK(
        before.gray,
        after.gray,
        start.reshape(-1, 1, 2),
        None,  # type: ignore[call-overload, unused-ignore]
        winSize=_WINDOW,
        maxLevel=_LEVELS,
        criteria=_CRITERIA,
        minEigThreshold=1e-3,
    )
    followed = status.reshape(len(boxes), -1) > 0
    ends = end.reshape(start.shape)
    return [
        _summarise(start[k][followed[k]], ends[k][followed[k]], len(grid), before.factor)
        for k in range(len(boxes))
    ]


def _summarise(
    start: NDArray[np.float32], end: NDArray[np.float32], total: int, factor: NDArray[np.float32]
) -> Move | None:
    if len(start) < max(4, total // 3):
        return None
    from_centre = start - (start.min(axis=0) + start.max(axis=0)) / 2
    steps = end - start
    step = _middle(steps)
    squares = (from_centre * from_centre).sum(axis=1)
    reach = squares.max()
    outer = squares > 0.2 * reach
    moved = from_centre + steps - step
    zoom = float(_middle((moved * from_centre).sum(axis=1)[outer] / squares[outer]))
    residual = moved - zoom * from_centre
    agreeing = (residual * residual).sum(axis=1) < (0.5 + 0.06 * reach**0.5) ** 2
    if agreeing.mean() < 0.6 or not 1 / _MAX_STEP < zoom < _MAX_STEP:
        return None
    # The medians belong to the centre of the points, which is not that of the box when some of
    # them were lost; over one frame the difference is below what detection corrects.
    return Move(float(step[0] * factor[0]), float(step[1] * factor[1]), zoom)


def _middle(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Upper median along the first axis; a fraction of what `numpy.median` costs on 25 values."""
    ordered: NDArray[np.float32] = np.sort(values, axis=0)[len(values) // 2]
    return ordered
