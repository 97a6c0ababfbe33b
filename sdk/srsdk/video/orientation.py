"""How a camera was held: the display matrix of a video, applied to its pixels.

The output of srsdk needs no matrix: frames are turned when they are read. Players, editors and
browsers disagree about the matrix, and a face detector wants faces upright in any case.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from srsdk.errors import VideoError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Sample = TypeVar("Sample", np.uint8, np.uint16)


@dataclass(frozen=True)
class Orientation:
    """What must be done to stored pixels before they are shown.

    Attributes:
        turns: Quarter turns clockwise, 0 to 3.
        mirrored: Whether rows are flipped left to right, before turning.
    """

    turns: int = 0
    mirrored: bool = False

    @property
    def swaps_axes(self) -> bool:
        """Whether width and height change places."""
        return self.turns % 2 == 1

    def apply(self, pixels: NDArray[Sample]) -> NDArray[Sample]:
        """Turn stored pixels upright.

        Args:
            pixels: `(H, W)` or `(H, W, channels)`, any strides.

        Returns:
            `pixels` itself where there is nothing to do, else a new contiguous array.
        """
        if self == Orientation():
            return pixels
        if self.mirrored:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(np.rot90(pixels, -self.turns))

    @classmethod
    def from_matrix(cls, matrix: bytes, *, source: str = "video") -> Orientation:
        """Read a display matrix: nine native 32-bit integers, as FFmpeg hands it over.

        Raises:
            VideoError: It is not one of the eight ways of laying a rectangle onto itself.
        """
        if len(matrix) < 36:
            return cls()
        a, b, _, c, d = struct.unpack("=5i", matrix[:20])
        # The matrix maps stored (x, y) to shown (a·x + c·y, b·x + d·y), y pointing down.
        key = tuple((value > 0) - (value < 0) for value in (a, b, c, d))
        known = {
            (1, 0, 0, 1): cls(0),
            (0, 1, -1, 0): cls(1),
            (-1, 0, 0, -1): cls(2),
            (0, -1, 1, 0): cls(3),
            (-1, 0, 0, 1): cls(0, mirrored=True),
            (0, -1, -1, 0): cls(1, mirrored=True),
            (1, 0, 0, -1): cls(2, mirrored=True),
            (0, 1, 1, 0): cls(3, mirrored=True),
            (0, 0, 0, 0): cls(0),
        }
        if key not in known:
            raise VideoError(
                f"{source} is shown at an angle that is not a quarter turn; "
                "turn it first (ffmpeg -i IN -c:a copy OUT)"
            )
        return known[key]

    @classmethod
    def from_degrees(cls, counterclockwise: float) -> Orientation:
        """The nearest orientation to a plain rotation."""
        return cls(round(-counterclockwise / 90) % 4)
