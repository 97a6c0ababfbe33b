"""Images from and to files: upright, with alpha, gray and colour profile kept; whole or not at all.

JPEG, PNG and WebP with 8 bits per component. What would be lost silently is refused: 16 bits,
animations, transparency written as JPEG.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from srsdk.cli.imageheader import ImageHeader, read_header
from srsdk.errors import InputError, VideoError
from srsdk.types import Pixels

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
"""File name endings of images, in lower case."""

_LARGEST = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}
_SETTINGS = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111],  # 4:4:4
    ".png": [],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 95],
}


@dataclass(frozen=True)
class Picture:
    """A decoded image file.

    Attributes:
        pixels: uint8 `(H, W)` gray, `(H, W, 3)` BGR or `(H, W, 4)` BGR and alpha, upright.
        header: What else the file says.
    """

    pixels: Pixels
    header: ImageHeader


def read_image(path: Path) -> Picture:
    """Decode an image file.

    Raises:
        InputError: It cannot be read, is damaged, or would lose something: 16 bits, an animation.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    if not data:
        raise InputError(f"{path} is empty (0 bytes); copy or download it again")
    header = read_header(data, source=str(path))
    if header.animated:
        raise InputError(f"{path} is an animation; convert it to a video first, for instance .mp4")
    if header.depth > 8:
        raise InputError(
            f"{path} has {header.depth} bits per component, which would be lost; "
            "convert it to 8 bits first"
        )
    with _quiet():
        try:
            pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error as error:
            raise InputError(f"{path} cannot be decoded ({_reason(error)})") from error
    if pixels is None or pixels.size == 0:
        raise InputError(f"{path} is damaged; copy or download it again")
    return Picture(_upright(pixels, header.orientation), header)


def check_image(path: Path, width: int, height: int, channels: int) -> None:
    """Raise `InputError` where a file of this name cannot hold such an image."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            f"{path}: images are written as {', '.join(SUFFIXES)}; choose one of these endings"
        )
    if channels == 4 and suffix in (".jpg", ".jpeg"):
        raise InputError(f"{path}: JPEG has no transparency; name the output .png or .webp")
    largest = _LARGEST.get(suffix, 1 << 30)
    if max(width, height) > largest:
        raise InputError(
            f"{path} would be {width}x{height}, but {suffix} ends at {largest} pixels; "
            "name the output .png"
        )


def encode_image(suffix: str, pixels: Pixels, icc: bytes = b"") -> tuple[bytes, bool]:
    """The bytes of an image file.

    Args:
        suffix: One of `SUFFIXES`.
        pixels: As `Picture.pixels`.
        icc: Colour profile to put in.

    Returns:
        The bytes, and whether the profile is in them (OpenCV before 4.12 cannot do that).
    """
    suffix = suffix.lower().replace(".jpeg", ".jpg")
    keeps = bool(icc) and hasattr(cv2, "imencodeWithMetadata")
    try:
        if keeps:
            kinds, blobs = [cv2.IMAGE_METADATA_ICCP], [np.frombuffer(icc, np.uint8)]
            done, data = cv2.imencodeWithMetadata(suffix, pixels, kinds, blobs, _SETTINGS[suffix])
        else:
            done, data = cv2.imencode(suffix, pixels, _SETTINGS[suffix])
    except cv2.error as error:
        raise VideoError(f"cannot encode a {suffix} image ({_reason(error)})") from error
    if not done:
        raise VideoError(f"cannot encode a {suffix} image of shape {pixels.shape}")
    return data.tobytes(), keeps


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


@contextmanager
def _quiet() -> Iterator[None]:
    """Send what C libraries print on stderr nowhere: our one line says it."""
    try:
        saved = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def _reason(error: cv2.error) -> str:
    return str(getattr(error, "err", "") or error).strip().split("\n")[0]
