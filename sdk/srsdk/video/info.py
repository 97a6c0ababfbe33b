"""What a video file holds, and what one frame of it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from srsdk.video.samples import PLAIN, Samples

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from srsdk.types import Pixels
    from srsdk.video.colour import Colour
    from srsdk.video.orientation import Orientation


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds.

    Attributes:
        path: The file.
        width: Width in pixels, after turning upright.
        height: Height in pixels, after turning upright.
        time_base: Unit of every timestamp, in seconds.
        rate: Average frames per second; None where the file gives none.
        frames: Number of frames as the container has it, or estimated; None when unknown.
        duration: Seconds; None when unknown.
        codec: Name of the video codec.
        pixel_format: FFmpeg's name of the stored pixel format.
        colour: Colour tags, with what the file leaves open filled in.
        orientation: What was done to the stored pixels to turn them upright.
        sample_aspect_ratio: Width of a pixel over its height, after turning upright.
        samples: What a pixel holds: bits, transparency.
    """

    path: Path
    width: int
    height: int
    time_base: Fraction
    rate: Fraction | None
    frames: int | None
    duration: float | None
    codec: str
    pixel_format: str
    colour: Colour
    orientation: Orientation
    sample_aspect_ratio: Fraction
    samples: Samples = PLAIN


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        pixels: `(H, W, 3)` uint8 BGR, upright; rows may be padded. Of no size where the reader was
            told to skip the frame.
        pts: When it is shown, in units of the stream's time base; strictly increasing.
        duration: How long, in the same unit; 0 where the file does not say.
        key: Whether decoding can begin here.
        deep: The same in all bits, `(H, W, 3)` uint16 BGR, 256 units for a level of 8 bits; None
            where 8 bits hold all.
        alpha: Transparency, `(H, W)` uint8, 255 is opaque; None where all is.
    """

    pixels: Pixels
    pts: int
    duration: int = 0
    key: bool = False
    deep: NDArray[np.uint16] | None = None
    alpha: NDArray[np.uint8] | None = None
