"""What is wrong with a file, where, and what was done about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from srsdk.errors import InputError

OnDamage = Literal["stop", "conceal", "salvage"]
"""What to do with a damaged file.

"stop" ends with an error at the first damaged spot. "conceal" shows what a player shows: it repairs
what the decoder can repair, skips what it cannot, and reports both; a file that lacks its end is
refused before the work, since a whole copy may exist. "salvage" also takes what there is of a file
that lacks its end.
"""

# Damage less than this many seconds after the last one belongs to the same spot.
_SAME_SPOT = 1.0
# A file can be damaged everywhere; its list of spots is cut off here, so that memory is bounded.
_MOST_SPOTS = 1000


@dataclass
class Damage:
    """One damaged spot.

    Attributes:
        start: Seconds from the beginning of the video.
        end: Seconds, of the last damage that belongs to this spot.
        frames: Frames that are shown although they are damaged.
        lost: Packets of the video that gave no frame.
    """

    start: float
    end: float
    frames: int = 0
    lost: int = 0

    def __str__(self) -> str:
        """The spot in words, for one line of a warning."""
        where = f"at {self.start:.2f} s"
        if self.end - self.start >= 0.01:
            where = f"from {self.start:.2f} to {self.end:.2f} s"
        counts = []
        if self.frames:
            counts.append(f"{self.frames} damaged frames repaired as well as possible")
        if self.lost:
            counts.append(f"{self.lost} frames lost")
        return f"damaged {where} ({', '.join(counts) or 'some data skipped'})"


class DamageLog:
    """Collects the damaged spots of one file, in order."""

    def __init__(self) -> None:
        self.spots: list[Damage] = []
        #: Spots beyond the thousandth, which are counted only.
        self.more = 0

    def add(self, time: float | None, *, frames: int = 0, lost: int = 0) -> None:
        """Note damage at `time` seconds; None continues the last spot."""
        last = self.spots[-1] if self.spots else None
        if time is None:
            time = last.end if last else 0.0
        if last is None or time - last.end > _SAME_SPOT or time < last.start - _SAME_SPOT:
            if len(self.spots) >= _MOST_SPOTS:
                self.more += 1
                return
            last = Damage(time, time)
            self.spots.append(last)
        last.start, last.end = min(last.start, time), max(last.end, time)
        last.frames += frames
        last.lost += lost

    def warnings(self, shown: int = 5) -> list[str]:
        """One line a spot; beyond `shown` spots one line for all others."""
        lines = [str(spot) for spot in self.spots[:shown]]
        rest = len(self.spots) - shown + self.more
        return lines if rest <= 0 else [*lines, f"damaged at {rest} more places"]


def check_on_damage(value: str) -> None:
    """Raise `InputError` unless `value` is one of `OnDamage`."""
    if value not in get_args(OnDamage):
        raise InputError(f"on_damage is {value!r}; choose one of {', '.join(get_args(OnDamage))}")
