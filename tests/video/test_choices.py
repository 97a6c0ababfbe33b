"""What options for damage, sound, subtitles and fields give, judged by FFmpeg's tools."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srsdk.errors import VideoError
from srsdk.video import EncodeOptions, ReadOptions, TrackOptions, VideoReader, enhance_video

pytestmark = pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")), reason="needs ffmpeg and ffprobe"
)

# FFmpeg takes colours by chance, whatever the seed, unless they are given.
COLOURS = "c0=0x203060:c1=0xe0c080:x0=0:y0=47:x1=63:y1=0:speed=0.05"
SHARP = EncodeOptions(crf=2, preset="ultrafast")


def ffmpeg(*arguments: str | Path) -> bytes:
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def film(path: Path, *options: str, seconds: float = 3) -> Path:
    """A moving picture of 25 frames a second."""
    picture = f"gradients=s=64x48:r=25:d={seconds}:{COLOURS}"
    ffmpeg("-f", "lavfi", "-i", picture, *options, path)
    return path


def times(path: Path) -> list[float]:
    """When FFprobe shows each frame; it finds no time for some last ones."""
    command = ["ffprobe", "-v", "quiet", "-of", "json", "-select_streams", "v:0"]
    command += ["-show_entries", "frame=best_effort_timestamp_time", str(path)]
    frames = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["frames"]
    return [float(frame.get("best_effort_timestamp_time", "nan")) for frame in frames]


def lumas(path: Path, size: tuple[int, int]) -> Any:
    """The luma of all frames that FFmpeg decodes, at a size."""
    scale = f"scale={size[0]}:{size[1]}:flags=area,format=gray"
    raw = ffmpeg("-i", path, "-vf", scale, "-f", "rawvideo", "-fps_mode", "passthrough", "-")
    return np.frombuffer(raw, np.uint8).reshape(-1, size[1], size[0]).astype(float)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("in.mkv", ["-c:v", "libx264", "-g", "12", "-bf", "2"]),
        ("in.mp4", ["-c:v", "libx264", "-g", "12", "-movflags", "+faststart"]),
        ("in.avi", ["-c:v", "mpeg4", "-q:v", "3"]),
    ],
)
def test_salvage_takes_all_that_is_there(
    tmp_path: Path, tools: Any, name: str, options: list[str]
) -> None:
    source = film(tmp_path / name, *options)
    whole = lumas(source, (32, 24))
    source.write_bytes(source.read_bytes()[: int(0.6 * source.stat().st_size)])
    target = tmp_path / "out.mkv"
    with pytest.raises(VideoError, match=r'cut short.*on_damage="salvage"'):
        enhance_video(source, target, tools.doubler())
    read = ReadOptions(on_damage="salvage")
    report = enhance_video(source, target, tools.doubler(), read=read, encode=SHARP)
    seen = times(source)
    # The last one may be damaged; from four bytes of it, some versions of FFmpeg show a picture.
    assert len(seen) * 0.9 <= report.frames <= len(seen) + 1
    assert report.frames > 3  # a busy ffmpeg may store most of the sound before the picture
    both = min(report.frames, len(seen))
    np.testing.assert_allclose(times(target)[:both], seen[:both], atol=0.0011)
    shown = lumas(target, (32, 24))
    assert np.abs(shown[:3] - whole[:3]).mean() < 1
    assert any("cut short" in line for line in report.warnings)


def spoken(path: Path) -> list[tuple[str, str]]:
    """Times and texts of the subtitles, as FFmpeg reads them, without their style."""
    text = ffmpeg("-i", path, "-map", "0:s:0", "-f", "srt", "-").decode()
    found = re.findall(r"(\d\d:\d\d:\d\d,\d+ --> \S+)\n(.*?)\n\n", text + "\n\n", re.DOTALL)
    return [(when, re.sub(r"<[^>]*>", "", what).strip()) for when, what in found]


SUBTITLES = """1
00:00:00,200 --> 00:00:01,000
Grüße, <i>world</i> & all

2
00:00:01,040 --> 00:00:01,800
two
lines

3
00:00:02,000 --> 00:00:02,960
100 % "text"
"""


@pytest.mark.parametrize(
    ("codec", "name", "target"),
    [
        ("srt", "in.mkv", "out.mp4"),
        ("ass", "in.mkv", "out.mp4"),
        ("ass", "in.mkv", "out.mov"),
        ("webvtt", "in.mkv", "out.mp4"),
        ("srt", "in.mkv", "out.webm"),
        ("mov_text", "in.mp4", "out.mkv"),
        ("mov_text", "in.mp4", "out.webm"),
    ],
)
def test_subtitles_keep_words_and_times(
    tmp_path: Path, tools: Any, codec: str, name: str, target: str
) -> None:
    (tmp_path / "in.srt").write_text(SUBTITLES)
    source = film(tmp_path / name, "-i", str(tmp_path / "in.srt"), "-c:s", codec)
    tracks = TrackOptions(subtitles="convert")
    enhance_video(source, tmp_path / target, tools.doubler(), tracks=tracks)
    assert len(spoken(source)) == 3
    assert spoken(tmp_path / target) == spoken(source)


def sound(path: Path) -> Any:
    """The first sound track at 48 kHz, mono, from the file's time 0 on."""
    raw = ffmpeg(
        *("-copyts", "-i", path, "-map", "0:a:0", "-af", "aresample=48000:async=1:first_pts=0"),
        *("-ac", "1", "-f", "f32le", "-"),
    )
    return np.frombuffer(raw, np.float32)


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        (["flac", "-ar", "44100"], "in.mkv"),
        (["libopus"], "in.mkv"),
        (["pcm_u8", "-ar", "8000"], "in.avi"),
        (["adpcm_ms"], "in.avi"),
        (["wmav2"], "in.wmv"),
        (["mp2"], "in.ts"),
        (["truehd", "-strict", "-2"], "in.mkv"),
    ],
)
def test_sound_becomes_aac_in_its_place(
    tmp_path: Path, tools: Any, codec: list[str], name: str
) -> None:
    """Clicks in the source are where they were, to a millisecond; between them it is quiet."""
    clicks = "aevalsrc='if(lt(mod(t,0.5),0.02),0.6*sin(2*PI*700*t),0)':s=48000:d=3"
    source = film(
        tmp_path / name, "-f", "lavfi", "-i", clicks, "-c:v", "mpeg2video", "-c:a", *codec
    )
    tracks = TrackOptions(audio="aac")
    target = tmp_path / "out.mp4"
    report = enhance_video(source, target, tools.doubler(), tracks=tracks)
    assert len(report.converted_tracks) == 1
    command = ["ffprobe", "-v", "quiet", "-select_streams", "a", "-of", "csv=p=0"]
    command += ["-show_entries", "stream=codec_name", str(target)]
    assert subprocess.run(command, capture_output=True, text=True).stdout.split() == ["aac"]
    before, after = sound(source), sound(target)
    begin = round(48000 * (times(source)[0] - times(target)[0]))  # clocks of broadcasts
    before = before[begin:]
    length = min(len(before), len(after))
    assert abs(len(before) - len(after)) < 0.1 * 48000
    before, after = before[:length], after[:length]
    spectrum = np.fft.rfft(before, 2 * length).conj() * np.fft.rfft(after, 2 * length)
    lag = int(np.argmax(np.fft.irfft(spectrum)))
    lag -= 2 * length * (lag > length)
    assert abs(lag) <= 48
    assert np.corrcoef(np.roll(before, lag), after)[0, 1] > 0.95


def test_whole_frames_that_are_called_interlaced(tmp_path: Path, tools: Any) -> None:
    """With `progressive` the frames are what they are, and lose the mark."""
    options = ["-c:v", "libx264", "-qp", "10", "-flags", "+ildct", "-x264-params", "tff=1"]
    marked = film(tmp_path / "marked.mp4", *options, seconds=1)
    with pytest.raises(VideoError, match="progressive=True"):
        enhance_video(marked, tmp_path / "out.mp4", tools.doubler())
    read = ReadOptions(progressive=True)
    enhance_video(marked, tmp_path / "out.mp4", tools.doubler(), read=read, encode=SHARP)
    np.testing.assert_allclose(times(tmp_path / "out.mp4"), times(marked), atol=1e-4)
    shown, right = lumas(tmp_path / "out.mp4", (64, 48)), lumas(marked, (64, 48))
    assert np.abs(shown - right).mean() < 1
    command = ["ffprobe", "-v", "quiet", "-of", "csv=p=0", "-show_entries", "stream=field_order"]
    order = subprocess.run([*command, str(tmp_path / "out.mp4")], capture_output=True, text=True)
    assert order.stdout.split() == ["progressive"]


@pytest.mark.parametrize(
    ("pixel_format", "size"),
    [
        ("yuv420p", "63:47"),
        ("yuv422p", "63:47"),
        ("yuv411p", "64:48"),
        ("yuv444p", "63:47"),
        ("gray", "63:47"),
        ("yuv420p10le", "64:48"),
        ("yuv444p12le", "63:47"),
        ("gray10le", "63:47"),
    ],
)
def test_yuv4mpeg_that_is_cut_short(tmp_path: Path, pixel_format: str, size: str) -> None:
    options = ["-vf", f"scale={size}", "-pix_fmt", pixel_format, "-strict", "-1"]
    source = film(tmp_path / "in.y4m", *options, seconds=0.4)
    with VideoReader(source) as reader:
        assert len(list(reader)) == 10
        assert reader.warnings == []
    data = source.read_bytes()
    cut = data[: len(data) * 3 // 4]
    source.write_bytes(cut)
    with pytest.raises(VideoError, match="cut short"):
        VideoReader(source)
    with subprocess.Popen(["cat", source], stdout=subprocess.PIPE) as cat:
        assert cat.stdout is not None
        with VideoReader("-", file=cat.stdout) as reader:
            assert len(list(reader)) == 7
            assert any("cut short" in line for line in reader.warnings)
