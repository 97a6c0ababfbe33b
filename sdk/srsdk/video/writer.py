"""Writes a video: frames at their own times, the other tracks as they are; whole or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
import numpy as np

from srsdk.errors import InputError, VideoError
from srsdk.video.colour import Colour, Converter, FrameBuffer
from srsdk.video.encoding import FORMATS, EncodeOptions, container_options
from srsdk.video.opening import reason
from srsdk.video.tracks import CopiedTracks, clean_metadata, set_duration

if TYPE_CHECKING:
    from types import TracebackType

    from srsdk.types import Pixels
    from srsdk.video.reader import VideoReader


class VideoWriter:
    """Writes one video file under a temporary name beside `path`, and renames it when it is whole.

    Use it as a context manager: leaving it normally finishes and publishes the file, leaving it by
    any exception, Ctrl-C included, removes every trace. The header is written at once, so that
    what the format cannot hold is refused before any work is done.

    Times are kept as given. Matroska has none before zero: where sound or decoding starts earlier,
    everything in that file is later by the same few milliseconds.

    Args:
        path: The output; its ending (.mp4, .m4v, .mov, .mkv, .webm) chooses the format.
        width: Width of every frame.
        height: Height of every frame.
        time_base: Unit of the frames' timestamps, in seconds.
        rate: Nominal frames per second, a hint only.
        colour: Colour of the output: matrix and range to convert to, and all tags; None for BT.709.
        sample_aspect_ratio: Width of a pixel over its height; None for square ones.
        options: How to encode; None for the defaults.
        template: Reader whose sound, subtitles, chapters and metadata go along.
        overwrite: Replace a file that is there already.

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
        template: VideoReader | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        self.width, self.height = width, height
        #: Frames given to `write`.
        self.frames = 0
        #: The copied tracks, None without a template.
        self.tracks: CopiedTracks | None = None
        self._options = options = options or EncodeOptions()
        colour = colour or Colour()
        self._encoded = 0
        self._durations: dict[int, int] = {}
        self._held: Any = None
        self._first_dts: int | None = None
        self._start_pts = self._end = 0
        self._closed = False
        kind = _check_target(self.path, overwrite=overwrite)
        _check_size(width, height, options.pixel_format)
        self._temporary = _reserve(self.path)
        try:
            metadata = template.container.metadata if template is not None else {}
            self._container: Any = av.open(
                str(self._temporary.absolute()),
                "w",
                format=kind,
                container_options=container_options(kind, clean_metadata(metadata)),
            )
            self._stream = self._add_video(
                time_base, rate, colour, sample_aspect_ratio or Fraction(1)
            )
            if template is not None:
                video = template.video_stream
                self._stream.metadata.update(clean_metadata(video.metadata))
                if hasattr(video, "disposition"):
                    self._stream.disposition = video.disposition
                self.tracks = CopiedTracks(self._container, template, self.path, kind)
            self._start()
            self._convert = Converter.from_bgr(width, height, options.pixel_format, colour)
            self._own: FrameBuffer | None = None
        except BaseException:
            self.abort()
            raise

    def _add_video(
        self, time_base: Fraction, rate: Fraction | None, colour: Colour, aspect: Fraction
    ) -> Any:
        options = self._options
        try:
            stream: Any = self._container.add_stream(options.codec, rate=rate or Fraction(25))
        except ValueError as error:  # FFmpeg here lacks the codec, or the format does
            if "support" in str(error):
                other = "libvpx-vp9" if self.path.suffix.lower() == ".webm" else "libx264"
                text = f"{self.path.suffix} files cannot hold {options.codec}; choose codec {other}"
                raise VideoError(f"{text}, or name the output .mkv") from error
            raise VideoError(
                f"FFmpeg here has no encoder {options.codec}; choose another codec"
            ) from error
        stream.width, stream.height = self.width, self.height
        stream.pix_fmt = options.pixel_format
        context = stream.codec_context
        context.time_base = time_base
        context.thread_count = options.threads
        context.sample_aspect_ratio = aspect
        context.colorspace = colour.matrix
        context.color_primaries = colour.primaries
        context.color_trc = colour.transfer
        context.color_range = 2 if colour.full_range else 1
        context.options = options.settings()
        return stream

    def _start(self) -> None:
        try:
            self._container.start_encoding()
        except (av.error.FFmpegError, OSError, ValueError, RuntimeError) as error:
            if isinstance(error, OSError) and error.errno and not isinstance(error, ValueError):
                raise self._failure(error) from error
            raise VideoError(
                f"{self.path} cannot be started ({reason(error)}); check codec "
                f"{self._options.codec}, preset {self._options.preset} and pixel format "
                f"{self._options.pixel_format}, or whether {self.path.suffix} takes the tracks"
            ) from error

    def _failure(self, error: BaseException) -> VideoError:
        return VideoError(
            f"{self.path} cannot be written ({reason(error)}); "
            "check the free space and the permissions of its folder"
        )

    def write(self, frame: FrameBuffer | Pixels, pts: int, duration: int = 0) -> None:
        """Encode one frame.

        Args:
            frame: `(height, width, 3)` uint8 BGR, any strides; as a `FrameBuffer` it is not copied,
                and may be written to again as soon as this returns.
            pts: When it is shown, in units of the time base; must increase.
            duration: How long, in the same unit; 0 leaves it to the next frame.

        Raises:
            InputError: Wrong size or type.
            VideoError: Writing failed, for instance on a full disk.
        """
        if not isinstance(frame, FrameBuffer):
            frame = self._copy(frame)
        converted = self._convert(frame.frame)
        converted.pts = pts
        converted.time_base = self._stream.codec_context.time_base
        if duration:
            self._durations[pts] = duration
        if not self.frames:
            self._start_pts = pts
        self._end = pts + duration
        self.frames += 1
        self._encode(converted)

    def _copy(self, pixels: Pixels) -> FrameBuffer:
        if pixels.shape != (self.height, self.width, 3) or pixels.dtype != np.uint8:
            raise InputError(
                f"frame is {pixels.dtype} {pixels.shape}, expected uint8 "
                f"{(self.height, self.width, 3)}"
            )
        if self._own is None:
            self._own = FrameBuffer.empty(self.width, self.height)
        np.copyto(self._own.pixels, pixels)
        return self._own

    def _encode(self, frame: Any) -> None:
        try:
            for packet in self._stream.encode(frame):
                self._encoded += 1
                self._flush_held()
                set_duration(packet, self._durations.pop(packet.pts, 0) or packet.duration)
                self._held = packet
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise self._failure(error) from error

    def _flush_held(self, *, last: bool = False) -> None:
        """Write the packet that was kept back: the last one decides how long the track is."""
        packet, self._held = self._held, None
        if packet is None:
            return
        if self._first_dts is None:
            self._first_dts = packet.dts
        if last:
            # MP4 adds up decoding times, and the frame shown last need not be decoded last.
            length = self._end - self._start_pts - (packet.dts - self._first_dts)
            set_duration(packet, max(packet.duration or 0, length))
        self._container.mux_one(packet)

    def copy(self, packet: Any) -> None:
        """Write a packet of the template's reader (`VideoReader.read`) to its track.

        Raises:
            VideoError: Writing failed, for instance on a full disk.
        """
        if self.tracks is None:
            return
        try:
            self.tracks.mux(packet)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise self._failure(error) from error

    def finish(self) -> None:
        """Drain the encoder and complete the file, still under its temporary name.

        Raises:
            VideoError: Writing failed, or the encoder kept frames back.
        """
        self._encode(None)
        self._closed = True
        try:
            self._flush_held(last=True)
            self._container.close()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self._remove()
            raise self._failure(error) from error
        if self._encoded != self.frames:
            self._remove()
            raise VideoError(
                f"{self.path}: the encoder made {self._encoded} frames of {self.frames}; "
                "choose another codec or preset"
            )

    def publish(self) -> None:
        """Give the finished file its name.

        Raises:
            VideoError: Renaming failed.
        """
        try:
            os.replace(self._temporary, self.path)  # noqa: PTH105
        except OSError as error:
            self._remove()
            raise self._failure(error) from error

    def abort(self) -> None:
        """Stop and leave nothing behind; safe to call at any time, also twice."""
        self._remove()  # first: closing would else complete the file, which takes a pass over it
        if not self._closed and hasattr(self, "_container"):
            self._closed = True
            with contextlib.suppress(av.error.FFmpegError, OSError, ValueError, RuntimeError):
                self._container.close()
        self._remove()

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


def _check_target(path: Path, *, overwrite: bool) -> str:
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise VideoError(
            f"{path}: cannot write {path.suffix or 'a file without an ending'}; "
            f"name the output {', '.join(FORMATS)}"
        )
    if path.is_dir():
        raise VideoError(f"{path} is a folder; give the output a file name")
    if path.exists() and not overwrite:
        raise VideoError(
            f"{path} exists already; choose another name or overwrite it (--overwrite)"
        )
    if not path.parent.is_dir():
        raise VideoError(f"{path.parent} is not a folder; create it first")
    return kind


def _check_size(width: int, height: int, pixel_format: str) -> None:
    try:
        layout = av.VideoFormat(pixel_format)
    except ValueError as error:
        raise InputError(f"pixel format {pixel_format!r} is unknown, try yuv420p") from error
    if (width % 2 and layout.chroma_width(2) == 1) or (height % 2 and layout.chroma_height(2) == 1):
        raise VideoError(
            f"a picture of {width}x{height} does not fit {pixel_format}, which needs even sizes; "
            "choose pixel format yuv444p, or crop the input"
        )


def _reserve(path: Path) -> Path:
    """Create a hidden file of an unused name beside `path`."""
    temporary = path.with_name(f".{path.stem[:80]}.{uuid.uuid4().hex[:8]}.part{path.suffix}")
    try:
        with temporary.open("xb"):
            return temporary
    except OSError as error:
        raise VideoError(
            f"{path} cannot be written ({reason(error)}); choose a folder that you may write to"
        ) from error
