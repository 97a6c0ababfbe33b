"""From boxes to a batch of square crops, framed as the face generators were trained to see faces.

Face generators are trained on crops aligned the FFHQ way: the whole head, the eyes a little above
the middle. A detector's box is smaller. Where the square lies relative to the box was fitted on the
420 development images (120 photographs, 300 generated faces), each of which *is* such a square:
pasted into a larger picture at 64 and 160 pixels and shown to the detectors, they gave boxes with
sqrt(width * height) = 0.645 of the square's side (median; standard deviation 4.5%) and a centre at
0.50 across and 0.555 down (quartiles 0.547 and 0.563).

Crops are never resampled: they are squares of the frame's own pixels at whole coordinates, so that
nothing is lost before the generator. One batch has one side for all faces of a frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from srsdk.errors import InputError
from srsdk.faces.frames import Vector, check_frame
from srsdk.types import Pixels

BOX_TO_SQUARE = 0.645  # sqrt(box area) / side of the square
BOX_CENTRE_DOWN = 0.555  # height of the box's centre in the square

SMALLEST = 0.5  # default limits of a face's square, in `face_size`
LARGEST = 10.0

_FAR = 2.0**40  # beyond any frame, within what integers hold
_LEAST = 4  # a face of which fewer rows or columns lie in the frame is left alone


@dataclass(frozen=True)
class CropPlan:
    """Which squares of a frame go to the face generator, and which part comes back.

    Rows are faces, smallest first: blended in that order, near faces lie over far ones.

    Attributes:
        side: Side S of every crop in pixels of the frame, a multiple of 8; 0 without faces.
        origins: `(N, 2)` top and left of the crops in the frame; negative where the frame is
            smaller than a crop.
        rects: `(N, 4)` top, left, height, width of each face's own square inside the frame.
        squares: `(N,)` full side of that square, before the frame's border cut it.
        strengths: `(N,)` how much of the face to blend in, 0 to 1.
        faces: `(N,)` indices into the boxes the plan was made from.
        frame_shape: Height and width of the frame.
    """

    side: int
    origins: NDArray[np.int64]
    rects: NDArray[np.int64]
    squares: NDArray[np.int64]
    strengths: Vector
    faces: NDArray[np.int64]
    frame_shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.origins)

    def __iter__(self) -> Iterator[tuple[list[int], list[int], int, float]]:
        """Origin, rectangle, square side and strength of each face."""
        return zip(
            self.origins.tolist(),
            self.rects.tolist(),
            self.squares.tolist(),
            self.strengths.tolist(),
            strict=True,
        )


def face_squares(boxes: ArrayLike) -> Vector:
    """The aligned (FFHQ-like) squares that belong to detected boxes.

    Args:
        boxes: `(N, 4)` x, y, width, height.

    Returns:
        `(N, 3)` x and y of the centre, and the side.

    Raises:
        InputError: The boxes have another shape.
    """
    rows = np.asarray(boxes, np.float64)
    rows = rows.reshape(0, 4) if rows.size == 0 else rows
    if rows.ndim != 2 or rows.shape[1] != 4:
        raise InputError(f"boxes have shape {rows.shape}, expected (N, 4): x, y, width, height")
    x, y, width, height = rows.T
    side = np.sqrt(np.clip(width, 0, None)) * np.sqrt(np.clip(height, 0, None)) / BOX_TO_SQUARE
    return np.stack([x + width / 2, y + height / 2 - (BOX_CENTRE_DOWN - 0.5) * side, side], axis=1)


def box_of_square(x: float, y: float, side: float) -> tuple[float, float, float, float]:
    """The box whose `face_squares` has this centre and side."""
    size = side * BOX_TO_SQUARE
    return x - size / 2, y + (BOX_CENTRE_DOWN - 0.5) * side - size / 2, size, size


def plan_crops(
    boxes: ArrayLike,
    frame_shape: Sequence[int],
    face_size: int,
    *,
    min_side: float | None = None,
    max_side: float | None = None,
    margin: int = 0,
    strengths: ArrayLike | None = None,
) -> CropPlan:
    """Plan one batch of crops for the faces of a frame.

    Args:
        boxes: `(N, 4)` x, y, width, height in pixels of the frame, as detectors and trackers give.
        frame_shape: Height and width (a full array shape will do).
        face_size: `ModelSpec.face_size`: side of the crops that the generator was trained on.
        min_side: Faces whose square is smaller are left out; None: `SMALLEST * face_size`.
        max_side: Faces whose square is larger are left out; None: `LARGEST * face_size`.
        margin: Least surroundings of the largest face on each side, for the generator's context.
            None are needed by default: the outermost pixels, which a generator draws worst, have
            next to no weight in the blend (5% one pixel in), and work grows with the side squared.
        strengths: `(N,)` how much of each face to blend in; None: all. Faces at 0 are left out.

    Returns:
        The plan, empty where no face fits.

    Raises:
        InputError: The boxes have another shape, or `face_size` is not positive.
    """
    if face_size < 1:
        raise InputError(f"face_size is {face_size}: this generator was not trained on faces")
    height, width = int(frame_shape[0]), int(frame_shape[1])
    squares = face_squares(boxes)
    amounts = np.ones(len(squares)) if strengths is None else np.asarray(strengths, np.float64)
    if amounts.shape != (len(squares),):
        raise InputError(f"{amounts.shape} strengths for {len(squares)} boxes")

    finite = np.asarray(np.isfinite(squares).all(axis=1))
    squares = np.clip(np.where(finite[:, None], squares, 0.0), -_FAR, _FAR)
    sides = np.rint(squares[:, 2]).astype(np.int64)
    low = face_size * SMALLEST if min_side is None else min_side
    high = face_size * LARGEST if max_side is None else max_side
    eligible = finite & (sides >= max(low, 1)) & (sides <= high) & (amounts > 0)

    corners = np.rint(squares[:, 1::-1] - sides[:, None] / 2).astype(np.int64)
    limits = np.array([height, width])
    corners = np.clip(corners, -(2.0**40), 2.0**40).astype(np.int64)
    start = np.clip(corners, 0, limits)
    extent = np.clip(corners + sides[:, None], 0, limits) - start
    eligible &= (extent >= np.minimum(_LEAST, limits)).all(axis=1)

    order = np.lexsort((corners[:, 1], corners[:, 0], sides))
    order = order[eligible[order]]
    if not len(order):
        none = np.zeros((0, 4), np.int64)
        empty = none[:, 0]
        return CropPlan(0, none[:, :2], none, empty, np.zeros(0), empty, (height, width))

    side = -(-(int(sides[order].max()) + 2 * margin) // 8) * 8
    # Centred on the face; where that reaches over the border, shifted inside; where the frame is
    # smaller than the crop, the frame lies in the crop's middle.
    slack = limits - side
    wanted = corners[order] - (side - sides[order, None]) // 2
    origins = np.where(slack >= 0, np.clip(wanted, 0, np.maximum(slack, 0)), slack // 2)
    rects = np.concatenate([start, extent], axis=1)[order]
    return CropPlan(side, origins, rects, sides[order], amounts[order], order, (height, width))


def extract(frame: Pixels, plan: CropPlan, out: Pixels | None = None) -> Pixels:
    """Cut the crops of a plan out of its frame, the frame's border repeated where they reach over.

    Args:
        frame: `(H, W, 3)` uint8, any strides, the shape that the plan was made for.
        plan: From `plan_crops`.
        out: `(N, S, S, 3)` uint8 to write into; None allocates.

    Returns:
        `out`, or the new array.

    Raises:
        InputError: Frame or `out` does not have the plan's shape.
    """
    if check_frame(frame) != plan.frame_shape:
        raise InputError(f"frame is {frame.shape[:2]}, the crops are for {plan.frame_shape}")
    shape = (len(plan), plan.side, plan.side, 3)
    if out is None:
        out = np.empty(shape, np.uint8)
    elif out.shape != shape or out.dtype != np.uint8:
        raise InputError(f"out is {out.dtype} {out.shape}, expected uint8 {shape}")
    height, width = plan.frame_shape
    steps = np.arange(plan.side)
    for crop, (top, left) in zip(out, plan.origins.tolist(), strict=True):
        if min(top, left) >= 0 and top + plan.side <= height and left + plan.side <= width:
            crop[...] = frame[top : top + plan.side, left : left + plan.side]
        else:
            rows, columns = np.clip(top + steps, 0, height - 1), np.clip(left + steps, 0, width - 1)
            crop[...] = frame[rows[:, None], columns]
    return out
