"""What makes frames larger, as the pipeline sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from srsdk.types import Future, Pixels


class FrameProcessor(Protocol):
    """What makes frames larger; called with one frame at a time, in order, from one thread."""

    @property
    def scale(self) -> int:
        """Size of the result over the size of the frame."""
        ...

    def __call__(self, frame: Pixels, out: Pixels | None = None) -> Pixels:
        """Upscale one frame.

        Args:
            frame: `(H, W, 3)` uint8 BGR; rows may be padded. Must not be modified.
            out: `(scale*H, scale*W, 3)` uint8 to write into; rows may be padded. A processor may
                ignore it and return an array of its own, at the price of a copy.

        Returns:
            The result, `out` or another array of that shape.
        """
        ...


@runtime_checkable
class FrameQueue(FrameProcessor, Protocol):
    """A processor that takes frames while others are in flight, as `UpscalerStream` on a GPU."""

    @property
    def in_flight(self) -> int:
        """Frames that it can have at a time, at least 1."""
        ...

    def submit(self, frame: Pixels, out: Pixels | None = None) -> Future:
        """Start upscaling a frame; `frame` and `out` are left alone until its result is there."""
        ...


@runtime_checkable
class RememberingProcessor(FrameProcessor, Protocol):
    """A processor whose result depends on the frames before, as that of tracked faces does."""

    def state(self) -> bytes:
        """What it remembers of the frames whose results are there."""
        ...

    def restore(self, state: bytes) -> None:
        """Go on as the processor that `state` came from."""
        ...
