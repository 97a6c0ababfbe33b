"""Files that commands write: checked before the work, whole or not there at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from srsdk import files
from srsdk.errors import InputError, VideoError


def check_new(path: Path, *, overwrite: bool, folder_needed: bool = True) -> None:
    """Raise `InputError` unless a file can be written here without losing another.

    Args:
        path: The file.
        overwrite: Whether it may exist already.
        folder_needed: Whether its folder must exist already.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; choose another name for the output")
    if path.exists() and not overwrite:
        raise InputError(
            f"{path} exists already; choose another name or overwrite it (--overwrite)"
        )
    if folder_needed and not path.parent.is_dir():
        raise InputError(f"{path.parent} is not a folder; create it first")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears under its name when it is whole.

    Raises:
        VideoError: The folder or the disk does not take it; nothing is left.
    """
    try:
        files.write_whole(path, data)
    except OSError as error:
        raise VideoError(f"{path} cannot be written ({error.strerror})") from error


def typed_path(text: str) -> Path:
    """The path that a user typed; ~/ is the home folder, and ~ may begin the name of a file."""
    if text == "~" or text.startswith(("~/", f"~{os.sep}")):
        with contextlib.suppress(RuntimeError):  # a user without a home folder
            return Path(text).expanduser()
    return Path(text)


@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Create a folder and those above it; take them away again after an error, where empty.

    Raises:
        InputError: It cannot be created.
    """
    missing: list[Path] = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    try:
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"folder {path} cannot be made ({error.strerror})") from error
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for path in missing:
                path.rmdir()
        raise
