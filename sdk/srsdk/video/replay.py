"""Decodes the packets of one track, and need not decode again what an earlier run decoded.

A run notes what the decoder gave for each packet: timestamps, and a checksum of each frame. A later
run takes the notes for the packets of finished chunks. It decodes from a key frame shortly before
the end of the notes, and compares: only if each frame has the checksum, and comes with the packet
that it came with in the earlier run, the decoder is where it was then. Else (a stream that
refreshes its picture bit by bit, say) everything is decoded from the beginning.
"""

from __future__ import annotations

import itertools
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import av
import av.error
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from fractions import Fraction

    from numpy.typing import NDArray

# Frames that must be as in the earlier run before the decoder is trusted.
_LEAST_COMPARED = 24
_CORRUPT, _KEY = 1, 2

# Of a frame: timestamp, flags, width, height, pixel format, checksum. None: the packet failed.
_Note = tuple["int | None", int, int, int, str, "int | None"]
_Notes = list["_Note | None"]


@dataclass(frozen=True)
class PastFrame:
    """A frame of an earlier run, without its pixels; the attributes are those of `av.VideoFrame`.

    Attributes:
        pts: When it is shown, in units of the time base.
        time_base: That.
        shape: Width, height and FFmpeg's name of the pixel format.
        is_corrupt: Whether the decoder repaired it.
        key_frame: Whether decoding can begin here.
    """

    pts: int | None
    time_base: Fraction
    shape: tuple[int, int, str]
    is_corrupt: bool
    key_frame: bool


class DecodingNotes:
    """What is noted of the packets since the last chunk."""

    def __init__(self) -> None:
        self._packets: dict[int, _Notes] = {}
        self._keys: list[int] = []
        self._latest = 0

    def key(self, number: int) -> None:
        """Note a packet with which decoding can begin."""
        self._keys.append(number)

    def failure(self, number: int) -> None:
        """Note a packet that cannot be decoded."""
        self._packets.setdefault(number, []).append(None)

    def frame(self, number: int, frame: av.VideoFrame) -> None:
        """Note a frame that came with a packet."""
        self._packets.setdefault(number, []).append(_note(frame))
        self._latest = number

    def take(self) -> bytes:
        """The notes up to the latest frame, which is left out: the next ones begin with it."""
        latest = self._packets[self._latest].pop()
        notes = {"end": self._latest, "keys": self._keys, "packets": list(self._packets.items())}
        self._packets, self._keys = {self._latest: [latest]}, []
        return zlib.compress(json.dumps(notes).encode())


def check_notes(data: bytes) -> None:
    """Raise `ValueError` for damaged notes."""
    try:
        json.loads(zlib.decompress(data))
    except zlib.error as error:
        raise ValueError(str(error)) from error


class _PastNotes:
    """The notes of all finished chunks, read one chunk at a time.

    Args:
        chunks: What gives the notes of each chunk.

    Attributes:
        begin: Number of the packet to begin decoding with; 0 where there is none before the end.
        end: Number of the packet with which the notes end; further frames may come with it.
    """

    def __init__(self, chunks: Sequence[Callable[[], bytes]]) -> None:
        self._chunks = chunks
        self._packets: dict[int, _Notes] = {}
        self._read = 0
        self._complete = 0  # packets before this one have all their notes
        self.begin = self._place_to_begin()
        self.end: int = self._parsed(len(chunks) - 1)["end"]

    def _parsed(self, chunk: int) -> Any:
        return json.loads(zlib.decompress(self._chunks[chunk]()))

    def _place_to_begin(self) -> int:
        """The last key frame with enough frames after it."""
        numbers: list[int] = []  # for each frame, that of its packet
        for chunk in reversed(range(len(self._chunks))):
            parsed = self._parsed(chunk)
            for number, notes in parsed["packets"]:
                frames = [note for note in notes if note is not None]
                if any(pts is None for pts, *_ in frames):
                    return 0
                numbers += [number] * len(frames)
            for key in reversed(parsed["keys"]):
                if sum(number >= key for number in numbers) >= _LEAST_COMPARED:
                    return int(key)
        return 0

    def of(self, number: int) -> _Notes:
        """The notes of a packet; packets are asked for in order."""
        while number >= self._complete and self._read < len(self._chunks):
            parsed = self._parsed(self._read)
            self._read += 1
            self._complete = parsed["end"]
            for known, notes in parsed["packets"]:
                notes = [None if note is None else tuple(note) for note in notes]
                self._packets.setdefault(known, []).extend(notes)
            self._packets = {known: n for known, n in self._packets.items() if known >= number}
        return self._packets.get(number, [])


class PacketDecoder:
    """Decodes the packets of one track, in order.

    Args:
        context: Decodes them (PyAV codec context).
        again: Opens the file once more: a codec context, and the packets from the first one on.

    Attributes:
        decoded: Packets that were given to a decoder.
    """

    def __init__(self, context: Any, again: Callable[[], tuple[Any, Iterator[Any]]]) -> None:
        self.decoded = 0
        self._context, self._again = context, again
        self._number = 0  # of the latest packet, counted from 1
        self._notes: DecodingNotes | None = DecodingNotes()
        self._past: _PastNotes | None = None
        self._expected: _Notes = []
        self._found: _Notes = []
        self._from: int | None = None  # timestamp of the key frame to compare from

    def begin(self, past: Sequence[Callable[[], bytes]] | None) -> None:
        """Say what is wanted, once the first frame is there.

        Args:
            past: What gives the notes of each finished chunk; None where no notes are wanted.
        """
        if past is None:
            self._notes = None
        elif past:
            notes = _PastNotes(past)
            if notes.begin > self._number:
                self._past, self._notes = notes, None

    def take_notes(self) -> bytes | None:
        """See `DecodingNotes.take`; None where none are made."""
        return None if self._notes is None else self._notes.take()

    def decode(self, packet: Any) -> Iterator[Any]:
        """The frames that come with a packet, `av.VideoFrame` or `PastFrame`.

        Raises:
            av.error.FFmpegError: The packet cannot be decoded.
        """
        self._number += 1
        if self._past is not None:
            return self._go_on(self._past, packet)
        if self._notes is not None and packet.is_keyframe:
            self._notes.key(self._number)
        try:
            frames = self._really(packet)
        except av.error.FFmpegError:
            if self._notes is not None:
                self._notes.failure(self._number)
            raise
        return self._new(frames)

    def _really(self, packet: Any) -> list[av.VideoFrame]:
        self.decoded += 1
        frames: list[av.VideoFrame] = self._context.decode(packet)
        return frames

    def _new(self, frames: list[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        for frame in frames:
            if self._notes is not None:
                self._notes.frame(self._number, frame)
            yield frame

    def _go_on(self, past: _PastNotes, packet: Any) -> Iterator[Any]:
        """The frames of a packet of the earlier run."""
        notes = past.of(self._number)
        frames: list[av.VideoFrame] = []
        if self._number >= past.begin:
            frames = self._compared(notes, packet, first=self._number == past.begin)
        repeated = [_past_frame(note, packet) for note in notes if note is not None]
        if self._number == past.end:
            if not self._agrees(notes, frames):
                frames = self._from_the_beginning()
            frames = frames[len(notes) :]
            self._past, self._notes = None, DecodingNotes()
            return itertools.chain(repeated, self._new(frames))
        if None in notes:
            raise av.error.InvalidDataError(0, "as in the earlier run")
        return iter(repeated)

    def _compared(self, notes: _Notes, packet: Any, *, first: bool) -> list[av.VideoFrame]:
        """Decode a packet, and keep what came and what came in the earlier run."""
        if first:
            self._context.flush_buffers()
            self._from = packet.pts
        try:
            frames = self._really(packet)
        except av.error.FFmpegError:
            frames = []
            self._found.append(None)
        # Frames shown before the key frame refer to others, which are not there.
        self._found += [note for note in map(_note, frames) if self._is_known(note)]
        self._expected += [note for note in notes if note is None or self._is_known(note)]
        return frames

    def _is_known(self, note: _Note) -> bool:
        return self._from is None or (note[0] is not None and note[0] >= self._from)

    def _agrees(self, notes: _Notes, frames: list[av.VideoFrame]) -> bool:
        """Whether the decoder is where it was, with the last packet of the notes."""
        count = len(self._expected)
        last = [*map(_note, frames)]
        return (
            count >= _LEAST_COMPARED
            and self._found[:count] == self._expected
            and all(note is None or note[-1] is not None for note in self._expected)
            and len(last) > len(notes)
            and last[: len(notes)] == notes
        )

    def _from_the_beginning(self) -> list[av.VideoFrame]:
        """Decode all packets up to the present one; the frames that came with that."""
        self._context, packets = self._again()
        frames: list[av.VideoFrame] = []
        for packet in itertools.islice(packets, self._number):
            try:
                frames = self._really(packet)
            except av.error.FFmpegError:
                frames = []
        return frames


def _past_frame(note: _Note, packet: Any) -> PastFrame:
    pts, flags, width, height, name, _ = note
    base = packet.time_base
    return PastFrame(pts, base, (width, height, name), bool(flags & _CORRUPT), bool(flags & _KEY))


def _note(frame: av.VideoFrame) -> _Note:
    flags = _CORRUPT * bool(frame.is_corrupt) + _KEY * bool(frame.key_frame)
    return (frame.pts, flags, frame.width, frame.height, frame.format.name, _checksum(frame))


def _checksum(frame: av.VideoFrame) -> int | None:
    """Of what is seen of a frame; None for formats with a palette."""
    parts = frame.format
    if parts.has_palette:
        return None
    checksum = 0
    for index, plane in enumerate(frame.planes):
        if parts.is_planar:
            held = [part for part in parts.components if part.plane == index]
            width = plane.width * sum((part.bits + 7) // 8 for part in held)
        else:
            width = (frame.width * parts.padded_bits_per_pixel + 7) // 8
        if not 0 < width <= plane.line_size:
            return None
        rows: NDArray[np.uint8] = np.ndarray(
            (plane.height, width),
            np.uint8,
            buffer=plane,  # type: ignore[arg-type]  # av.Plane supports the buffer protocol
            strides=(plane.line_size, 1),
        )
        checksum = zlib.crc32(np.ascontiguousarray(rows).data, checksum)
    return checksum
