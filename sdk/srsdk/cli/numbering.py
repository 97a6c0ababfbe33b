"""Numbers in file names: pictures of a sequence, in and out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_PATTERN = re.compile(r"%0?\d*d")


def is_pattern(path: Path) -> bool:
    """Whether a name such as frames/%06d.png means one picture a frame."""
    return _PATTERN.search(path.name) is not None


def natural_order(path: Path) -> list[Any]:
    """A key that sorts 2 before 10."""
    parts = re.split(r"(\d+)", path.name)
    return [int(part) if part.isdecimal() else part.lower() for part in parts]
