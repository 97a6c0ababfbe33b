"""Faces within a given time: how many, how large, and how often they are looked for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from srsdk.errors import InputError

_NEWEST = 0.1  # weight of the newest measurement in a running mean
_FOR_DETECTION = 0.25  # share of the budget that detection may take, a frame on average
_RARELY = 30  # frames from one detection to the next at most
_KEEP = 1.15  # a face that is shown is dropped above this share of the budget only


class FaceBudget:
    """Seconds a frame that faces may cost, and what they have cost so far.

    Small faces come first: they gain most and cost least. So a frame has as many faces as the
    budget holds, and a face too large for it alone is left to the frame's generator.

    Args:
        seconds: The budget a frame, on average: detection, the guard, generator and blending.
        per_pixel: Seconds that the generator takes for each pixel of a crop, as first measured.

    Raises:
        InputError: The budget is not positive.
    """

    def __init__(self, seconds: float, per_pixel: float) -> None:
        if not seconds > 0:
            raise InputError(f"the budget for faces is {1000 * seconds:g} ms, expected more than 0")
        self.seconds, self.per_pixel = seconds, per_pixel
        self._around = 0.0  # seconds a frame for tracking, detection and the guard
        self._detection = 0.0  # seconds of one detection

    def spent_on_crops(self, pixels: int, seconds: float) -> None:
        """Take note of what crops of so many pixels took, blending included."""
        if pixels:
            self.per_pixel += _NEWEST * (seconds / pixels - self.per_pixel)

    def spent_around(self, seconds: float, *, detected: bool) -> None:
        """Take note of what a frame took besides: finding faces, and judging them."""
        self._around += _NEWEST * (seconds - self._around)
        if detected:
            self._detection += (_NEWEST if self._detection else 1.0) * (seconds - self._detection)

    def detect_every(self, wanted: int) -> int:
        """Frames from one detection to the next: `wanted`, or more where that costs too much."""
        needed = math.ceil(self._detection / (_FOR_DETECTION * self.seconds))
        return max(wanted, min(needed, _RARELY))

    def affordable(self, sides: Sequence[float], shown: Sequence[bool]) -> list[bool]:
        """Which faces the budget holds.

        Args:
            sides: Side of each face's square in pixels of the input; 0 for one that costs nothing.
            shown: Which of them are shown already; they get a little more room, so that a face at
                the edge of the budget does not come and go.
        """
        left = self.seconds - min(self._around, self.seconds / 2)
        held = [True] * len(sides)
        spent = 0.0
        for index in sorted(range(len(sides)), key=lambda n: sides[n]):
            cost = self.per_pixel * (8 * math.ceil(sides[index] / 8)) ** 2
            held[index] = spent + cost <= left * (_KEEP if shown[index] else 1.0)
            spent += cost if held[index] else 0.0
        return held
