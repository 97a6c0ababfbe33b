"""Which sizes of faces a face generator is for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from srsdk.errors import InputError
from srsdk.faces.frames import Vector

_RAMP = 0.2  # of a limit: where the face generator gives way to the frame's, step by step


@dataclass(frozen=True)
class SizeLimits:
    """Sides of a face's square (whole head) in pixels of the input.

    Near a limit the face generator's result is blended in less and less, so that a face whose size
    changes does not pop; a face at the limit costs nothing.

    Attributes:
        smallest: A smaller face is left to the frame's generator.
        largest: A larger one too: there the frame's generator is as good, for a fraction of the
            time.

    Raises:
        InputError: The limits are negative or in the wrong order.
    """

    smallest: float
    largest: float

    def __post_init__(self) -> None:
        if not 0 <= self.smallest <= self.largest:
            raise InputError(
                f"faces from {self.smallest:g} to {self.largest:g} pixels: "
                "the limits must be positive and in order"
            )

    def weights(self, sides: ArrayLike) -> Vector:
        """How much of the face generator's result to show, 0 to 1, for each of `(N,)` sides."""
        side = np.asarray(sides, np.float64)
        up = (side - self.smallest) / max(_RAMP * self.smallest, 1.0) + 1 / 8
        down = (self.largest - side) / max(_RAMP * self.largest, 1.0) + 1 / 8
        weights = np.clip(np.minimum(up, down), 0, 1)
        weights[(side < self.smallest) | (side > self.largest)] = 0
        return np.asarray(weights, np.float64)
