"""Where frames come from and go to, as the pipeline sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from srsdk.video.samples import PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from srsdk.types import Pixels
    from srsdk.video.damage import Damage
    from srsdk.video.info import Frame, VideoInfo
    from srsdk.video.picture import EncodedPacket
    from srsdk.video.samples import FrameBuffer, Samples


class FrameSource(Protocol):
    """Gives the frames of one video in order: a file, a pipe, a folder of pictures."""

    info: VideoInfo
    path: Path
    repaired_timestamps: int
    section: tuple[float, float | None]

    @property
    def warnings(self) -> list[str]:
        """What a viewer of the frames read so far should know, one line each."""
        ...

    @property
    def damage(self) -> list[Damage]:
        """The damaged spots found so far."""
        ...

    def read(
        self, *, skip: int = 0, past: Sequence[Callable[[], bytes]] | None = None
    ) -> Iterator[Frame | Any]:
        """The frames, and packets of other tracks between them; see `VideoReader.read`."""
        ...

    def take_notes(self) -> bytes | None:
        """What a later run needs to go on with the latest frame; see `VideoReader`."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class FrameOutput(Protocol):
    """Takes the frames of one video in order; see `VideoWriter`, which has more to say."""

    @property
    def frame_size(self) -> tuple[int, int]:
        """Width and height of the frames given."""
        ...

    @property
    def samples(self) -> Samples:
        """What a pixel of the frames given holds."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What of the frames given the output does not show, one line each."""
        ...

    def encode(
        self, frame: FrameBuffer | Pixels, pts: int, duration: int = 0
    ) -> list[EncodedPacket]:
        """Take a frame; what of it must be kept in a job's folder."""
        ...

    def mux(self, packet: EncodedPacket) -> None:
        """Write what `encode` gave."""
        ...

    def mux_again(self, packet: EncodedPacket) -> None:
        """Write what `encode` gave in an earlier run."""
        ...

    def note(self, pts: int, duration: int) -> None:
        """Count a frame of an earlier run."""
        ...

    def end_chunk(self, next_pts: int | None = None) -> list[EncodedPacket]:
        """The rest of what must be kept of this chunk."""
        ...

    def copy(self, packet: Any) -> None:
        """Write a packet of another track."""
        ...

    def finish(self) -> None:
        """Complete the output, still under its temporary name."""
        ...

    def publish(self) -> None:
        """Give the output its name."""
        ...

    def abort(self) -> None:
        """Leave nothing behind."""
        ...


class PlainOutput:
    """The parts of `FrameOutput` that an output without packets has no use for."""

    samples = PLAIN
    warnings: tuple[str, ...] = ()

    def mux(self, packet: EncodedPacket) -> None:
        """Nothing: `encode` gives no packets."""

    def mux_again(self, packet: EncodedPacket) -> None:
        """Nothing: `encode` gives no packets."""

    def note(self, pts: int, duration: int) -> None:
        """Nothing: no job is gone on with."""

    def end_chunk(self, next_pts: int | None = None) -> list[EncodedPacket]:
        """No packets."""
        return []

    def copy(self, packet: Any) -> None:
        """Nothing: there are no other tracks."""
