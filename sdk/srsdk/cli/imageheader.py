"""What image decoders do not say: orientation, colour profile, animation, and a missing end.

OpenCV hands back the pixels it could get: the rest of a JPEG that was cut short comes back gray,
an animation as its first picture, and with `IMREAD_UNCHANGED` a phone's photograph lies on its
side. So the file's own structure is read here first.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from srsdk.errors import InputError

_PNG = b"\x89PNG\r\n\x1a\n"
# In JPEG data, 0xFF 0x00 is an escaped byte and 0xFF 0xD0..0xD7 a restart marker.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


@dataclass
class ImageHeader:
    """What stands in the file around the pixels.

    Attributes:
        format: "JPEG", "PNG" or "WebP".
        orientation: EXIF orientation, 1 (upright) to 8.
        icc: Colour profile, empty where the file has none.
        animated: There is more than one picture in it.
        depth: Bits per component.
    """

    format: str
    orientation: int = 1
    icc: bytes = b""
    animated: bool = False
    depth: int = 8


def sniff(start: bytes) -> str | None:
    """The image format of a file that begins so (12 bytes will do); None for something else."""
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(_PNG):
        return "PNG"
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP"
    return None


def read_header(data: bytes, *, source: str) -> ImageHeader:
    """Walk through a whole file.

    Args:
        data: The file's bytes.
        source: What to call it in an error.

    Raises:
        InputError: It is cut short or damaged, or no image.
    """
    kind = sniff(data)
    if kind is None:
        raise InputError(f"{source} is not a JPEG, PNG or WebP image; convert it to one of these")
    header = ImageHeader(kind)
    walk = {"JPEG": _jpeg, "PNG": _png, "WebP": _webp}[kind]
    try:
        whole = walk(data, header, source)
    except (struct.error, IndexError):
        whole = False
    if not whole:
        raise InputError(f"{source} is cut short; copy or download it again")
    return header


def _jpeg(data: bytes, header: ImageHeader, source: str) -> bool:
    profile: dict[int, bytes] = {}
    at = 2
    while True:
        found = _MARKER.search(data, at)
        if found is None:
            return False
        marker, at = data[found.end() - 1], found.end()
        if marker == 0xD9:
            header.icc = b"".join(profile[number] for number in sorted(profile))
            return True
        if marker in (0x01, 0xD8):
            continue
        (length,) = struct.unpack_from(">H", data, at)
        body = data[at + 2 : at + length]
        at += length
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            header.orientation = _orientation(body[6:])
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
            profile[body[12]] = body[14:]
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            header.depth = body[0]


def _png(data: bytes, header: ImageHeader, source: str) -> bool:
    at = len(_PNG)
    while True:
        length, name = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(name + body) != checksum:
            raise InputError(f"{source} is damaged; copy or download it again")
        at += 12 + length
        if name == b"IEND":
            return True
        if name == b"IHDR":
            header.depth = body[8]
        elif name == b"acTL":
            header.animated = True
        elif name == b"eXIf":
            header.orientation = _orientation(body)
        elif name == b"iCCP":
            try:
                header.icc = zlib.decompress(body[body.index(b"\0") + 2 :])
            except (ValueError, zlib.error):
                header.icc = b""


def _webp(data: bytes, header: ImageHeader, source: str) -> bool:
    (size,) = struct.unpack_from("<I", data, 4)
    if len(data) < size + 8:
        return False
    for name, body in _riff(data[: size + 8]):
        if name == b"VP8X":
            header.animated = bool(body[0] & 2)
        elif name == b"EXIF":
            header.orientation = _orientation(body.removeprefix(b"Exif\0\0"))
        elif name == b"ICCP":
            header.icc = body
    return True


def _riff(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        yield name, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _orientation(exif: bytes) -> int:
    """Tag 0x0112 of the first directory; 1 where it is missing or nonsense."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, at)
        for index in range(count):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, at + 2 + 12 * index)
            if tag == 0x0112:
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
