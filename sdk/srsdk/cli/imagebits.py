"""Bits per component of an image file. Pillow reports 8 for many files that have more."""

from __future__ import annotations

from typing import Any

_BITS_PER_SAMPLE = 258


def bits_of(image: Any, data: bytes) -> int:
    """The largest number of bits of any component in the file.

    Args:
        image: Pillow's image, not decoded yet.
        data: The file.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        # Pillow reads 16-bit gray as "I;16" or, in some versions, as 32-bit "I".
        return 32 if image.mode == "F" else 16
    kind = image.format
    if kind == "PNG":
        return data[24] if len(data) > 24 else 8
    if kind == "TIFF":
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, 8)
        return int(max(bits) if isinstance(bits, tuple) else bits)
    if kind == "JPEG2000":
        at = data.find(b"\xff\x51")  # SIZ: 38 bytes before the first component's depth
        return (data[at + 40] & 0x7F) + 1 if 0 <= at < len(data) - 40 else 8
    if kind == "AVIF":
        at = data.find(b"av1C")  # third byte: high_bitdepth, twelve_bit
        flags = data[at + 6] if 0 <= at < len(data) - 6 else 0
        return (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    if kind == "HEIF":
        return int(image.info.get("bit_depth", 8))
    if kind == "PPM":
        return 16 if image.mode == "I" else 8
    return 8
