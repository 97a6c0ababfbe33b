"""Refuses outputs that cannot be written, before any work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av

from srsdk.errors import VideoError
from srsdk.video.encoding import FORMATS, LARGEST

if TYPE_CHECKING:
    from pathlib import Path

    from srsdk.video.encoding import EncodeOptions


def check_target(path: Path, *, overwrite: bool) -> str:
    """FFmpeg's name of the format of an output file.

    Raises:
        VideoError: No such format is written, or the file cannot be written without losing another.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise VideoError(
            f"{path}: cannot write {path.suffix or 'a file without an ending'}; "
            f"name the output {', '.join(FORMATS)}"
        )
    if path.is_dir():
        raise VideoError(f"{path} is a folder; give the output a file name")
    if path.exists() and not overwrite:
        raise VideoError(
            f"{path} exists already; choose another name, or overwrite it with overwrite=True"
        )
    if not path.parent.is_dir():
        raise VideoError(f"{path.parent} is not a folder; create it first")
    return kind


def check_size(path: Path, width: int, height: int, options: EncodeOptions) -> None:
    """Raise where an encoder does not take pictures of this size.

    Raises:
        VideoError: The picture is too large, or odd where chroma is shared by two pixels.
    """
    pixel_format = options.pixel_format or "yuv420p"
    widest, highest = LARGEST.get(options.codec, (16384, 16384))
    if width > widest or height > highest:
        fits = [name for name, (w, h) in LARGEST.items() if width <= w and height <= h]
        other = "choose " + " or ".join(f'codec="{name}"' for name in fits) + ", " if fits else ""
        raise VideoError(
            f"{path} would be {width}x{height}, but {options.codec} ends at {widest}x{highest}; "
            f"{other}a model of a smaller scale, or a smaller size"
        )
    layout = av.VideoFormat(pixel_format)
    if (width % 2 and layout.chroma_width(2) == 1) or (height % 2 and layout.chroma_height(2) == 1):
        raise VideoError(
            f"a picture of {width}x{height} does not fit {pixel_format}, which needs even sizes; "
            f'choose the size {width + width % 2}x{height + height % 2}, or pixel_format="yuv444p"'
        )
