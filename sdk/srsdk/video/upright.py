"""Decoded frames to upright BGR, all of the size of the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from srsdk.errors import VideoError
from srsdk.video.colour import Converter, is_opaque, refuse_unsupported
from srsdk.video.opening import time_of
from srsdk.video.samples import PLAIN, Parts, Samples, take_apart

if TYPE_CHECKING:
    from pathlib import Path

    import av

    from srsdk.video.colour import Colour
    from srsdk.video.orientation import Orientation
    from srsdk.video.replay import PastFrame

_MOST_CONVERTERS = 8

Shape = tuple[int, int, str]
"""Width, height and pixel format."""


class UprightFrames:
    """Converts the frames of one video.

    Args:
        path: The video, for messages.
        first: Its first frame.
        colour: Its colour.
        orientation: How to turn the frames.
        animation: Whether it is a GIF or the like, whose frames always have alpha: there the values
            of the first frame tell whether it is used.
        progressive: Take frames for whole ones although they are said to be interlaced.
        stops: Raise where a frame differs from the first in size or pixel format; else it is fitted
            to the first, as players do.

    Attributes:
        samples: What a pixel holds.
        resized: Frames so far that were fitted.
        resized_at: When the first of them is shown.

    Raises:
        VideoError: The first frame would come out wrong.
    """

    def __init__(
        self,
        path: Path,
        first: av.VideoFrame,
        colour: Colour,
        orientation: Orientation,
        *,
        animation: bool,
        progressive: bool,
        stops: bool,
    ) -> None:
        self._path, self._colour, self._orientation = path, colour, orientation
        self._progressive, self._stops = progressive, stops
        self._refuse(first)
        self._must_be_opaque = animation and is_opaque(first)
        self.samples = PLAIN if self._must_be_opaque else Samples.of(first.format)
        self.resized, self.resized_at = 0, ""
        self._white = colour.white(first.format)
        self._shape = _shape_of(first)
        self._convert = Converter.to_bgr(first, colour, layout=self.samples.layout)
        self._converters = {self._shape: self._convert}

    def _refuse(self, frame: av.VideoFrame) -> None:
        refuse_unsupported(frame, source=str(self._path), progressive=self._progressive)

    def check(self, frame: av.VideoFrame) -> Converter:
        """The conversion of a frame.

        Raises:
            VideoError: The frame would come out wrong.
        """
        if frame.interlaced_frame:
            self._refuse(frame)
        if self._must_be_opaque and not is_opaque(frame):
            raise VideoError(
                f"{self._path} becomes transparent at {time_of(frame)}, which would be lost; "
                "flatten it first: ffmpeg -i IN -pix_fmt yuv420p OUT"
            )
        shape = _shape_of(frame)
        if shape == self._shape:
            return self._convert
        if self._stops:
            raise VideoError(
                f"{self._path} changes its picture size or pixel format at {time_of(frame)}; "
                "re-encode it first: ffmpeg -i IN -c:a copy OUT"
            )
        self._refuse(frame)
        self.count(frame, shape)
        if shape not in self._converters:
            if len(self._converters) > _MOST_CONVERTERS:
                self._converters = {self._shape: self._convert}
            size = self._shape[0], self._shape[1]
            self._converters[shape] = Converter.to_bgr(
                frame, self._colour, size=size, layout=self.samples.layout
            )
        return self._converters[shape]

    def count(self, frame: av.VideoFrame | PastFrame, shape: Shape) -> None:
        """Count a frame that is not converted, should it differ from the first."""
        if shape != self._shape:
            self.resized_at = self.resized_at or time_of(frame)
            self.resized += 1

    def parts(self, frame: av.VideoFrame) -> Parts:
        """What a frame shows, upright.

        Raises:
            VideoError: The frame would come out wrong.
        """
        parts = take_apart(self.check(frame)(frame), self._white)
        turned = self._orientation.apply
        return Parts(
            turned(parts.pixels),
            None if parts.deep is None else turned(parts.deep),
            None if parts.alpha is None else turned(parts.alpha),
        )


def _shape_of(frame: av.VideoFrame) -> Shape:
    return frame.width, frame.height, frame.format.name
