"""Where pictures come from: tar shards, folders, and CelebA-HQ as it is distributed."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from srsdk.errors import InputError

_SUFFIXES = {".webp", ".png", ".jpg", ".jpeg", ".bmp"}


@dataclass(frozen=True)
class Entry:
    """An undecoded picture.

    Attributes:
        name: Its name inside its set.
        file: File that holds it: the picture's own, or a shard.
        offset: Where in the file it begins.
        size: Bytes; -1 for all of the file.
    """

    name: str
    file: Path
    offset: int = 0
    size: int = -1

    def read(self) -> bytes:
        """Its bytes."""
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            return stream.read(self.size)


def find_sets(root: Path, patterns: Sequence[str]) -> list[Path]:
    """Shards and folders below `root` that match, sorted; "." is `root` itself.

    Raises:
        InputError: A pattern matches nothing.
    """
    found: list[Path] = []
    for pattern in patterns:
        matches = [root] if pattern == "." else sorted(root.glob(pattern))
        if not matches or not root.exists():
            raise InputError(f"no training data matches {pattern!r} in {root}; pass --data FOLDER")
        found.extend(matches)
    return found


def entries(path: Path) -> Iterator[Entry]:
    """The pictures of a `.tar` shard or a folder, in a fixed order.

    Of CelebA-HQ's own layouts (`CelebA-HQ-img` beside its masks; `data1024x1024` beside smaller
    copies) only the largest pictures of faces are read, in the order of their numbers.

    Raises:
        InputError: The shard is damaged, or missing.
    """
    if path.is_dir():
        folder = _celeba_hq(path)
        for file in sorted(folder.rglob("*"), key=_by_number):
            if file.suffix.lower() in _SUFFIXES:
                yield Entry(str(file.relative_to(folder)), file)
        return
    try:
        with tarfile.open(path) as shard:
            for member in shard:
                if member.isfile() and Path(member.name).suffix.lower() in _SUFFIXES:
                    yield Entry(member.name, path, member.offset_data, member.size)
    except tarfile.TarError as error:
        raise InputError(f"{path} is not a readable tar shard: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def decode(data: bytes) -> Image.Image | None:
    """Decode a picture to RGB; None where it is corrupt."""
    try:
        return Image.open(io.BytesIO(data)).convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return None


def _celeba_hq(path: Path) -> Path:
    if (path / "CelebA-HQ-img").is_dir():
        return path / "CelebA-HQ-img"
    sizes = {}
    for folder in path.glob("data*x*"):
        match = re.fullmatch(r"data(\d+)x\1", folder.name)
        if match and folder.is_dir():
            sizes[int(match[1])] = folder
    return sizes[max(sizes)] if sizes else path


def _by_number(path: Path) -> tuple[str, int, str]:
    """`9.jpg` before `10.jpg`, as CelebA-HQ counts; other names alphabetically."""
    number = int(path.stem) if path.stem.isdecimal() else -1
    return (str(path.parent), number, path.name)
