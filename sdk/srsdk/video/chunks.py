"""Packets on disk: the finished chunks of a video job, each file whole or not there."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from srsdk.video.picture import EncodedPacket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

# pts, dts, duration, key, after, sizes of the bytes and of what is beside them, checksum of both
_RECORD = struct.Struct("<qqqIIIII")


def write_packet(file: BinaryIO, packet: EncodedPacket) -> None:
    """Append one packet."""
    data = packet.data + packet.beside
    file.write(
        _RECORD.pack(
            *(packet.pts, packet.dts, packet.duration, packet.key, packet.after),
            *(len(packet.data), len(packet.beside), zlib.crc32(data)),
        )
    )
    file.write(data)


def read_packets(path: Path) -> Iterator[EncodedPacket]:
    """The packets of a file, one at a time.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is damaged.
    """
    with path.open("rb") as file:
        while head := file.read(_RECORD.size):
            if len(head) < _RECORD.size:
                raise ValueError(f"{path} is cut short")
            pts, dts, duration, key, after, size, extra, checksum = _RECORD.unpack(head)
            data = file.read(size + extra)
            if len(data) < size + extra or zlib.crc32(data) != checksum:
                raise ValueError(f"{path} is damaged")
            yield EncodedPacket(data[:size], pts, dts, duration, bool(key), after, data[size:])
