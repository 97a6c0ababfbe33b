"""The size of an output that is not simply the model's scale."""

from __future__ import annotations

from dataclasses import dataclass

from srsdk.errors import InputError


@dataclass(frozen=True)
class OutputSize:
    """What size an output shall have; one that is not given follows from the picture's shape.

    Attributes:
        scale: Size of the output over that of the input.
        width: Width in pixels.
        height: Height in pixels.
    """

    scale: float | None = None
    width: int | None = None
    height: int | None = None

    def __post_init__(self) -> None:
        """Raise `InputError` for sizes that no picture has."""
        if self.scale is not None and not 0.01 <= self.scale <= 100:
            raise InputError(f"scale is {self.scale:g}, expected 0.01 to 100")
        if self.scale is not None and (self.width or self.height):
            raise InputError("give the size or the scale, not both")
        for side in (self.width, self.height):
            if side is not None and side < 1:
                raise InputError(f"size is {side} pixels, expected at least 1")

    @classmethod
    def parse(cls, size: str | None, scale: float | None) -> OutputSize | None:
        """Read what a user typed: 1920x1080, 1920x or x1080; None where nothing was.

        Raises:
            InputError: It is no size.
        """
        if size is None:
            return None if scale is None else cls(scale=scale)
        width, cross, height = size.lower().partition("x")
        sides = [side for side in (width, height) if side]
        if not cross or not sides or not all(side.isdecimal() for side in sides):
            raise InputError(f"size is {size!r}, expected for instance 1920x1080, 1920x or x1080")
        return cls(scale, int(width) if width else None, int(height) if height else None)

    def of(self, width: int, height: int, *, even: bool) -> tuple[int, int]:
        """Width and height of the output for an input of this size.

        Args:
            width: Of the input.
            height: Of the input.
            even: Round what is not given to whole pairs of pixels, as most video needs.
        """

        def rounded(value: float) -> int:
            return max(2, 2 * round(value / 2)) if even else max(1, round(value))

        if self.scale is not None:
            return rounded(self.scale * width), rounded(self.scale * height)
        if self.width and self.height:
            return self.width, self.height
        if self.width:
            return self.width, rounded(self.width * height / width)
        if self.height:
            return rounded(self.height * width / height), self.height
        return width, height
