"""Opens a video file, or says in one line why it cannot be one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import av
import av.error

from srsdk.errors import VideoError
from srsdk.video.intact import missing_bytes
from srsdk.video.orientation import Orientation

if TYPE_CHECKING:
    from pathlib import Path

    from srsdk.video.intact import CountingPipe


def reason(error: BaseException) -> str:
    """What went wrong, on one line, without FFmpeg's error number."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0]


def is_cover(stream: Any) -> bool:
    """Whether this is a still picture that belongs to the metadata (PyAV 15 can tell)."""
    return stream.type == "video" and bool(getattr(stream, "disposition", 0) & 0x400)


def check_file(path: Path, *, whole: bool = True) -> int:
    """Raise `VideoError` for what is no file or empty; with `whole`, also for what is cut short.

    Returns:
        The number of bytes that are missing at its end.
    """
    if not path.exists():
        raise VideoError(f"{path} does not exist; check the path")
    if path.is_dir():
        raise VideoError(f"{path} is a folder, not a video file")
    try:
        if path.stat().st_size == 0:
            raise VideoError(f"{path} is empty (0 bytes); copy or download it again")
        missing = missing_bytes(path)
    except VideoError:
        raise
    except OSError as error:
        raise VideoError(f"{path} cannot be read ({reason(error)})") from error
    if missing and whole:
        raise VideoError(
            f"{path} is cut short, {missing} bytes are missing at its end; copy or download it "
            'again, or take what there is of it with on_damage="salvage"'
        )
    return missing


def open_container(path: Path, file: BinaryIO | CountingPipe | None = None) -> Any:
    """Open a file with FFmpeg, or raise `VideoError`."""
    try:
        # An absolute path, since "a:b.mp4" would be read as protocol a.
        source: Any = str(path.absolute()) if file is None else file
        container: Any = av.open(source, metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(
            f"{path} is not a video that FFmpeg can read ({reason(error)}); "
            "check that it is a whole video file"
        ) from error
    if container.format.name == "tty":
        container.close()
        raise VideoError(f"{path} is a text file, not a video")
    return container


def video_stream(container: Any, path: Path) -> Any:
    """The first track with moving pictures; a cover is not one."""
    for stream in container.streams.video:
        if is_cover(stream):
            continue
        if stream.codec_context is None:
            raise VideoError(f"{path} has video in a codec that FFmpeg here cannot decode")
        return stream
    held = sorted({"a cover" if is_cover(s) else s.type for s in container.streams})
    raise VideoError(
        f"{path} has no video track ({'only ' + ', '.join(held) if held else 'nothing in it'}); "
        "give a file with video"
    )


def picture_decoder(stream: Any, path: Path) -> Any:
    """The codec context that decodes the picture.

    FFmpeg's own decoders of VP8 and VP9 do not look at transparency, which WebM keeps beside the
    picture, so there it is libvpx.

    Raises:
        VideoError: This PyAV comes without libvpx.
    """
    context = stream.codec_context
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    decoder = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(context.name)
    if tags.get("alpha_mode") != "1" or decoder is None:
        return context
    try:
        return av.CodecContext.create(decoder, "r")
    except ValueError as error:  # av.codec.codec.UnknownCodecError
        raise VideoError(
            f"{path} has transparency, which FFmpeg here cannot decode without {decoder}; flatten "
            "it first: ffmpeg -i IN -pix_fmt yuv420p -c:a copy OUT"
        ) from error


def orientation_of(frame: Any, stream: Any, path: Path) -> Orientation:
    """How the camera was held, from the first frame or from its track."""
    try:
        held = list(frame.side_data)
        kinds = [getattr(data.type, "name", data.type) for data in held]
    except ValueError:
        # PyAV cannot list data of kinds that it has no name for, such as EXIF in JPEG frames.
        return Orientation.from_degrees(float(getattr(frame, "rotation", 0)))
    for kind, data in zip(kinds, held, strict=True):
        if kind == "DISPLAYMATRIX":
            return Orientation.from_matrix(bytes(data), source=str(path))
    # FFmpeg before 7 hands the matrix over with the stream, which PyAV reduces to an angle.
    degrees = (getattr(stream, "side_data", None) or {}).get("DISPLAYMATRIX")
    return Orientation() if degrees is None else Orientation.from_degrees(float(degrees))


def duration_of(stream: Any, container: Any) -> float | None:
    """Seconds of the track, else of the whole file; None when neither is known."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def time_of(item: Any) -> str:
    """When a packet or frame is shown, for a message."""
    stamp = item.pts if item.pts is not None else item.dts
    if stamp is None or not item.time_base:
        return "an unknown time"
    return f"{float(stamp * item.time_base):.2f} s"
