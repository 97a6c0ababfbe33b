"""What an image file says beside its pixels: profile, camera data, text, resolution."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_ORIENTATION = 0x0112
_EXIF_DIRECTORY = 0x8769
_SIZES = {"main": (0x0100, 0x0101), "exif": (0xA002, 0xA003)}  # width and height


@dataclass(frozen=True)
class Metadata:
    """Everything that goes along with the pixels.

    Attributes:
        icc: Colour profile, empty where there is none.
        exif: Camera data as Pillow holds them, None where there are none; the picture is upright.
        xmp: XMP packet, empty where there is none.
        text: Texts of a PNG file.
        comment: Comment of a JPEG or GIF file.
        dpi: Resolution in dots per inch, None where the file gives none.
        orientation: EXIF orientation of the stored pixels, 1 (upright) to 8.
    """

    icc: bytes = b""
    exif: Any = None
    xmp: bytes = b""
    text: dict[str, str] = field(default_factory=dict)
    comment: bytes = b""
    dpi: tuple[float, float] | None = None
    orientation: int = 1

    def exif_bytes(self, width: int, height: int) -> bytes:
        """Camera data for a picture of this size, without the thumbnail of the old one."""
        if self.exif is None:
            return b""
        exif = self.exif
        for tag, value in zip(_SIZES["main"], (width, height), strict=True):
            if tag in exif:
                exif[tag] = value
        inner = exif.get_ifd(_EXIF_DIRECTORY)
        for tag, value in zip(_SIZES["exif"], (width, height), strict=True):
            if tag in inner:
                inner[tag] = value
        try:
            return bytes(exif.tobytes())
        except Exception:  # camera data that break their own rules
            return b""


def metadata_of(image: Any) -> Metadata:
    """Read it from a decoded Pillow image."""
    info = image.info
    exif = image.getexif()
    orientation = int(exif.get(_ORIENTATION, 1) or 1)
    upright: Any = None
    if len(exif):
        upright = exif
        upright.pop(_ORIENTATION, None)
        upright.get_ifd(_EXIF_DIRECTORY)
        for tag in _STRUCTURE:
            upright.pop(tag, None)
        if not len(upright):
            upright = None
    xmp = info.get("xmp") or b""
    dpi = info.get("dpi")
    return Metadata(
        icc=info.get("icc_profile") or b"",
        exif=upright,
        xmp=xmp if isinstance(xmp, bytes) and orientation == 1 else b"",
        text={k: str(v) for k, v in getattr(image, "text", {}).items() if "xmp" not in k.lower()},
        comment=info.get("comment") or b"",
        dpi=dpi if dpi and all(value > 0 for value in dpi) else None,
        orientation=orientation if 1 <= orientation <= 8 else 1,
    )


# Tags of a TIFF file that say how its pixels are stored, which are not camera data.
_STRUCTURE = (
    *(0x00FE, 0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x010A, 0x0111, 0x0115, 0x0116, 0x0117),
    *(0x011C, 0x013D, 0x0140, 0x0142, 0x0143, 0x0144, 0x0145, 0x0152, 0x0153, 0x015B, 0x0211),
    *(0x0212, 0x0213, 0x0214, 0x8773, 0x02BC),
)
