"""The quality ladder: what one frame can be given, best first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LevelKind = Literal["faces", "frame", "fast", "bicubic"]


@dataclass(frozen=True)
class Level:
    """One rung of the ladder.

    Attributes:
        kind: "faces" (generator and face generator), "frame" (generator alone), "fast" (a faster
            generator) or "bicubic".
        detect_every: Frames from one face detection to the next; 0 where no faces are looked for.
    """

    kind: LevelKind
    detect_every: int = 0

    def __str__(self) -> str:
        return f"{self.kind}/{self.detect_every}" if self.detect_every else self.kind


DETECT_EVERY = (5, 10, 20)
"""Detection intervals tried with faces: a rarer detection comes before a lower quality."""


def ladder(
    *, faces: bool, fast: bool, detect_every: tuple[int, ...] = DETECT_EVERY
) -> tuple[Level, ...]:
    """All levels of an upscaler, best first.

    Args:
        faces: It has a face generator.
        fast: A faster generator is at hand.
        detect_every: Detection intervals, in frames.
    """
    levels = [Level("faces", every) for every in detect_every] if faces else []
    levels.append(Level("frame"))
    if fast:
        levels.append(Level("fast"))
    return (*levels, Level("bicubic"))
