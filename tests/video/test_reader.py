from __future__ import annotations

import os
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from srsdk.errors import SrsdkError, VideoError
from srsdk.video import ReadOptions, VideoReader

KR_KB = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def ycc_to_bgr(ycc: tuple[int, int, int], matrix: int, full: bool) -> np.ndarray[Any, Any]:
    """ITU-T H.273, written out."""
    kr, kb = KR_KB[matrix]
    y, cb, cr = (float(value) for value in ycc)
    if full:
        y, cb, cr = y / 255, (cb - 128) / 255, (cr - 128) / 255
    else:
        y, cb, cr = (y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
    r, b = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    g = (y - kr * r - kb * b) / (1 - kr - kb)
    return 255 * np.array([b, g, r])


def flat_frames(ycc: tuple[int, int, int], size: tuple[int, int], count: int = 3) -> list[Any]:
    width, height = size
    planes = np.concatenate(
        [np.full(width * height // part, value) for part, value in zip((1, 4, 4), ycc, strict=True)]
    )
    array = planes.astype(np.uint8).reshape(height * 3 // 2, width)
    return [av.VideoFrame.from_ndarray(array, format="yuv420p") for _ in range(count)]


def patch(path: Path, box: bytes, offset: int, data: bytes) -> None:
    raw = bytearray(path.read_bytes())
    at = raw.index(box) + 4 + offset
    raw[at : at + len(data)] = data
    path.write_bytes(bytes(raw))


def rotate(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Write a matrix into the track header of an MP4, as a phone does."""
    a, b, c, d = matrix
    one = 1 << 16
    data = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    patch(path, b"tkhd", 40, data)


def test_frames_and_their_times(make: Any, tools: Any) -> None:
    path = make("a.mp4", frames=20, size=(66, 50), aspect=Fraction(4, 3))
    with VideoReader(path) as reader:
        info = reader.info
        frames = list(reader)
    assert (info.width, info.height, info.frames, info.codec) == (66, 50, 20, "h264")
    assert info.rate == 25
    assert info.sample_aspect_ratio == Fraction(4, 3)
    assert [frame.pts * info.time_base for frame in frames] == tools.frame_times(path)
    assert all(frame.duration * info.time_base == Fraction(1, 25) for frame in frames)
    for index, frame in enumerate(frames):
        assert frame.pixels.shape == (50, 66, 3)
        error = np.abs(frame.pixels.astype(int) - tools.picture(index, (66, 50))).mean()
        assert error < 6, index
    first, second = frames[0].pixels, frames[1].pixels
    assert not np.shares_memory(first, second)


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("full", [False, True])
def test_colours_follow_the_tags(make: Any, matrix: int, full: bool) -> None:
    ycc = (120, 90, 170)
    path = make(
        "c.mp4",
        size=(64, 64),
        pts=[0, 1, 2],
        video_frames=flat_frames(ycc, (64, 64)),
        colour=(matrix, 1, 1, 2 if full else 1),
        options={"crf": "0", "preset": "ultrafast"},
    )
    with VideoReader(path) as reader:
        assert reader.info.colour.matrix == matrix
        assert reader.info.colour.full_range == full
        frame = next(iter(reader)).pixels
    assert np.abs(frame - ycc_to_bgr(ycc, matrix, full)).max() <= 1.0


@pytest.mark.parametrize(("size", "matrix"), [((320, 240), 6), ((1280, 64), 1), ((64, 720), 1)])
def test_untagged_colours_are_guessed_by_size(
    make: Any, size: tuple[int, int], matrix: int
) -> None:
    ycc = (110, 100, 160)
    path = make(
        "u.mp4",
        size=size,
        pts=[0],
        video_frames=flat_frames(ycc, size, 1),
        options={"crf": "0", "preset": "ultrafast"},
    )
    with VideoReader(path) as reader:
        assert reader.info.colour.matrix == matrix
        frame = next(iter(reader)).pixels
    assert np.abs(frame - ycc_to_bgr(ycc, matrix, False)).max() <= 1.0


def test_rgb_and_gray_are_read(make: Any, tools: Any) -> None:
    rgb = make("rgb.mkv", codec="ffv1", pixel_format="bgr0", frames=2)
    with VideoReader(rgb) as reader:
        assert np.array_equal(next(iter(reader)).pixels, tools.picture(0, (64, 48)))
    gray = make("gray.mkv", codec="ffv1", pixel_format="gray", frames=2)
    with VideoReader(gray) as reader:
        pixels = next(iter(reader)).pixels
        assert (pixels[..., 0] == pixels[..., 2]).all()


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
        ((-1, 0, 0, -1), lambda p: np.rot90(p, 2)),
        ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
        ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
        ((1, 0, 0, -1), lambda p: p[::-1]),
        ((0, 1, 1, 0), lambda p: p.transpose(1, 0, 2)),
    ],
)
def test_rotation_turns_the_pixels(
    make: Any, matrix: tuple[int, int, int, int], expected: Any
) -> None:
    path = make("r.mp4", frames=4, aspect=Fraction(4, 3))
    with VideoReader(path) as reader:
        upright = [frame.pixels.copy() for frame in reader]
    rotate(path, matrix)
    with VideoReader(path) as reader:
        info = reader.info
        turned = [frame.pixels for frame in reader]
    assert (info.height, info.width) == turned[0].shape[:2]
    assert info.sample_aspect_ratio == (Fraction(3, 4) if matrix[0] == 0 else Fraction(4, 3))
    for before, after in zip(upright, turned, strict=True):
        assert np.array_equal(expected(before), after)


def test_an_odd_angle_is_refused(make: Any) -> None:
    path = make("r.mp4", frames=2)
    rotate(path, (1, 1, -1, 1))
    with pytest.raises(VideoError, match="quarter turn"):
        VideoReader(path)


def test_variable_frame_rate_and_late_start(make: Any) -> None:
    stamps = [500, 533, 600, 601, 1400, 1433]
    path = make("v.mkv", pts=stamps, time_base=Fraction(1, 1000))
    with VideoReader(path) as reader:
        times = [round(frame.pts * reader.info.time_base * 1000) for frame in reader]
        assert reader.repaired_timestamps == 0
    assert times == stamps


def test_an_edit_list_hides_frames(make: Any) -> None:
    """A clip trimmed without re-encoding keeps the frames from the last key frame on, unseen."""
    path = make("e.mp4", frames=20)
    raw = path.read_bytes()
    at = raw.index(b"elst") + 4
    assert raw[at : at + 8] == (1).to_bytes(8, "big")  # version 0, one entry
    start = int.from_bytes(raw[at + 12 : at + 16], "big")
    patch(path, b"elst", 12, (start + 5 * 512).to_bytes(4, "big"))
    with av.open(str(path)) as container:
        seen = [frame.pts for frame in container.decode(video=0)]
        assert container.streams.video[0].time_base == Fraction(1, 12800)
    assert len(seen) == 15
    with VideoReader(path) as reader:
        assert [frame.pts for frame in reader] == seen


def test_avi_without_timestamps(make: Any) -> None:
    path = make("a.avi", codec="mpeg4", frames=15, options={"bf": "2"})
    with VideoReader(path) as reader:
        times = [frame.pts * reader.info.time_base for frame in reader]
    assert len(times) == 15
    steps = np.diff([float(time) for time in times])
    assert np.allclose(steps, 0.04)


def test_broadcast_clock_starts_at_zero(make: Any) -> None:
    path = make(
        "t.ts",
        frames=10,
        audio=("eng",),
        mux_format="mpegts",
        container_options={"output_ts_offset": "3600"},
    )
    with VideoReader(path) as reader:
        items = list(reader.read())
        base = reader.info.time_base
        assert reader.origin > 3599
    frames = [item for item in items if hasattr(item, "pixels")]
    packets = [item for item in items if not hasattr(item, "pixels")]
    assert len(frames) == 10
    assert packets
    earliest = min(float(item.pts * getattr(item, "time_base", base)) for item in items)
    assert abs(earliest) < 0.001


def refusal(path: Path, on_damage: Any = "conceal") -> str:
    """The message, which must be one line naming the file."""
    with (
        pytest.raises(VideoError) as caught,
        VideoReader(path, options=ReadOptions(on_damage=on_damage)) as reader,
    ):
        for _ in reader.read():
            pass
    message = str(caught.value)
    assert isinstance(caught.value, (SrsdkError, OSError))
    assert "\n" not in message
    assert path.name in message
    return message


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused(make: Any, transfer: int, name: str, pixel_format: str) -> None:
    colour = (9, 9, transfer, 1)
    message = refusal(make("hdr.mp4", frames=2, colour=colour, pixel_format=pixel_format))
    assert name in message
    assert "tonemap" in message


def test_transparency_is_read(make: Any) -> None:
    opacity = np.tile(np.arange(64, dtype=np.uint8), (48, 1))
    clear = np.dstack([np.full((48, 64, 3), 90, np.uint8), opacity])
    frames = [av.VideoFrame.from_ndarray(clear, format="bgra") for _ in range(2)]
    settings = {"codec": "ffv1", "pixel_format": "bgra", "video_frames": frames, "frames": 2}
    with VideoReader(make("t.mkv", **settings)) as reader:
        assert reader.info.samples.alpha
        for frame in reader:
            assert frame.alpha is not None
            np.testing.assert_array_equal(frame.alpha, opacity)
            assert (frame.pixels == 90).all()


def test_interlaced_is_refused(make: Any) -> None:
    path = make("i.mp4", frames=4, options={"x264-params": "tff=1"})
    assert "bwdif" in refusal(path)


def test_audio_only_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp")
        frame.sample_rate, frame.pts = 48000, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert "no video track (only audio)" in refusal(path)


def test_files_that_are_no_videos(tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    assert "empty" in refusal(empty)
    text = tmp_path / "text.mp4"
    text.write_text("this is not a video\n" * 100)
    assert "not a video" in refusal(text)
    noise = tmp_path / "noise.mkv"
    noise.write_bytes(np.random.default_rng(0).bytes(5000))
    refusal(noise)
    assert "does not exist" in refusal(tmp_path / "missing.mp4")
    assert "folder" in refusal(tmp_path)
    (tmp_path / "plain.txt").write_text("hello\n" * 50)
    refusal(tmp_path / "plain.txt")


@pytest.mark.parametrize("name", ["a.mp4", "fast.mp4", "a.mkv", "a.avi", "a.mov"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.97])
def test_truncated_files_are_refused(make: Any, name: str, kept: float) -> None:
    options = {"movflags": "faststart"} if name == "fast.mp4" else {}
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    path = make(name, codec=codec, frames=30, container_options=options, audio=("eng",))
    with VideoReader(path) as reader:
        assert len(list(reader)) == 30
    os.truncate(path, int(path.stat().st_size * kept))
    refusal(path)


def test_a_live_recording_that_gives_no_length_is_read(make: Any) -> None:
    path = make("live.mkv", frames=30, container_options={"live": "1"})
    with VideoReader(path) as reader:
        assert len(list(reader)) == 30


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("b.mp4", "mpeg4")])
def test_damage_in_the_middle_is_an_error(make: Any, name: str, codec: str) -> None:
    path = make(name, codec=codec, frames=40, size=(160, 120))
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    raw = bytearray(path.read_bytes())
    position, size = places[20]
    assert position is not None
    raw[position + 5 : position + size] = b"\xa5" * (size - 5)
    path.write_bytes(bytes(raw))
    assert "damaged" in refusal(path, "stop")


def test_a_matroska_file_with_a_hole_at_its_end_is_an_error(make: Any) -> None:
    """The demuxer skips what it cannot read and reports nothing."""
    path = make("h.mkv", frames=200)
    raw = bytearray(path.read_bytes())
    cues = raw.rindex(b"\x1c\x53\xbb\x6b")
    cluster = raw.rindex(b"\x1f\x43\xb6\x75")
    raw[cluster:cues] = bytes(cues - cluster)
    path.write_bytes(bytes(raw))
    assert "lasts 8.0 s" in refusal(path, "stop")


def test_a_clean_clip_with_slices_and_open_groups_is_not_taken_for_damaged(make: Any) -> None:
    path = make(
        "s.mp4",
        frames=40,
        size=(160, 128),
        options={"x264-params": "slices=4:open-gop=1:keyint=10:bframes=3"},
    )
    with VideoReader(path, options=ReadOptions(threads=2)) as reader:
        assert len(list(reader)) == 40


def test_change_of_size_is_an_error(make: Any, tmp_path: Path) -> None:
    small = make("one.ts", mux_format="mpegts", frames=5)
    large = make("two.ts", mux_format="mpegts", frames=5, size=(96, 64))
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    assert "size" in refusal(both, "stop")
