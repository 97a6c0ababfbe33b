"""Videos as folders of numbered pictures, in and out."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from srsdk.errors import InputError, VideoError
from srsdk.video.colour import Colour
from srsdk.video.info import Frame, VideoInfo
from srsdk.video.opening import reason
from srsdk.video.orientation import Orientation
from srsdk.video.samples import FrameBuffer, Samples
from srsdk.video.source import PlainOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from srsdk.types import Pixels
    from srsdk.video.damage import Damage
    from srsdk.video.picture import EncodedPacket


_NO_PIXELS: Pixels = np.empty((0, 0, 3), np.uint8)


class PictureReader:
    """Pictures as the frames of a video (`FrameSource`).

    Args:
        folder: What to call the source.
        paths: The pictures in order, at least one.
        decode: Reads one, as uint8 BGR `(H, W, 3)`, with alpha `(H, W, 4)`, or gray `(H, W)`.
        rate: Pictures per second.

    Raises:
        InputError: There is no picture, it cannot be read, or `rate` is not positive.
    """

    def __init__(
        self,
        folder: Path,
        paths: Sequence[Path],
        decode: Callable[[Path], Pixels],
        rate: Fraction,
    ) -> None:
        if not paths:
            raise InputError(f"folder {folder} holds no pictures")
        if rate <= 0:
            raise InputError(f"{rate} pictures per second: give a positive rate")
        self.path = folder
        self.repaired_timestamps = 0
        self.section: tuple[float, float | None] = (0.0, None)
        self._paths, self._decode = list(paths), decode
        first, alpha = self._parts(self._paths[0])
        height, width = first.shape[:2]
        samples = Samples(8, alpha=alpha is not None)
        self.info = VideoInfo(
            path=folder,
            width=width,
            height=height,
            time_base=1 / rate,
            rate=rate,
            frames=len(paths),
            duration=float(len(paths) / rate),
            codec="pictures",
            pixel_format="bgr24",
            colour=Colour(primaries=1, transfer=13),  # sRGB
            orientation=Orientation(),
            sample_aspect_ratio=Fraction(1),
            samples=samples,
        )

    def _parts(self, path: Path) -> tuple[Pixels, Pixels | None]:
        """BGR, and transparency where there is some."""
        pixels = self._decode(path)
        if pixels.ndim == 2:
            return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), None  # type: ignore[return-value]
        if pixels.shape[2] == 4:
            return np.ascontiguousarray(pixels[..., :3]), pixels[..., 3].copy()
        return pixels, None

    @property
    def warnings(self) -> list[str]:
        """None: pictures are whole or refused."""
        return []

    @property
    def damage(self) -> list[Damage]:
        """None: pictures are whole or refused."""
        return []

    def take_notes(self) -> None:
        """Nothing is needed to go on."""

    def read(
        self, *, skip: int = 0, past: Sequence[Callable[[], bytes]] | None = None
    ) -> Iterator[Frame]:
        """The pictures in order, the first `skip` without pixels.

        Raises:
            VideoError: A picture is damaged, or not of the first one's size.
        """
        expected = (self.info.height, self.info.width)
        for number, path in enumerate(self._paths):
            if number < skip:
                yield Frame(_NO_PIXELS, number, 1, key=number == 0)
                continue
            try:
                pixels, alpha = self._parts(path)
            except InputError as error:
                raise VideoError(str(error)) from error
            if pixels.shape[:2] != expected:
                size = f"{pixels.shape[1]}x{pixels.shape[0]}"
                raise VideoError(
                    f"{path} is {size} and the first picture {expected[1]}x{expected[0]}; "
                    "a video has one size: enhance the folder into a folder instead"
                )
            if alpha is not None and not self.info.samples.alpha:
                raise VideoError(
                    f"{path} has transparency and the first picture has none; flatten it first"
                )
            yield Frame(pixels, number, 1, key=number == 0, alpha=alpha)

    def close(self) -> None:
        """Nothing is open between two pictures."""

    def __enter__(self) -> PictureReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class PictureWriter(PlainOutput):
    """Writes each frame as one picture (`FrameOutput`); the folder appears when whole.

    Args:
        pattern: For instance frames/%06d.png; the folder must be new, or empty.
        frame_size: Width and height of the frames given.
        size: Width and height of the pictures.
        write: Writes one picture, uint8 BGR `(H, W, 3)`.

    Raises:
        VideoError: The folder cannot be written without losing pictures.
    """

    def __init__(
        self,
        pattern: Path,
        frame_size: tuple[int, int],
        size: tuple[int, int],
        write: Callable[[Path, Pixels], None],
    ) -> None:
        self.frame_size = frame_size
        self._pattern, self._size, self._write = pattern, size, write
        self._count = 0
        self._folder = pattern.parent
        if self._folder.exists() and any(self._folder.iterdir()):
            raise VideoError(f"{self._folder} is not empty; choose a new folder for the pictures")
        name = f".{self._folder.name[:80]}.{uuid.uuid4().hex[:8]}.part"
        self._part = self._folder.parent / name
        try:
            self._part.mkdir()
        except OSError as error:
            raise VideoError(f"{self._folder} cannot be made ({reason(error)})") from error

    def encode(
        self, frame: FrameBuffer | Pixels, pts: int, duration: int = 0
    ) -> list[EncodedPacket]:
        """Write one picture."""
        pixels = frame.pixels if isinstance(frame, FrameBuffer) else frame
        if self._size != self.frame_size:
            pixels = cv2.resize(pixels, self._size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        self._count += 1
        self._write(self._part / (self._pattern.name % self._count), pixels)
        return []

    def finish(self) -> None:
        """Nothing more to write."""

    def publish(self) -> None:
        """Give the folder its name.

        Raises:
            VideoError: It cannot be renamed.
        """
        try:
            if self._folder.exists():
                self._folder.rmdir()  # empty, as it was before
            self._part.replace(self._folder)
        except OSError as error:
            raise VideoError(f"{self._folder} cannot be written ({reason(error)})") from error

    def abort(self) -> None:
        """Leave nothing behind."""
        with contextlib.suppress(OSError):
            shutil.rmtree(self._part, ignore_errors=True)
