"""Timestamps of a file, put on one line that starts at zero and runs forward.

Recordings of broadcasts start anywhere, and where two were joined, or the sender was restarted,
their clock jumps. As players and FFmpeg do, what follows the jump is shown right after what
came before it.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

# FFmpeg's thresholds: a clock that goes on more than 10 s later, or earlier, is another clock.
_FORWARD = Fraction(10)
_BACKWARD = Fraction(1, 10)


class Timeline:
    """Moves the timestamps of packets; all tracks of a file share one clock.

    Args:
        origin: Seconds that are taken off every timestamp.
        continuous: Whether jumps are to be closed; only containers without an index have them.

    Attributes:
        jumps: Seconds, on the line, at which the file's clock jumped.
    """

    def __init__(self, origin: Fraction, *, continuous: bool) -> None:
        self.jumps: list[float] = []
        self._continuous = continuous
        self._offset = self._offset_before = -origin
        self._expected: dict[int, Fraction] = {}

    def place(self, packet: Any) -> None:
        """Move one packet (`av.Packet`), in the order of the file, in place."""
        base = Fraction(packet.time_base) if packet.time_base else None
        if base is None:
            return
        offset = self._offset
        if self._continuous and packet.dts is not None and packet.stream.type != "data":
            offset = self._choose(packet, base)
        if offset:
            shift = round(offset / base)
            packet.pts = None if packet.pts is None else packet.pts + shift
            packet.dts = None if packet.dts is None else packet.dts + shift

    def _choose(self, packet: Any, base: Fraction) -> Fraction:
        """The offset of this packet: the current one, the last, or a new one after a jump."""
        index, stored = packet.stream.index, packet.dts * base
        expected = self._expected.get(index)
        offset = self._offset
        if expected is not None and not _fits(stored + offset, expected):
            # Around a jump the tracks are interleaved: some packets still have the old clock.
            if _fits(stored + self._offset_before, expected):
                offset = self._offset_before
            else:
                latest = max(self._expected.values(), default=expected)
                self._offset_before, self._offset = offset, max(latest, expected) - stored
                offset = self._offset
                self.jumps.append(float(stored + offset))
        step = (packet.duration or 0) * base
        self._expected[index] = stored + offset + step
        return offset


def _fits(time: Fraction, expected: Fraction) -> bool:
    return -_BACKWARD <= time - expected <= _FORWARD
