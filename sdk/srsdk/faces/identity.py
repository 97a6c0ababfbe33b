"""Whether an enhanced face still shows the same person: dlib's descriptor, and a guard upon it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from srsdk.faces.network import open_network
from srsdk.types import Pixels

_MODEL = Path(__file__).with_name("identity.onnx")
_CHIP_SIDE = 150
_CHIP = (0.003, 0.107, 0.69)
"""Centre of dlib's chip from that of the aligned head's square, and its side, in sides of it."""

_ALIKE, _ANOTHER = 0.25, 0.5  # distances; see IdentityGuard

Square = tuple[float, float, float, float]
"""x and y of the centre, side, and roll in radians (how far the head is tilted clockwise)."""


class FaceDescriptor:
    """dlib's face recognition network (CC0), bundled: 11 MB, 7 ms a face.

    Descriptors of one person's pictures lie nearer together than about 0.6.

    Args:
        threads: Threads of the network in ONNX Runtime.

    Raises:
        DetectorError: The bundled file is damaged.
        ModelNotFoundError: It is missing.
    """

    def __init__(self, *, threads: int = 1) -> None:
        self._network = open_network(_MODEL, ("descriptors",), threads)

    def describe(self, chips: Sequence[Pixels]) -> NDArray[np.float32]:
        """Descriptors `(N, 128)` of `(150, 150, 3)` uint8 RGB chips."""
        images = np.stack(chips).transpose(0, 3, 1, 2).astype(np.float32) / 255
        return self._network(np.ascontiguousarray(images))[0]

    def distance(self, first: Pixels, second: Pixels) -> float:
        """Euclidean distance between the descriptors of two chips."""
        a, b = self.describe([first, second])
        return float(np.linalg.norm(a - b))


def cut_chip(image: Pixels, square: Square, color: Literal["bgr", "rgb"]) -> Pixels:
    """The part of an aligned head that the descriptor looks at.

    Args:
        image: `(H, W, 3)` uint8, any strides; its border is repeated where the chip reaches over.
        square: The head's aligned square in pixels of the image.
        color: Channel order of the image.

    Returns:
        `(150, 150, 3)` uint8 RGB.
    """
    x, y, side, roll = square
    right, down, size = _CHIP[0] * side, _CHIP[1] * side, _CHIP[2] * side
    cos, sin = np.cos(roll), np.sin(roll)
    centre = np.array([x + right * cos - down * sin, y + right * sin + down * cos])
    # Where each pixel of the chip lies in the image.
    turn = np.array([[cos, -sin], [sin, cos]]) * (size / _CHIP_SIDE)
    shift = centre - turn @ np.full(2, _CHIP_SIDE / 2) + (turn @ np.full(2, 0.5) - 0.5)
    matrix = np.hstack([turn, shift[:, None]])
    # Linear interpolation would skip pixels of a large face; halve it first.
    while size > 2 * _CHIP_SIDE:
        image = np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
        matrix, size = matrix / 2, size / 2
        matrix[:, 2] -= 0.25  # pixel centres lie at whole numbers
    chip = cv2.warpAffine(
        np.ascontiguousarray(image),
        matrix,
        (_CHIP_SIDE, _CHIP_SIDE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(chip if color == "rgb" else chip[..., ::-1], np.uint8)


class IdentityGuard:
    """Decides how much of the face generator's result is blended in.

    It compares that result with the frame generator's drawing of the same face, which is what shows
    without the face path. On 864 faces (dev sets, clean and by a camera, 24 to 48 pixels, three
    face generators), how much farther the face generator's result was from the true face than the
    frame generator's, by the distance between the two:

    | distance | below 0.2 | to 0.25 | to 0.3 | to 0.35 | to 0.4 | to 0.5 | above |
    |---|---|---|---|---|---|---|---|
    | farther by | -0.012 | -0.006 | 0.005 | 0.023 | 0.035 | 0.051 | 0.081 |
    | the same, half blended in | -0.007 | -0.005 | -0.003 | 0.004 | 0.009 | 0.013 | 0.033 |

    So up to 0.25 all of it is shown, from 0.5 nothing, in between a share. A comparison with
    bicubic enlarging says less: its distance follows the harm with a correlation of 0.25, not 0.44.

    Args:
        descriptor: Compares faces; None: `FaceDescriptor()`.
    """

    def __init__(self, descriptor: FaceDescriptor | None = None) -> None:
        self._descriptor = descriptor or FaceDescriptor()

    def distance(self, enhanced: Pixels, plain: Pixels) -> float:
        """Distance between two drawings of one face, as `cut_chip` cuts them out."""
        return self._descriptor.distance(enhanced, plain)


def share_to_show(distance: float) -> float:
    """How much of an enhanced face to blend in, 0 to 1; see `IdentityGuard`."""
    return float(np.clip((_ANOTHER - distance) / (_ANOTHER - _ALIKE), 0, 1))
