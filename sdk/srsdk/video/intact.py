"""Whether a video file is whole, by its outermost structure, before any work is done.

A demuxer reads a file that was cut short until its end and reports nothing, so a truncated input
would become a shorter output. The containers say how long they are, and that costs a few reads.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

HEAD = 512
"""Bytes that tell what a file is."""

_MP4_BOXES = {b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"mfra", b"sidx"}
_EBML = b"\x1a\x45\xdf\xa3"
_Y4M = b"YUV4MPEG2 "
# Planes of full size; how many times narrower and lower the two others are.
_Y4M_LAYOUTS = {"420": (1, 2, 2), "411": (1, 4, 1), "422": (1, 2, 1), "444": (3, 0, 0)}
_SEGMENT = b"\x18\x53\x80\x67"


def missing_bytes(path: Path) -> int:
    """How many bytes the file lacks by its own account.

    Understands MP4/MOV, Matroska/WebM, AVI and YUV4MPEG2; other formats, and files that do not say
    how long they are (live recordings), count as whole.

    Args:
        path: The file.

    Returns:
        The number of missing bytes, 0 for a file that is whole.

    Raises:
        OSError: The file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[4:8] in _MP4_BOXES:
            end = _mp4_end(file, size)
        elif head[:4] == _EBML:
            end = _matroska_end(file)
        elif head[:4] == b"RIFF" and head[8:12] == b"AVI ":
            end = 8 + int.from_bytes(head[4:8], "little")
        elif head.startswith(_Y4M):
            file.seek(0)
            end = size + y4m_missing(file.read(HEAD), size)
        else:
            end = 0
    return max(0, end - size)


class CountingPipe:
    """A pipe that notes what is read of it.

    Args:
        file: The pipe.

    Attributes:
        head: Its first bytes, at most `HEAD`.
        size: Bytes read so far.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.head = b""
        self.size = 0

    def read(self, size: int) -> bytes:
        """Read so many bytes, or as many as there are."""
        data = self._file.read(size)
        if len(self.head) < HEAD:
            self.head += data[: HEAD - len(self.head)]
        self.size += len(data)
        return data


def y4m_missing(head: bytes, size: int) -> int:
    """How many bytes the last frame of a YUV4MPEG2 stream lacks.

    Args:
        head: The first bytes of the stream, at least its first line.
        size: Its length.
    """
    line, end, _ = head.partition(b"\n")
    tags = {word[:1]: word[1:].decode("latin-1") for word in line.split()[1:]}
    kind = tags.get(b"C", "420")
    layout = (1, 0, 0) if kind.startswith("mono") else _Y4M_LAYOUTS.get(kind[:3])
    if not line.startswith(_Y4M) or not end or layout is None or "alpha" in kind:
        return 0
    try:
        width, height = int(tags[b"W"]), int(tags[b"H"])
    except (KeyError, ValueError):
        return 0
    full, across, down = layout
    samples = full * width * height
    if across:
        samples += 2 * -(-width // across) * -(-height // down)
    deep = re.search(r"(?:p|mono)(\d+)$", kind)
    if deep and across and width % across:
        return 0  # FFmpeg itself does not agree with others on such frames
    frame = len(b"FRAME\n") + samples * (2 if deep and int(deep[1]) > 8 else 1)
    return -(size - len(line) - 1) % frame


def _mp4_end(file: BinaryIO, size: int) -> int:
    """Where the last of the boxes, each of which gives its length, ends."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if kind not in _MP4_BOXES and not kind.isalnum():
            return position  # trailing junk after the last box is none of our business
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8:  # 0: this box reaches to the end of the file, wherever that is
            return position
        if position + length > size and kind not in _MP4_BOXES:
            return position
        position += length
    return position


def _matroska_end(file: BinaryIO) -> int:
    """Where the segment, the element that holds everything, ends; 0 when it does not say."""
    file.seek(len(_EBML))
    header = _vint(file)
    if header is None:
        return 0
    file.seek(header, 1)
    if file.read(4) != _SEGMENT:
        return 0
    length = _vint(file)
    return 0 if length is None else file.tell() + length


def _vint(file: BinaryIO) -> int | None:
    """An EBML variable-length integer; None for "unknown" or for a damaged one."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    extra = 8 - first[0].bit_length()
    value = int.from_bytes(first + file.read(extra), "big") & ((1 << 7 * (extra + 1)) - 1)
    return None if value == (1 << 7 * (extra + 1)) - 1 else value
