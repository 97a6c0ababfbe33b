"""Writes image files: the format by the name's ending, the best that it has, metadata kept."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image, PngImagePlugin, features

from srsdk.cli.imagemeta import Metadata
from srsdk.errors import InputError, VideoError
from srsdk.types import Pixels

WRITTEN = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".jp2": "JPEG2000",
    ".avif": "AVIF",
    ".gif": "GIF",
}
"""Format by the ending of the name, in lower case."""

ANIMATED = (".gif", ".webp", ".png", ".avif")
"""Endings of formats that hold animations."""

QUALITY = 95
_LARGEST = {"JPEG": 65_500, "WEBP": 16_383, "GIF": 65_535, "AVIF": 65_535}
_OPAQUE = ("JPEG", "BMP")


def check_image(path: Path, width: int, height: int, channels: int) -> str:
    """Pillow's format of an output.

    Raises:
        InputError: A file of this name cannot hold such an image.
    """
    suffix = path.suffix.lower()
    kind = WRITTEN.get(suffix)
    if kind is None:
        raise InputError(
            f"{path}: images are written as {', '.join(WRITTEN)}; choose one of these endings"
        )
    if kind == "AVIF" and not features.check("avif"):
        raise InputError(
            f"{path}: Pillow {PIL.__version__} here writes no AVIF; name the output .png, "
            "or run `pip install --upgrade pillow`"
        )
    if channels == 4 and kind in _OPAQUE:
        raise InputError(f"{path}: {kind} has no transparency; name the output .png or .webp")
    largest = _LARGEST.get(kind, 1 << 30)
    if max(width, height) > largest:
        raise InputError(
            f"{path} would be {width}x{height}, but {suffix} ends at {largest} pixels; "
            "name the output .png"
        )
    return kind


def encode_image(path: Path, pixels: Pixels, metadata: Metadata, quality: int = QUALITY) -> bytes:
    """The bytes of an image file.

    Args:
        path: Its name, whose ending chooses the format.
        pixels: As `srsdk.cli.imagefile.Picture.pixels`.
        metadata: What goes along.
        quality: Of JPEG, WebP and AVIF, 1 to 100.

    Raises:
        VideoError: Pillow cannot encode it.
    """
    kind = WRITTEN[path.suffix.lower()]
    options = _options(kind, metadata, (pixels.shape[1], pixels.shape[0]), quality)
    return _save(path, _image(pixels), kind, options)


def encode_animation(
    path: Path,
    pictures: Iterable[tuple[Pixels, float]],
    loop: int,
    quality: int = QUALITY,
) -> bytes:
    """The bytes of an animation.

    Args:
        path: Its name, whose ending chooses the format.
        pictures: As `encode_image` takes them, each with its milliseconds.
        loop: How often it is repeated; 0 without end.
        quality: Of WebP and AVIF, 1 to 100.

    Raises:
        VideoError: Pillow cannot encode it.
    """
    kind = WRITTEN[path.suffix.lower()]
    durations: list[float] = []
    images = []
    for pixels, milliseconds in pictures:
        durations.append(milliseconds)
        images.append(_image(pixels))
    options = _options(kind, Metadata(), images[0].size, quality)
    times = [round(value) for value in durations]
    more = {"save_all": True, "append_images": images[1:], "duration": times, "loop": loop}
    if kind == "GIF":
        more["disposal"] = 2
    return _save(path, images[0], kind, {**options, **more})


def _save(path: Path, image: Any, kind: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    try:
        image.save(buffer, kind, **options)
    except (OSError, ValueError, MemoryError, SystemError, RuntimeError) as error:
        raise VideoError(f"{path} cannot be encoded ({str(error).splitlines()[0]})") from error
    return buffer.getvalue()


def _image(pixels: Pixels) -> Any:
    if pixels.ndim == 2:
        return Image.fromarray(pixels)
    order = [2, 1, 0, 3] if pixels.shape[2] == 4 else [2, 1, 0]
    return Image.fromarray(np.ascontiguousarray(pixels[..., order]))


def _options(kind: str, metadata: Metadata, size: tuple[int, int], quality: int) -> dict[str, Any]:
    """What `Image.save` is told: the best quality that is not wasteful, and the metadata."""
    formats: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": quality, "subsampling": 0},
        "PNG": {"compress_level": 4},
        "WEBP": {"quality": quality, "method": 4},
        "AVIF": {"quality": quality, "subsampling": "4:4:4"},
        "TIFF": {"compression": "tiff_lzw"},
        "JPEG2000": {"irreversible": False},
    }
    options = formats.get(kind, {})
    if metadata.icc and kind not in ("GIF", "BMP"):
        options["icc_profile"] = metadata.icc
    exif = metadata.exif_bytes(*size)
    if exif and kind in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF"):
        options["exif"] = exif
        if kind == "TIFF":
            del options["compression"]  # libtiff does not write the directories of camera data
    if metadata.xmp and kind in ("JPEG", "WEBP", "AVIF"):
        options["xmp"] = metadata.xmp
    if metadata.dpi and kind in ("JPEG", "PNG", "BMP", "TIFF"):
        options["dpi"] = metadata.dpi
    if metadata.comment and kind in ("JPEG", "GIF"):
        options["comment"] = metadata.comment
    if kind == "PNG" and metadata.text:
        texts = PngImagePlugin.PngInfo()
        for key, value in metadata.text.items():
            texts.add_itxt(key, value)
        options["pnginfo"] = texts
    return options


def lost_metadata(path: Path, metadata: Metadata) -> str:
    """What of the metadata a file of this name does not hold, in words; empty for nothing."""
    kind = WRITTEN[path.suffix.lower()]
    lost = []
    if metadata.icc and kind in ("GIF", "BMP"):
        lost.append("the colour profile")
    if metadata.exif is not None and kind in ("GIF", "BMP", "JPEG2000"):
        lost.append("the camera data (EXIF)")
    return " and ".join(lost)
