"""Writes a video: frames at their own times, the other tracks as they are; whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
import numpy as np

from srsdk.errors import InputError, SrsdkError, VideoError
from srsdk.files import part_path
from srsdk.video.colour import Colour
from srsdk.video.conversion import TrackOptions
from srsdk.video.encoding import HARDWARE, HEVC, EncodeOptions, container_options
from srsdk.video.muxing import REFUSALS, open_output
from srsdk.video.opening import reason
from srsdk.video.picture import (
    GLOBAL_HEADER,
    EncodedPacket,
    PictureEncoder,
    PictureFormat,
    reordering,
)
from srsdk.video.samples import PLAIN, FrameBuffer, Samples
from srsdk.video.target import check_size, check_target
from srsdk.video.tracks import OutputTracks, TrackPlan, clean_metadata, set_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from srsdk.types import Pixels
    from srsdk.video.reader import VideoReader


_DISK_ERRORS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EIO,
    errno.EFBIG,
)


class VideoWriter:
    """Writes one video file under a temporary name and renames it when it is whole.

    Use it as a context manager: leaving it normally finishes and publishes the file, leaving it by
    any exception, Ctrl-C included, removes every trace. The header is written at once, so that
    what the format cannot hold is refused before any work is done.

    Times are kept as given. Matroska has none before zero: where sound or decoding starts earlier,
    everything in that file is later by the same few milliseconds.

    Args:
        path: The output; its ending (.mp4, .m4v, .mov, .mkv, .webm) chooses the format.
        width: Width of the output.
        height: Height of the output.
        time_base: Unit of the frames' timestamps, in seconds.
        rate: Nominal frames per second, a hint only.
        colour: Colour of the output: matrix and range to convert to, and all tags; None for BT.709.
        sample_aspect_ratio: Width of a pixel over its height; None for square ones.
        options: How to encode; None for the defaults of the format.
        frame_size: Width and height of the frames given, which are resized to the output's; None
            for the same.
        template: Reader whose sound, subtitles, chapters and metadata go along.
        tracks: What becomes of those; None copies them.
        overwrite: Replace a file that is there already.
        temporary: The name until then, on the same disk; None for a hidden one beside `path`.
        samples: What a pixel of the frames given to `encode` holds; other than plain ones are
            `FrameBuffer`s in its layout.

    Attributes:
        path: The output.
        width: Width of the output.
        height: Height of the output.
        frame_size: Width and height of the frames given.
        samples: What a pixel of these holds.
        frames: Frames given to `write`.
        tracks: What becomes of the tracks beside the picture; None without a template.
        warnings: None so far.

    Raises:
        VideoError: The output exists, its folder is missing or not writable, or its format cannot
            hold the codec, the picture's size or one of the copied tracks.
        InputError: The encoder does not take these options.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        width: int,
        height: int,
        time_base: Fraction,
        *,
        rate: Fraction | None = None,
        colour: Colour | None = None,
        sample_aspect_ratio: Fraction | None = None,
        options: EncodeOptions | None = None,
        frame_size: tuple[int, int] | None = None,
        template: VideoReader | None = None,
        tracks: TrackPlan | None = None,
        overwrite: bool = False,
        temporary: Path | None = None,
        samples: Samples = PLAIN,
    ) -> None:
        self.path = Path(path)
        self.width, self.height = width, height
        self.frame_size = frame_size or (width, height)
        self.samples = samples
        self.frames = 0
        self.warnings: tuple[str, ...] = ()
        self._own: FrameBuffer | None = None
        self._closed = False
        self._kind = kind = check_target(self.path, overwrite=overwrite)
        options = options or EncodeOptions.for_format(kind)
        self._options = options = options.fitted(samples, self.path, "the input")
        check_size(self.path, width, height, options)
        self._stored = PictureFormat(
            width,
            height,
            time_base,
            rate or Fraction(25),
            colour or Colour(),
            sample_aspect_ratio or Fraction(1),
            options,
            samples,
        )
        if template is not None and tracks is None:
            tracks = TrackPlan(template, self.path, kind, TrackOptions())
        self.tracks = tracks
        self._temporary = temporary or _reserve(self.path)
        try:
            metadata = template.container.metadata if template is not None else {}
            self._container: Any = open_output(
                self._temporary,
                kind,
                self._settings(kind, metadata),
                through_tee=tracks is not None and tracks.through_tee,
            )
            self._stream = self._add_video()
            self._side: OutputTracks | None = None
            if template is not None and tracks is not None:
                self._side = OutputTracks(self._container, self._stream, template, tracks, kind)
            self._start()
            delay = reordering(self._stream.codec_context)
            self._encoder = PictureEncoder(
                self._stored, self.frame_size, delay, lead=kind in ("mp4", "mov")
            )
        except BaseException:
            self.abort()
            raise

    def _settings(self, kind: str, metadata: Mapping[str, str]) -> dict[str, str]:
        """The muxer's options."""
        return container_options(kind, clean_metadata(metadata))

    def _add_video(self) -> Any:
        """The picture's track; its encoder makes the header and is given no frames."""
        codec = self._options.codec
        try:
            stream: Any = self._container.add_stream(codec, rate=self._stored.rate)
        except ValueError as error:  # FFmpeg here lacks the codec, or the format does
            if "support" in str(error):
                other = "libvpx-vp9" if self.path.suffix.lower() == ".webm" else "libx264"
                text = f'{self.path.suffix} files cannot hold {codec}; choose codec="{other}"'
                raise VideoError(f"{text}, or name the output .mkv") from error
            needs = f", which needs {HARDWARE[codec]}" if codec in HARDWARE else ""
            raise VideoError(
                f"FFmpeg here has no encoder {codec}{needs}; choose another, for instance "
                'codec="libx264"'
            ) from error
        if codec == "libsvtav1":
            os.environ.setdefault("SVT_LOG", "1")  # else it writes pages on stderr
        self._stored.configure(stream.codec_context)
        stream.codec_context.flags |= GLOBAL_HEADER
        if self.samples.alpha:
            stream.metadata["alpha_mode"] = "1"
        if self._container.format.name in ("mp4", "mov") and codec in HEVC:
            stream.codec_context.codec_tag = "hvc1"  # Apple's players take no "hev1"
        return stream

    def _start(self) -> None:
        try:
            self._container.start_encoding()
        except REFUSALS as error:
            if self._options.codec in HARDWARE:
                raise VideoError(
                    f"{self._options.codec} cannot be used here ({reason(error)}): it needs "
                    f'{HARDWARE[self._options.codec]}; choose codec="libx264"'
                ) from error
            if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
                raise self._failure(error) from error
            given = ", ".join(f"{name} {it}" for name, it in self._options.settings().items())
            raise VideoError(
                f"{self.path} cannot be started ({reason(error)}); check whether "
                f"{self._options.codec} takes {given} and {self._options.pixel_format}, or "
                f"{self.path.suffix} the tracks"
            ) from error

    def _failure(self, error: BaseException) -> VideoError:
        return VideoError(
            f"{self.path} cannot be written ({reason(error)}); "
            "check the free space and the permissions of its folder"
        )

    def write(self, frame: FrameBuffer | Pixels, pts: int, duration: int = 0) -> None:
        """Encode one frame and write what is ready.

        Args:
            frame: uint8 BGR of `frame_size`, any strides; as a `FrameBuffer` it is not copied,
                and may be written to again as soon as this returns.
            pts: When it is shown, in units of the time base; must increase.
            duration: How long, in the same unit; 0 leaves it to the next frame.

        Raises:
            InputError: Wrong size or type.
            VideoError: Writing failed, for instance on a full disk.
        """
        for packet in self.encode(frame, pts, duration):
            self.mux(packet)

    def encode(
        self, frame: FrameBuffer | Pixels, pts: int, duration: int = 0
    ) -> list[EncodedPacket]:
        """The first half of `write`: the packets that are ready, for `mux`."""
        if not isinstance(frame, FrameBuffer):
            frame = self._copy(frame)
        self.frames += 1
        with self._failing():
            return list(self._encoder.encode(frame, pts, duration))

    def end_chunk(self, next_pts: int | None = None) -> list[EncodedPacket]:
        """Drain the encoder; what follows does not depend on what came before.

        Args:
            next_pts: When the next frame is shown; None for the end of the video.

        Returns:
            The rest of the packets, for `mux`.
        """
        with self._failing():
            return list(self._encoder.end_chunk(next_pts))

    def note(self, pts: int, duration: int) -> None:
        """Count a frame whose packet comes by `mux_again`."""
        self.frames += 1
        self._encoder.note(pts, duration)

    def mux_again(self, packet: EncodedPacket) -> None:
        """Write a packet that an earlier run encoded, of a frame given to `note`."""
        self._encoder.skip(packet)
        self.mux(packet)

    def mux(self, packet: EncodedPacket) -> None:
        """The second half of `write`: write one packet.

        Raises:
            VideoError: Writing failed, for instance on a full disk.
        """
        stored = packet.to_packet()
        stored.stream = self._stream
        stored.time_base = self._stored.time_base
        set_duration(stored, packet.duration)
        with self._failing():
            self._container.mux_one(stored)

    def copy(self, packet: Any) -> None:
        """Write a packet of the template's reader (`VideoReader.read`) to its track.

        Raises:
            VideoError: Writing failed, for instance on a full disk.
        """
        if self._side is None:
            return
        with self._failing():
            self._side.mux(packet)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """Raise what FFmpeg raises as `VideoError`."""
        try:
            yield
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if isinstance(error, SrsdkError):
                raise
            raise self._failure(error) from error

    def _copy(self, pixels: Pixels) -> FrameBuffer:
        width, height = self.frame_size
        if pixels.shape != (height, width, 3) or pixels.dtype != np.uint8:
            raise InputError(
                f"frame is {pixels.dtype} {pixels.shape}, expected uint8 {(height, width, 3)}"
            )
        if self._own is None:
            self._own = FrameBuffer.empty(width, height)
        np.copyto(self._own.pixels, pixels)
        return self._own

    def finish(self) -> None:
        """Drain the encoder and complete the file, still under its temporary name.

        Raises:
            VideoError: Writing failed, or the encoder kept frames back.
        """
        for packet in self.end_chunk():
            self.mux(packet)
        self._closed = True
        with self._failing():
            self._container.close()
        if self._encoder.lost:
            raise VideoError(
                f"{self.path}: the encoder made {self.frames - self._encoder.lost} frames of "
                f"{self.frames}; choose another codec or preset"
            )

    def publish(self) -> None:
        """Give the finished file its name.

        Raises:
            VideoError: Renaming failed.
        """
        try:
            os.replace(self._temporary, self.path)  # noqa: PTH105
        except OSError as error:
            raise self._failure(error) from error

    def abort(self) -> None:
        """Stop and leave nothing behind; safe to call at any time, also twice."""
        self._remove()  # first: closing would else complete the file, which takes a pass over it
        self._let_go()
        self._remove()

    def _let_go(self) -> None:
        """Close the file, however far it got."""
        if not self._closed and hasattr(self, "_container"):
            self._closed = True
            with contextlib.suppress(av.error.FFmpegError, OSError, ValueError, RuntimeError):
                self._container.close()

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None and not self._closed:
            try:
                self.finish()
                self.publish()
            except BaseException:
                self.abort()
                raise
        elif kind is not None:
            self.abort()


def _reserve(path: Path) -> Path:
    """Create a hidden file of an unused name beside `path`."""
    temporary = part_path(path)
    try:
        with temporary.open("xb"):
            return temporary
    except OSError as error:
        raise VideoError(
            f"{path} cannot be written ({reason(error)}); choose a folder that you may write to"
        ) from error
