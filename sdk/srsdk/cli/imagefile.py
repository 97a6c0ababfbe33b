"""Image files: upright, with alpha, gray, colour profile and camera data kept; whole or refused.

Pillow reads and writes them. What would be lost silently is refused: more than 8 bits, CMYK, an
animation written as a still, transparency written as JPEG.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from srsdk.cli.imagebits import bits_of
from srsdk.cli.imagemeta import Metadata, metadata_of
from srsdk.errors import InputError
from srsdk.types import Pixels

if TYPE_CHECKING:
    from collections.abc import Iterator

READ = {
    *(".jpg", ".jpeg", ".jpe", ".png", ".apng", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif"),
    *(".avif", ".jp2", ".j2k", ".jpx", ".heic", ".heif", ".ppm", ".pgm", ".mpo"),
}
"""File name endings of images, in lower case."""

Image.init()
_FORMATS: list[str] = [
    name
    for name in ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "AVIF", "JPEG2000", "PPM")
    if name in Image.OPEN
]
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1")

# Pillow refuses pictures of more than 179 megapixels unless told; a 32-bit index ends at this.
Image.MAX_IMAGE_PIXELS = 1 << 30
_TOO_LARGE = (Image.DecompressionBombWarning, Image.DecompressionBombError)


@dataclass(frozen=True)
class Picture:
    """A decoded image file.

    Attributes:
        pixels: uint8 `(H, W)` gray, `(H, W, 3)` BGR or `(H, W, 4)` BGR and alpha, upright.
        format: Pillow's name of the format.
        metadata: What else the file says.
    """

    pixels: Pixels
    format: str
    metadata: Metadata


class ImageFile:
    """An image file that was identified; its pictures are decoded on demand.

    Args:
        path: The file.

    Raises:
        InputError: It cannot be read, is no image, or would lose something.

    Attributes:
        path: The file.
        format: Pillow's name of the format.
        frames: Number of pictures in it, more than 1 for an animation.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._data = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror})") from error
        if not self._data:
            raise InputError(f"{path} is empty (0 bytes); copy or download it again")
        self._image = self._open()
        self.format = str(self._image.format)
        if self.format == "PNG":
            self._verify()
        bits = bits_of(self._image, self._data)
        if bits > 8:
            raise InputError(
                f"{path} has {bits} bits per component, which would be lost; "
                "convert it to 8 bits first"
            )
        if self._image.mode in ("CMYK", "YCCK"):
            raise InputError(f"{path} is in CMYK, the colours of printing; convert it to RGB first")
        animated = self.format not in ("MPO", "TIFF")
        self.frames = int(getattr(self._image, "n_frames", 1)) if animated else 1

    def _open(self) -> Any:
        formats = _FORMATS
        if self._data[4:8] == b"ftyp" and self._data[8:12] in _HEIF:
            _register_heif(self.path)
            formats = [*_FORMATS, "HEIF"]
        try:
            with warnings.catch_warnings():
                # Else Pillow refuses only what has twice as many pixels.
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                return Image.open(io.BytesIO(self._data), formats=formats)
        except (*_TOO_LARGE, MemoryError, OverflowError) as error:
            raise InputError(f"{self.path} is too large to be decoded ({error})") from error
        except UnidentifiedImageError as error:
            raise InputError(
                f"{self.path} is not an image that Pillow {PIL.__version__} can read, or is "
                "damaged; convert it to PNG, or copy it again"
            ) from error
        except Exception as error:  # damaged files make Pillow raise anything
            raise self._damaged(error) from error

    def _verify(self) -> None:
        """Check the checksums of a PNG file, which decoding it does not."""
        try:
            with Image.open(io.BytesIO(self._data), formats=["PNG"]) as image:
                image.verify()
        except Exception as error:
            raise self._damaged(error) from error

    def _damaged(self, error: BaseException) -> InputError:
        text = str(error).split("\n")[0] or type(error).__name__
        if isinstance(error, MemoryError) or "decompression bomb" in text.lower():
            return InputError(f"{self.path} is too large to be decoded ({text})")
        if "trunc" in text.lower() or isinstance(error, EOFError):
            return InputError(f"{self.path} is cut short ({text}); copy or download it again")
        return InputError(f"{self.path} is damaged ({text}); copy or download it again")

    def read(self) -> Picture:
        """Decode the file's only picture, or its first.

        Raises:
            InputError: It is damaged.
        """
        try:
            self._image.seek(0)
            self._image.load()
            upright = ImageOps.exif_transpose(self._image)
            metadata = metadata_of(self._image)
            pixels = _array(upright)
        except InputError:
            raise
        except Exception as error:
            raise self._damaged(error) from error
        return Picture(pixels, self.format, metadata)

    def animation(self) -> Iterator[tuple[Pixels, float]]:
        """Decode one picture after another, each whole, with its duration in milliseconds.

        Raises:
            InputError: The file is damaged.
        """
        try:
            for image in ImageSequence.Iterator(self._image):
                image.load()
                shown = image.convert("RGBA" if _has_alpha(image) else "RGB")
                yield _array(shown), float(image.info.get("duration", 0) or 100)
        except InputError:
            raise
        except Exception as error:
            raise self._damaged(error) from error

    @property
    def loop(self) -> int:
        """How often an animation is repeated; 0 without end."""
        return int(self._image.info.get("loop", 1 if self.format == "GIF" else 0))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as stored."""
        width, height = self._image.size
        return int(width), int(height)


def read_image(path: Path) -> Picture:
    """Decode a still image.

    Raises:
        InputError: It cannot be read, is damaged, or would lose something: 16 bits, an animation.
    """
    file = ImageFile(path)
    if file.frames > 1:
        raise InputError(
            f"{path} is an animation; name the output .gif, .webp or .png, or convert it to a "
            "video first, for instance .mp4"
        )
    return file.read()


def is_image(path: Path) -> bool:
    """Whether Pillow knows a file by its first bytes; HEIF counts without the package for it."""
    try:
        with path.open("rb") as file:
            start = file.read(12)
            if start[4:8] == b"ftyp" and start[8:12] in _HEIF:
                return True
            file.seek(0)
            with Image.open(file, formats=_FORMATS):
                return True
    except UnidentifiedImageError:
        return False
    except Exception:  # it begins like an image and is damaged
        return path.suffix.lower() in READ


def is_animation(path: Path) -> bool:
    """Whether a file holds several pictures that follow one another."""
    try:
        return ImageFile(path).frames > 1
    except InputError:
        return False


def _register_heif(path: Path) -> None:
    try:
        import pillow_heif  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise InputError(
            f"{path} is HEIF, for which srsdk needs the package pillow-heif: "
            "run `pip install 'srsdk[heic]'`"
        ) from error
    pillow_heif.register_heif_opener()


def _has_alpha(image: Any) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def _array(image: Any) -> Pixels:
    """Pixels as `Picture` has them."""
    if image.mode in ("L", "1") and "transparency" not in image.info:
        return np.ascontiguousarray(np.asarray(image.convert("L")))
    alpha = _has_alpha(image)
    pixels = np.asarray(image.convert("RGBA" if alpha else "RGB"))
    order = [2, 1, 0, 3] if alpha else [2, 1, 0]
    return np.ascontiguousarray(pixels[..., order])
