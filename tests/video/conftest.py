"""Small clips made with PyAV, with the features of real ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from srsdk.types import Pixels


@dataclass
class Track:
    """The packets of one track of a file."""

    kind: str
    codec: str
    language: str | None
    title: str | None
    start: float
    times: list[float]
    payload: list[bytes]


@dataclass
class Clip:
    """The contents of a clip."""

    path: Path
    frames: int = 12
    size: tuple[int, int] = (64, 48)
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    rate: int = 25
    time_base: Fraction | None = None
    pts: list[int] | None = None
    options: dict[str, str] = field(default_factory=dict)
    audio: tuple[str, ...] = ()  # languages, one track each
    subtitles: str = ""  # codec of a subtitle track
    colour: tuple[int, int, int, int] | None = None  # matrix, primaries, transfer, range
    metadata: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    chapters: bool = False
    aspect: Fraction | None = None
    video_frames: list[Any] | None = None
    mux_format: str | None = None


def picture(index: int, size: tuple[int, int]) -> Pixels:
    """A smooth moving picture: compresses well, and no two are alike."""
    width, height = size
    x = np.arange(width)[None, :, None] * 2.0
    y = np.arange(height)[:, None, None] * 3.0
    tint = np.array([40.0, 90.0, 140.0])
    wave = 60 * np.sin((x + y) / 23 + index / 3 + tint / 40)
    return np.clip(128 + wave, 0, 255).astype(np.uint8)


def _tone(index: int, samples: int = 1024) -> Any:
    time = (np.arange(samples) + index * samples) / 48000
    frame = av.AudioFrame.from_ndarray(
        np.tile((0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32), (2, 1)),
        format="fltp",
        layout="stereo",
    )
    frame.sample_rate = 48000
    frame.pts = index * samples
    frame.time_base = Fraction(1, 48000)
    return frame


def write_clip(clip: Clip) -> Path:
    """Write the clip and return its path."""
    out: Any = av.open(
        str(clip.path), "w", format=clip.mux_format, container_options=clip.container_options
    )
    out.metadata.update(clip.metadata)
    stream = _picture_track(out, clip)
    sounds = []
    for language in clip.audio:
        sound = out.add_stream("aac", rate=48000)
        sound.metadata["language"] = language
        sounds.append(sound)
    if clip.chapters and hasattr(out, "set_chapters"):
        out.set_chapters(
            [
                {
                    "id": 1,
                    "start": 0,
                    "end": 200,
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": "one"},
                }
            ]
        )
    caption = None
    if clip.subtitles:
        caption = _subtitle_track(out, clip.subtitles)
    stamps = clip.pts or list(range(clip.frames))
    base = clip.time_base or Fraction(1, clip.rate)
    sound_index = 0
    for index, pts in enumerate(stamps):
        if clip.video_frames is not None:
            frame = clip.video_frames[index]
        else:
            pixels = picture(index, clip.size)
            frame = av.VideoFrame.from_ndarray(pixels, format="bgr24")
            frame = frame.reformat(format=clip.pixel_format)
        frame.pts, frame.time_base = pts, base
        out.mux(stream.encode(frame))
        while sounds and sound_index * 1024 / 48000 < float(pts * base):
            for sound in sounds:
                out.mux(sound.encode(_tone(sound_index)))
            sound_index += 1
    for each in (stream, *sounds):
        out.mux(each.encode(None))
    if caption is not None:
        _caption(out, caption, clip.subtitles)
    out.close()
    return clip.path


def _picture_track(out: Any, clip: Clip) -> Any:
    stream: Any = out.add_stream(clip.codec, rate=clip.rate)
    stream.width, stream.height = clip.size
    stream.pix_fmt = clip.pixel_format
    context = stream.codec_context
    if clip.time_base:
        context.time_base = clip.time_base
    if clip.aspect:
        context.sample_aspect_ratio = clip.aspect
    if clip.colour:
        (
            context.colorspace,
            context.color_primaries,
            context.color_trc,
            context.color_range,
        ) = clip.colour
    context.options = clip.options
    return stream


def _subtitle_track(out: Any, codec: str) -> Any:
    if not hasattr(out, "add_mux_stream"):
        pytest.skip("this PyAV cannot make subtitle tracks")
    return out.add_mux_stream(codec, time_base=Fraction(1, 1000))


def _caption(out: Any, stream: Any, codec: str) -> None:
    text = b"Hello"
    packet: Any = av.Packet(len(text).to_bytes(2, "big") + text if codec == "mov_text" else text)
    packet.stream = stream
    packet.time_base = Fraction(1, 1000)
    packet.pts = packet.dts = 100
    packet.duration = 200
    out.mux(packet)


def read_back(path: Path) -> list[Track]:
    """Every track of a file: its packets' bytes and times."""
    tracks: dict[int, Track] = {}
    with av.open(str(path)) as container:
        for stream in container.streams:
            name = stream.codec_context.name if stream.codec_context else "none"
            tracks[stream.index] = Track(
                stream.type, name, stream.language, stream.metadata.get("title"), 0.0, [], []
            )
        for packet in container.demux():
            if not packet.size:
                continue
            track = tracks[packet.stream.index]
            track.times.append(float((packet.pts or 0) * packet.time_base))
            track.payload.append(bytes(packet))
    for track in tracks.values():
        track.start = min(track.times, default=0.0)
    return list(tracks.values())


def frame_times(path: Path) -> list[Fraction]:
    """Presentation times of all frames, read with PyAV alone."""
    with av.open(str(path)) as container:
        return [Fraction(f.pts) * Fraction(f.time_base) for f in container.decode(video=0)]


class Doubler:
    """A processor that repeats pixels; writes into `out`."""

    scale = 2

    def __call__(self, frame: Pixels, out: Pixels | None = None) -> Pixels:
        big = frame.repeat(2, axis=0).repeat(2, axis=1)
        if out is None:
            return big
        np.copyto(out, big)
        return out


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """`make("name.mp4", frames=…, …)` writes a clip and returns its path."""

    def build(name: str, **settings: Any) -> Path:
        return write_clip(Clip(tmp_path / name, **settings))

    return build


@pytest.fixture
def tools() -> Any:
    """The helpers of this file, since test modules here are not importable from one another."""

    return SimpleNamespace(
        picture=picture, read_back=read_back, frame_times=frame_times, doubler=Doubler
    )
