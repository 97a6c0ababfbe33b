"""Checks of numbers that callers give, so that a wrong type is told as a wrong value is."""

from __future__ import annotations

import math
from numbers import Integral, Real

from srsdk.errors import InputError


def check_whole(name: str, value: object, least: int, unit: str = "") -> None:
    """Refuse what is no whole number, or a smaller one; None passes, as "not given".

    Raises:
        InputError: As said.
    """
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InputError(f"{name} is {value!r}, expected a whole number, at least {least}{unit}")


def check_positive(name: str, value: object, unit: str, most: float = math.inf) -> None:
    """Refuse what is no number above 0, or a larger one than `most`; None passes.

    Raises:
        InputError: As said.
    """
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) <= most:
        end = "" if most == math.inf else f", at most {most:g}"
        raise InputError(f"{name} is {value!r}, expected a number of {unit} more than 0{end}")
