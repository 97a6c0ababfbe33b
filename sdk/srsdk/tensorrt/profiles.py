"""Input sizes that an engine is built for, in TensorRT's words: profiles of min, opt and max."""

from __future__ import annotations

import re
from dataclasses import dataclass

from srsdk.errors import InputError
from srsdk.spec import ModelSpec
from srsdk.types import Size

FRAMES = ("320x180", "640x360", "1280x720")
"""Presets for generators of whole frames; each takes exactly this size."""

FACES = "faces"
"""Preset for crops: batches of 1 to 16 from half to four times the trained size."""

CLOSE_UPS = "close-ups"
"""Preset for large crops: batches of 1 to 4 up to ten times the trained size, the SDK's limit.

A separate profile, because an engine reserves memory for a profile's largest batch and size.
"""

_SIDE = 64
"""Side of a crop for generators whose spec has no `face_size`."""

_SYNTAX = "faces, close-ups, WIDTHxHEIGHT, BATCH*WIDTHxHEIGHT, or min:opt:max of those"


@dataclass(frozen=True)
class Profile:
    """Input sizes that an engine takes.

    Attributes:
        name: The text that it was parsed from.
        min: Smallest batch, height and width.
        opt: The size that it was tuned for.
        max: Largest batch, height and width.
    """

    name: str
    min: Size
    opt: Size
    max: Size

    def covers(self, size: Size) -> bool:
        """Whether `(batch, height, width)` lies within."""
        return all(a <= b <= c for a, b, c in zip(self.min, size, self.max, strict=True))

    def __str__(self) -> str:
        """The name and its sizes as batch * width x height."""
        ends = [self.min] if self.min == self.max else [self.min, self.opt, self.max]
        sizes = ":".join(f"{batch}*{width}x{height}" for batch, height, width in ends)
        return f"{self.name} ({sizes})"


def profiles(shapes: list[str], spec: ModelSpec) -> tuple[Profile, ...]:
    """Parse sizes in the command line's form.

    Args:
        shapes: Each "faces", "close-ups", "WIDTHxHEIGHT", "BATCH*WIDTHxHEIGHT", or three of the
            last two as "MIN:OPT:MAX"; empty: the presets that suit the generator.
        spec: The generator's contract.

    Raises:
        InputError: A size has none of these forms.
    """
    wanted = shapes or ([FACES, CLOSE_UPS] if spec.face_size else list(FRAMES))
    return tuple(_profile(text, spec) for text in dict.fromkeys(wanted))


def _profile(text: str, spec: ModelSpec) -> Profile:
    side = spec.face_size or _SIDE
    smallest = max(8, side // 2)
    if text == FACES:
        return Profile(text, (1, smallest, smallest), (4, side, side), (16, 4 * side, 4 * side))
    if text == CLOSE_UPS:
        return Profile(
            text, (1, smallest, smallest), (1, 5 * side, 5 * side), (4, 10 * side, 10 * side)
        )
    ends = [_size(part, text) for part in text.split(":")]
    if len(ends) == 1:
        ends = ends * 3
    if len(ends) != 3:
        raise InputError(f"shape {text!r}: expected {_SYNTAX}")
    profile = Profile(text, *ends)
    if not profile.covers(profile.opt):
        raise InputError(f"shape {text!r}: the sizes must grow from min over opt to max")
    return profile


def _size(part: str, text: str) -> Size:
    match = re.fullmatch(r"(?:([1-9]\d*)\*)?([1-9]\d*)x([1-9]\d*)", part)
    if match is None:
        raise InputError(f"shape {text!r}: expected {_SYNTAX}")
    batch, width, height = match.groups(default="1")
    return int(batch), int(height), int(width)
