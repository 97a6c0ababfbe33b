"""The default face detector: MediaPipe's BlazeFace, bundled."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from srsdk.faces.crop import box_of_square
from srsdk.faces.detect import SMALLEST, Box, Face, best_first, copy_to_search
from srsdk.faces.frames import Vector, check_frame
from srsdk.faces.network import open_network
from srsdk.types import Pixels

_MODEL = Path(__file__).with_name("blazeface.onnx")
_CELL = 4  # pixels of the picture from one cell of the network's output to the next
_STRIDE = 32  # the picture's sides must be multiples of this
_SMALL_COPY = 128  # pixels of a second copy, in which near faces are found
_LARGEST = 110.0  # pixels of a box up to which the network is sure: a head of 170 to 190
_SAME_FACE = 0.3  # boxes that overlap this much (intersection over union) are one face


class BlazeFaceDetector:
    """MediaPipe's full-range BlazeFace (Apache-2.0), of 1 MB; nothing to download.

    It looks at a copy of the frame of `work_side` pixels. Recall at score 0.5 on 40 aligned faces
    (20 photographs, 20 generated) pasted into a 320x180 frame, by the width of the aligned crop
    (the whole head), and false positives in 40 pictures, next to the detectors it was chosen from:

    | copy of 320 pixels | 20 | 24 | 32 | 64 | 32 at 30° | 32 at 45° | 64 at 45° | one thread |
    |---|---|---|---|---|---|---|---|---|
    | **this one** | 0.55 | 0.90 | 0.93 | 1.00 | 0.82 | 0.78 | 0.97 | 9 ms |
    | YuNet | 0.25 | 0.57 | 0.90 | 1.00 | 0.47 | 0.17 | 0.57 | 4 ms |
    | CenterFace | 0.09 | 0.31 | 0.75 | 1.00 | 0.41 | 0.34 | 0.88 | 25 ms |

    Neither found anything false but a cat. A head must be about 24 pixels wide in the copy. The
    time grows with the copy's area: 13 ms for 384 pixels. The network is unsure of heads above 190
    pixels, so a second copy of 128 pixels, which takes 1 ms, is searched for them.

    Its boxes come from the eyes and the mouth by FFHQ's alignment rule, so that `face_squares` of a
    box is the square that an aligned picture of this face would show, also of a tilted head.

    Args:
        work_side: Longer side of the copy at most. Take more for group photographs. A frame smaller
            than 320 is enlarged, at most twice.
        min_score: Faces below this confidence are dropped.
        threads: Threads of the network in ONNX Runtime.

    Raises:
        DetectorError: The bundled file is missing or damaged.
    """

    def __init__(self, *, work_side: int = 384, min_score: float = 0.5, threads: int = 1) -> None:
        self._network = open_network(_MODEL, ("confidence", "boxes"), threads)
        self._work_side = work_side
        self._min_score = min_score

    def detect(self, frame: Pixels) -> list[Face]:  # noqa: D102, the protocol documents it
        check_frame(frame)
        if self._work_side <= _SMALL_COPY:
            return best_first(self._search(frame, self._work_side), self._min_score)
        faces = self._search(frame, self._work_side, largest=_LARGEST)
        known = [(f.box[0] + f.box[2] / 2, f.box[1] + f.box[3] / 2) for f in faces]
        near = self._search(frame, _SMALL_COPY)
        faces += [f for f in near if not any(_contains(f.box, point) for point in known)]
        return best_first(faces, self._min_score)

    def _search(self, frame: Pixels, work_side: int, largest: float = math.inf) -> list[Face]:
        """The faces in a copy of `work_side` pixels whose box is no larger than `largest` there."""
        small, sx, sy = copy_to_search(frame, work_side)
        height, width = small.shape[:2]
        if min(height, width) < SMALLEST:
            return []
        below, right = -height % _STRIDE, -width % _STRIDE
        padded = cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_CONSTANT)
        grey = 127.5  # to [-1, 1]
        image = cv2.dnn.blobFromImage(padded, 1 / grey, mean=(grey,) * 3, swapRB=True)
        confidence, values = self._network(np.asarray(image, np.float32))
        rows, columns = np.nonzero(confidence[0, 0] >= self._min_score)
        points = values[0, :, rows, columns].reshape(-1, 8, 2).astype(np.float64)
        cells = np.stack([columns + 0.5, rows + 0.5], axis=1) * _CELL
        points[:, 0] += cells
        points[:, 2:] += cells[:, None]
        merged = _merge(points, confidence[0, 0, rows, columns].astype(np.float64))
        return [_face(p * (sx, sy), score) for p, score in merged if p[1].max() <= largest]


def _contains(box: Box, point: tuple[float, float]) -> bool:
    x, y, width, height = box
    return 0 <= point[0] - x <= width and 0 <= point[1] - y <= height


def _merge(points: Vector, scores: Vector) -> list[tuple[Vector, float]]:
    """One face for each group of overlapping boxes: their mean by confidence, as MediaPipe does.

    Args:
        points: `(N, 8, 2)`; of each cell the centre and the size of its box, then six points.
        scores: `(N,)`.

    Returns:
        Mean points and best score of each face.
    """
    low, high = points[:, 0] - points[:, 1] / 2, points[:, 0] + points[:, 1] / 2
    areas = points[:, 1].prod(axis=1)
    left = np.argsort(-scores, kind="stable")
    merged = []
    while len(left):
        best = left[0]
        inner = np.minimum(high[left], high[best]) - np.maximum(low[left], low[best])
        shared = inner.clip(0).prod(axis=1)
        same = shared > _SAME_FACE * (areas[left] + areas[best] - shared)
        same[0] = True
        group, left = left[same], left[~same]
        weights = scores[group] / scores[group].sum()
        merged.append((np.tensordot(weights, points[group], 1), float(scores[best])))
    return merged


def _face(points: Vector, score: float) -> Face:
    """Of `(8, 2)`: box centre, box size, eyes, nose tip, mouth, ears, in pixels of the frame."""
    landmarks = points[2:]
    size = float(np.sqrt(points[1].clip(0).prod()))
    return Face(_box(landmarks, size), score, landmarks.astype(np.float32))


def _box(landmarks: NDArray[np.float64], size: float) -> Box:
    """The box of the FFHQ square of these landmarks, not far from what the network's box says."""
    eyes = landmarks[:2].mean(axis=0)
    to_mouth = landmarks[3] - eyes
    between_eyes = landmarks[1] - landmarks[0]
    side = 2 * max(2 * float(np.hypot(*between_eyes)), 1.8 * float(np.hypot(*to_mouth)))
    x, y = (eyes + 0.1 * to_mouth).tolist()
    return box_of_square(x, y, min(max(side, 1.2 * size), 2.2 * size))
