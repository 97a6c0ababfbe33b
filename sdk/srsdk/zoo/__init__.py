"""The bundled generators, and finding a model by name or path."""

from __future__ import annotations

import difflib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srsdk.errors import InputError, ModelNotFoundError

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class ZooModel:
    """A bundled generator, as `manifest.json` lists it.

    Attributes:
        name: What `Upscaler` takes.
        scale: Upscaling factor.
        use: "frames" or "faces".
        summary: One line on what it is.
        sha256: Hash of the file.
        path: The ONNX file.
        card: The model card.
    """

    name: str
    scale: int
    use: str
    summary: str
    sha256: str
    path: Path
    card: Path


def models() -> list[ZooModel]:
    """All bundled generators."""
    manifest: list[dict[str, Any]] = json.loads((_FOLDER / "manifest.json").read_text("utf-8"))
    return [
        ZooModel(
            **entry, path=_FOLDER / f"{entry['name']}.onnx", card=_FOLDER / f"{entry['name']}.md"
        )
        for entry in manifest
    ]


def find(model: str | Path) -> Path | str:
    """The file of a model name or path; "bicubic-xN" is returned as it is.

    Raises:
        ModelNotFoundError: The zoo has no such model, and there is no such file.
        InputError: It is no name and no path.
    """
    if not isinstance(model, (str, os.PathLike)):
        raise InputError(f"{model!r} is not a model: give a name, for instance edge-x4, or a path")
    text = str(model)
    if re.fullmatch(r"bicubic-x[1-9]", text):
        return text
    known = {entry.name: entry.path for entry in models()}
    if text in known:
        return known[text]
    path = Path(model).expanduser()
    if path.is_file():
        return path
    if path.suffix or path.name != text:
        raise ModelNotFoundError(f"there is no model file {text}")
    near = difflib.get_close_matches(text, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise ModelNotFoundError(
        f"no model is called {text!r}; {hint}known: {', '.join([*known, 'bicubic-xN'])}, "
        "or the path of an ONNX file from srsdk-export"
    )
