"""Scenes with real faces in known places, made from scikit-image's astronaut portrait."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]

# The face in the portrait, as YuNet gives it at full size: x, y, width, height.
FACE = np.array([178.2, 62.9, 89.9, 113.3])


@pytest.fixture(scope="session")
def scene() -> Callable[..., tuple[Pixels, list[Box]]]:
    """`scene(height, width, faces)`, faces as (x, y, width): a BGR frame, and their boxes."""
    portrait = data.astronaut()[:300, 60:390, ::-1].astype(np.float32)
    # Only the head and shoulders show, fading into the scene's own background.
    y, x = np.mgrid[0:300, 0:330]
    mask = np.clip(1.6 - np.hypot((x - 163) / 105, (y - 120) / 125), 0, 1) * np.ones((300, 330))
    mask = np.clip(mask * 2, 0, 1).astype(np.float32)
    coffee = data.coffee()[100:140, 300:340, ::-1]

    def make(
        height: int, width: int, faces: Sequence[tuple[float, float, float]]
    ) -> tuple[Pixels, list[Box]]:
        frame = cv2.resize(coffee, (width, height), interpolation=cv2.INTER_LINEAR)
        frame = frame.astype(np.float32)
        boxes: list[Box] = []
        for left, top, box_width in faces:
            zoom = box_width / FACE[2]
            # Sub-pixel placement: each pixel the mean of 3x3 samples, drawn where the head can be.
            y0, y1 = (int(np.clip(top + k * box_width, 0, height)) for k in (-1.2, 3.2))
            x0, x1 = (int(np.clip(left + k * box_width, 0, width)) for k in (-1.6, 2.6))
            if y0 == y1 or x0 == x1:
                continue
            shift = np.array([left - x0, top - y0]) - zoom * (FACE[:2] - (60, 0))
            matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]]) * 3
            size = ((x1 - x0) * 3, (y1 - y0) * 3)
            head = cv2.warpAffine(portrait, matrix, size, borderMode=cv2.BORDER_REPLICATE)
            seen = cv2.warpAffine(mask, matrix, size)
            head = cv2.resize(head, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
            seen = cv2.resize(seen, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)[..., None]
            frame[y0:y1, x0:x1] = frame[y0:y1, x0:x1] * (1 - seen) + head * seen
            boxes.append((left, top, box_width, box_width * float(FACE[3] / FACE[2])))
        return np.clip(np.rint(frame), 0, 255).astype(np.uint8), boxes

    return make


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two x, y, width, height boxes."""
    w = max(0.0, min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]))
    h = max(0.0, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]))
    return w * h / (a[2] * a[3] + b[2] * b[3] - w * h)


@pytest.fixture(scope="session", name="overlap")
def overlap_fixture() -> Callable[[Sequence[float], Sequence[float]], float]:
    return overlap
