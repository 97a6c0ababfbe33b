"""Opens the file that an output is written to.

PyAV asks FFmpeg which codecs a format lists before it adds a track. Matroska's list lacks the
sound that it stores as AVI does (WMA, ADPCM), although it writes it. FFmpeg's "tee", which hands
all tracks on to other formats, lists nothing: through it these tracks get into the file.
"""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: What PyAV and FFmpeg raise for a track that a format does not take.
REFUSALS = (ValueError, OSError, TypeError, AttributeError, RuntimeError, av.error.FFmpegError)


def open_output(
    path: Path, kind: str, options: Mapping[str, str] | None = None, *, through_tee: bool = False
) -> Any:
    """Open a file for writing; returns PyAV's container.

    Args:
        path: The file.
        kind: FFmpeg's name of its format.
        options: The muxer's options.
        through_tee: Hand the tracks over through FFmpeg's "tee", which drops chapters.
    """
    name, options = str(path.absolute()), dict(options or {})
    if not through_tee:
        return av.open(name, "w", format=kind, container_options=options)
    settings = ":".join(f"{key}={value}" for key, value in {"f": kind, **options}.items())
    return av.open(f"[{settings}]{re.sub(_SPECIAL, _ESCAPED, name)}", "w", format="tee")


_SPECIAL, _ESCAPED = r"([\\'|\[\]:\s])", r"\\\1"


def takes(kind: str, add: Callable[[Any], Any], *, through_tee: bool = False) -> bool:
    """Whether a file of this kind can be begun with one track, tried out.

    Args:
        kind: FFmpeg's name of the format.
        add: Adds the track to a container.
        through_tee: See `open_output`.
    """
    with tempfile.TemporaryDirectory() if through_tee else contextlib.nullcontext("") as folder:
        try:
            if through_tee:  # which writes to files only
                trial = open_output(Path(folder, "trial"), kind, through_tee=True)
            else:
                trial = av.open(io.BytesIO(), "w", format=kind)
            with trial:
                add(trial)
                trial.start_encoding()
        except REFUSALS:
            return False
    return True
