"""Frames from stdin and to stdout: YUV4MPEG2, which says what it holds, and raw pixels."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import av
import av.error
import numpy as np

from srsdk.errors import InputError, VideoError
from srsdk.video.colour import Colour, Converter
from srsdk.video.info import Frame, VideoInfo
from srsdk.video.opening import reason
from srsdk.video.orientation import Orientation
from srsdk.video.samples import PLAIN, FrameBuffer, Samples
from srsdk.video.source import PlainOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from srsdk.types import Pixels
    from srsdk.video.damage import Damage
    from srsdk.video.picture import EncodedPacket

STANDARD = Path("-")


@dataclass(frozen=True)
class RawVideo:
    """What raw pixels cannot say of themselves.

    Attributes:
        width: Width of a frame.
        height: Height of a frame.
        rate: Frames per second.
        order: "bgr" or "rgb".
    """

    width: int
    height: int
    rate: Fraction
    order: str = "bgr"


class RawReader:
    """Raw 8-bit frames, three bytes a pixel, one after another (`FrameSource`).

    Args:
        file: Where they come from.
        raw: What they are.
    """

    def __init__(self, file: BinaryIO, raw: RawVideo) -> None:
        if raw.width < 1 or raw.height < 1 or raw.rate <= 0:
            raise InputError(f"raw frames of {raw.width}x{raw.height} at {raw.rate} a second")
        self.path = STANDARD
        self.repaired_timestamps = 0
        self.section: tuple[float, float | None] = (0.0, None)
        self._file, self._raw = file, raw
        self.info = VideoInfo(
            path=STANDARD,
            width=raw.width,
            height=raw.height,
            time_base=1 / raw.rate,
            rate=raw.rate,
            frames=None,
            duration=None,
            codec="rawvideo",
            pixel_format=f"{raw.order}24",
            colour=Colour(),
            orientation=Orientation(),
            sample_aspect_ratio=Fraction(1),
        )

    @property
    def warnings(self) -> list[str]:
        """None."""
        return []

    @property
    def damage(self) -> list[Damage]:
        """None."""
        return []

    def take_notes(self) -> None:
        """Nothing is needed to go on."""

    def read(
        self, *, skip: int = 0, past: Sequence[Callable[[], bytes]] | None = None
    ) -> Iterator[Frame]:
        """The frames in order, all of them: a pipe cannot be gone on with.

        Raises:
            VideoError: The last frame is not whole.
        """
        shape = (self._raw.height, self._raw.width, 3)
        size = int(np.prod(shape))
        number = 0
        while data := self._file.read(size):
            if len(data) < size:
                raise VideoError(
                    f"the raw input ends within frame {number + 1}: it has {len(data)} of {size} "
                    "bytes; check the size of its frames"
                )
            pixels = np.frombuffer(data, np.uint8).reshape(shape)
            if self._raw.order == "rgb":
                pixels = np.ascontiguousarray(pixels[..., ::-1])
            yield Frame(pixels, number, 1, key=number == 0)
            number += 1

    def close(self) -> None:
        """The file belongs to the caller."""


class RawWriter(PlainOutput):
    """Writes frames as raw BGR or RGB bytes (`FrameOutput`).

    Args:
        file: Where they go.
        frame_size: Width and height of the frames given.
        order: "bgr" or "rgb".
    """

    def __init__(self, file: BinaryIO, frame_size: tuple[int, int], order: str = "bgr") -> None:
        self.frame_size = frame_size
        self._file, self._order = file, order

    def encode(
        self, frame: FrameBuffer | Pixels, pts: int, duration: int = 0
    ) -> list[EncodedPacket]:
        """Write one frame."""
        pixels = frame.pixels if isinstance(frame, FrameBuffer) else frame
        shown = pixels if self._order == "bgr" else pixels[..., ::-1]
        self._file.write(np.ascontiguousarray(shown).data)
        return []

    def finish(self) -> None:
        """Hand over what is buffered."""
        self._file.flush()

    def publish(self) -> None:
        """A pipe has no name."""

    def abort(self) -> None:
        """What is in a pipe cannot be taken back."""


class Y4mWriter(PlainOutput):
    """Writes frames as YUV4MPEG2 (`FrameOutput`), which has a constant frame rate and no sound.

    Args:
        file: Where they go.
        frame_size: Width and height of the frames given.
        size: Width and height of the video.
        rate: Frames per second.
        colour: Matrix and range to convert to.
        pixel_format: For instance yuv420p.
        samples: What a pixel of the frames given holds.
        time_base: Unit of the frames' timestamps, in seconds; None for one frame each.
    """

    def __init__(
        self,
        file: BinaryIO,
        frame_size: tuple[int, int],
        size: tuple[int, int],
        rate: Fraction,
        colour: Colour,
        pixel_format: str = "yuv420p",
        samples: Samples = PLAIN,
        time_base: Fraction | None = None,
    ) -> None:
        self.frame_size = frame_size
        self._unit, self._first = time_base or 1 / rate, 0
        self.samples = samples
        self._file, self._base = file, 1 / rate
        try:
            # More than 8 bits are an extension of the format, which FFmpeg wants to be told.
            self._container: Any = av.open(
                file, "w", format="yuv4mpegpipe", container_options={"strict": "unofficial"}
            )
            self._stream: Any = self._container.add_stream("rawvideo", rate=rate)
            self._stream.width, self._stream.height = size
            self._stream.pix_fmt = pixel_format
            self._stream.codec_context.color_range = 2 if colour.full_range else 1
            self._convert = Converter.from_bgr(
                *frame_size,
                pixel_format,
                colour,
                size=None if size == frame_size else size,
                layout=samples.layout,
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise VideoError(
                f"no YUV4MPEG2 of {size[0]}x{size[1]} in {pixel_format} can be written "
                f"({reason(error)}); choose another pixel format or size"
            ) from error
        self._count = 0

    def encode(
        self, frame: FrameBuffer | Pixels, pts: int, duration: int = 0
    ) -> list[EncodedPacket]:
        """Write one frame."""
        if not isinstance(frame, FrameBuffer):
            buffer = FrameBuffer.empty(*self.frame_size)
            np.copyto(buffer.pixels, frame)
            frame = buffer
        self._first = pts if self._count == 0 else self._first
        late = (pts - self._first) * self._unit - self._count * self._base
        if abs(late) > self._base and not self.warnings:
            self.warnings = (
                f"its frames are not evenly spaced from {float(pts * self._unit):.2f} s on; "
                f"YUV4MPEG2 shows {float(1 / self._base):g} of them a second",
            )
        converted = self._convert(frame.frame)
        converted.pts = self._count
        converted.time_base = self._base
        self._count += 1
        self._container.mux(self._stream.encode(converted))
        return []

    def finish(self) -> None:
        """Hand over what is buffered."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._file.flush()

    def publish(self) -> None:
        """A pipe has no name."""

    def abort(self) -> None:
        """What is in a pipe cannot be taken back."""
