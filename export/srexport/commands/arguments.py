"""Arguments that several commands share, checked before the work begins."""

from __future__ import annotations

from pathlib import Path

from srsdk import zoo
from srsdk.errors import InputError


def find_model(model: str) -> Path:
    """The file of a zoo model's name or of a path.

    Raises:
        ModelNotFoundError: The model does not exist.
        InputError: It is the bicubic baseline, which is no network.
    """
    found = zoo.find(model)
    if isinstance(found, str):
        raise InputError(f"{found} is no network; give an ONNX file or one of `srsdk models`")
    return found


def check_target(output: Path) -> None:
    """Raise `InputError` unless a file can be written there."""
    if output.is_dir():
        raise InputError(f"{output} is a folder; give the name of a file in it")
    if not output.absolute().parent.is_dir():
        raise InputError(f"there is no folder {output.parent} to write into; make it first")
