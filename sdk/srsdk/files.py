"""Files that are whole or not there: written under a temporary name, then renamed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def part_path(path: Path) -> Path:
    """An unused hidden name beside `path`, with its suffix, for a file that is not whole yet."""
    return path.with_name(f".{path.stem[:80]}.{uuid.uuid4().hex[:8]}.part{path.suffix}")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file in the body of a `with`; it appears under its name when the body ends.

    Args:
        path: The file; one that exists already is replaced, and stays as it is after an error.

    Yields:
        The temporary path to write to, in the same folder and with the same suffix.
    """
    part = part_path(path)
    try:
        yield part
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write_whole(path: Path, data: bytes) -> None:
    """Write a file and make sure that it is on the disk before it gets its name.

    Raises:
        OSError: The folder or the disk does not take it; nothing is left.
    """
    with replacing(path) as part, part.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
