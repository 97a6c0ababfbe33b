"""What pixels hold beyond 8-bit BGR, more bits and transparency, and how results get it back.

Generators work on 8-bit BGR. Of a video with more bits, the input in all its bits is enlarged
(bicubic), and what the generator changed is added: the difference between its result and the
enlarged 8-bit input. Differences of up to one 8-bit level are left out, since rounding makes them
too; larger ones are shrunk a little, by the non-negative garrote (Gao, 1998), so that nothing jumps
there. So smooth areas keep the fine steps of the input, and where the generator draws detail, that
detail is exact to an 8-bit level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    import av
    from numpy.typing import NDArray

    from srsdk.types import Pixels
    from srsdk.video.info import Frame

#: Units of 16-bit BGR in one level of 8 bits.
LEVEL = 256
#: White in 16-bit BGR, as FFmpeg's scaler wants it: 255 levels.
WHITE = 255 * LEVEL

_LAYOUTS = {(False, False): "bgr24", (False, True): "bgra", (True, False): "bgr48le"}
# Rows at a time, so that what is computed stays in the cache.
_ROWS = 16


@dataclass(frozen=True)
class Samples:
    """What a pixel holds.

    Attributes:
        bits: Bits of a component, at least 8.
        alpha: Whether there is transparency.
    """

    bits: int = 8
    alpha: bool = False

    @classmethod
    def of(cls, pixel_format: av.VideoFormat) -> Samples:
        """What a pixel format of FFmpeg holds."""
        parts = pixel_format.components
        alpha = pixel_format.has_palette or any(part.is_alpha for part in parts)
        return cls(max(8, *(part.bits for part in parts)), alpha)

    @property
    def is_deep(self) -> bool:
        """Whether 8 bits are too few."""
        return self.bits > 8

    @property
    def layout(self) -> str:
        """The packed BGR format of FFmpeg that holds it."""
        return _LAYOUTS.get((self.is_deep, self.alpha), "bgra64le")


PLAIN = Samples()
"""8-bit BGR without transparency."""


class FrameBuffer:
    """A packed frame in FFmpeg's memory that NumPy sees too, so that neither side copies.

    Attributes:
        samples: `(height, width, 3 or 4)` BGR or BGRA, uint8 or, of 16-bit formats, uint16; rows
            may be padded.
        frame: The same memory as FFmpeg takes it.
    """

    def __init__(self, frame: av.VideoFrame) -> None:
        plane, layout = frame.planes[0], frame.format.name
        kind = np.dtype(np.uint8 if layout in ("bgr24", "bgra") else np.uint16)
        channels = 4 if layout.startswith("bgra") else 3
        self.frame = frame
        self.samples: NDArray[Any] = np.ndarray(
            (frame.height, frame.width, channels),
            kind,
            buffer=plane,  # type: ignore[arg-type]  # av.Plane supports the buffer protocol
            strides=(plane.line_size, channels * kind.itemsize, kind.itemsize),
        )

    @property
    def pixels(self) -> Pixels:
        """Of a bgr24 frame: `(height, width, 3)` uint8 BGR; rows may be padded."""
        return self.samples

    @classmethod
    def empty(cls, width: int, height: int, layout: str = "bgr24") -> FrameBuffer:
        """A new buffer whose content is undefined."""
        import av

        return cls(av.VideoFrame(width, height, layout))


@dataclass(frozen=True)
class Parts:
    """A frame taken apart.

    Attributes:
        pixels: `(H, W, 3)` uint8 BGR.
        deep: The same in all bits, uint16, `LEVEL` units for a level of 8 bits; None where 8 bits
            hold all.
        alpha: `(H, W)` uint8, 255 is opaque; None where all is.
    """

    pixels: Pixels
    deep: NDArray[np.uint16] | None = None
    alpha: NDArray[np.uint8] | None = None


def take_apart(frame: av.VideoFrame, white: int) -> Parts:
    """The parts of a frame in one of the formats of `Samples.layout`.

    Args:
        frame: The frame; the parts may be views of it.
        white: What white is in its 16 bits.
    """
    samples = FrameBuffer(frame).samples
    if samples.dtype == np.uint8 and samples.shape[2] == 3:
        return Parts(samples)
    colour = np.ascontiguousarray(samples[..., :3])
    alpha = samples[..., 3] if samples.shape[2] == 4 else None
    if samples.dtype == np.uint8:
        return Parts(colour, None, None if alpha is None else alpha.copy())
    if alpha is not None:
        alpha = (alpha >> 8).astype(np.uint8)
    if white != WHITE:
        colour = np.rint(colour * np.float32(WHITE / white)).astype(np.uint16)
    return Parts(cv2.convertScaleAbs(colour, alpha=1 / LEVEL), colour, alpha)  # type: ignore[arg-type]


class Composer:
    """Gives results back what their frames hold beyond 8-bit BGR.

    Args:
        frame_size: Width and height of the results.
        samples: What the output holds: more bits, or transparency, not both.
    """

    def __init__(self, frame_size: tuple[int, int], samples: Samples) -> None:
        self._buffer = None
        if samples != PLAIN:
            self._buffer = FrameBuffer.empty(*frame_size, samples.layout)

    def compose(self, frame: Frame, result: FrameBuffer) -> FrameBuffer:
        """What is to be encoded: `result` itself, or a buffer that the next call overwrites.

        Args:
            frame: The frame as it was read.
            result: What the generator made of `frame.pixels`, bgr24.
        """
        if self._buffer is None:
            return result
        out = self._buffer.samples
        if out.shape[2] == 3:
            deepen(frame, result.pixels, out)
            return self._buffer
        out[..., :3] = result.pixels
        height, width = out.shape[:2]
        if frame.alpha is None:
            out[..., 3] = 255
        else:
            out[..., 3] = cv2.resize(frame.alpha, (width, height), interpolation=cv2.INTER_CUBIC)
        return self._buffer


def deepen(frame: Frame, result: Pixels, out: NDArray[np.uint16]) -> None:
    """Enlarge a frame in all its bits, as its 8-bit part was enlarged.

    Args:
        frame: The frame as it was read.
        result: `(H, W, 3)` uint8 BGR, what the generator made of `frame.pixels`.
        out: `(H, W, 3)` uint16 BGR, `LEVEL` units for a level of 8 bits.
    """
    if frame.deep is None:
        np.multiply(result, LEVEL, out=out, dtype=np.uint16)
        return
    height, width = result.shape[:2]

    def enlarged(pixels: NDArray[Any]) -> NDArray[np.float32]:
        levels = pixels.astype(np.float32)
        large: NDArray[np.float32] = cv2.resize(  # type: ignore[assignment]
            levels, (width, height), interpolation=cv2.INTER_CUBIC
        )
        return large

    shallow, deep = enlarged(frame.pixels), enlarged(frame.deep)
    for top in range(0, height, _ROWS):
        rows = slice(top, top + _ROWS)
        change = result[rows] - shallow[rows]
        square = np.maximum(change * change, 1.0)
        change *= LEVEL * (1.0 - 1.0 / square)
        change += deep[rows]
        change += 0.5
        out[rows] = np.clip(change, 0, WHITE, out=change)
