from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from srsdk.errors import InputError, VideoError
from srsdk.video import EncodeOptions, Frame, VideoReader, VideoWriter

BASE = Fraction(1, 1000)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill(writer: VideoWriter, tools: Any, stamps: list[int]) -> None:
    for index, pts in enumerate(stamps):
        writer.write(tools.picture(index, (writer.width, writer.height)), pts)


def spoken(track: Any) -> list[tuple[bytes, float]]:
    """Packets with their times, without the empty captions with which MP4 fills its gaps."""
    return [
        (data, round(start, 2))
        for data, start in zip(track.payload, track.times, strict=True)
        if data != b"\0\0"
    ]


def copy_through(source: Path, target: Path, **settings: Any) -> VideoWriter:
    with (
        VideoReader(source) as reader,
        VideoWriter(
            target,
            reader.info.width,
            reader.info.height,
            reader.info.time_base,
            colour=reader.info.colour,
            template=reader,
            **settings,
        ) as writer,
    ):
        for item in reader.read():
            if isinstance(item, Frame):
                writer.write(item.pixels, item.pts, item.duration)
            else:
                writer.copy(item)
    return writer


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.m4v"])
def test_every_frame_keeps_its_time(tmp_path: Path, tools: Any, name: str) -> None:
    stamps = [40, 73, 74, 500, 533, 900, 2000, 2001, 2050]
    options = EncodeOptions(preset="medium")  # with B-frames, which come out late
    with VideoWriter(tmp_path / name, 64, 48, BASE, options=options) as writer:
        fill(writer, tools, stamps)
    times = [round(time * 1000) for time in tools.frame_times(tmp_path / name)]
    if name == "a.mkv":  # has no times before zero, so decoding times move the whole by a constant
        times = [time - times[0] + stamps[0] for time in times]
    assert times == stamps
    assert names(tmp_path) == [name]


@pytest.mark.skipif(int(av.__version__.split(".")[0]) < 14, reason="durations are read-only")
def test_the_last_frame_keeps_its_duration(tmp_path: Path, tools: Any) -> None:
    with VideoWriter(tmp_path / "a.mp4", 64, 48, BASE) as writer:
        for pts, duration in ((0, 40), (40, 40), (80, 1000)):
            writer.write(tools.picture(0, (64, 48)), pts, duration)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.duration is not None
        assert stream.duration * stream.time_base == Fraction(1080, 1000)


def test_pixels_survive(tmp_path: Path, tools: Any) -> None:
    picture = tools.picture(3, (64, 48))
    strided = np.zeros((48, 100, 3), np.uint8)[:, 7:71]
    strided[:] = picture
    strided.flags.writeable = False
    options = EncodeOptions(crf=0, pixel_format="yuv444p")
    with VideoWriter(tmp_path / "a.mp4", 64, 48, BASE, options=options) as writer:
        writer.write(strided, 0)
    with VideoReader(tmp_path / "a.mp4") as reader:
        back = next(iter(reader)).pixels
    assert np.abs(back.astype(int) - picture).max() <= 3
    assert np.abs(back.astype(int) - picture).mean() < 0.8


@pytest.mark.parametrize("tags", [(1, 1, 1, 1), (6, 6, 6, 1), (5, 5, 4, 2), (9, 9, 14, 1)])
def test_colour_tags_are_carried(make: Any, tmp_path: Path, tags: tuple[int, ...]) -> None:
    source = make("in.mp4", colour=tags, frames=3)
    copy_through(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        context: Any = container.streams.video[0].codec_context
        written = (context.colorspace, context.color_primaries, context.color_trc)
        assert tuple(map(int, written)) == tags[:3]
        assert int(context.color_range) == tags[3]
    with VideoReader(source) as before, VideoReader(tmp_path / "out.mp4") as after:
        assert before.info.colour == after.info.colour
        for old, new in zip(before, after, strict=True):
            assert np.abs(old.pixels.astype(int) - new.pixels).mean() < 3


def test_untagged_input_gives_tagged_output(make: Any, tmp_path: Path) -> None:
    copy_through(make("in.mp4", frames=2), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert int(container.streams.video[0].codec_context.colorspace) == 6


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_other_tracks_go_along(make: Any, tmp_path: Path, tools: Any, suffix: str) -> None:
    source = make(
        f"in.{suffix}",
        frames=30,
        audio=("eng", "deu"),
        subtitles="subrip" if suffix == "mkv" else "mov_text",
        metadata={"title": "A talk", "artist": "Somebody"},
        chapters=True,
    )
    target = tmp_path / f"out.{suffix}"
    writer = copy_through(source, target)
    assert writer.tracks is not None
    assert (writer.tracks.audio, writer.tracks.subtitles) == (2, 1)
    before, after = tools.read_back(source), tools.read_back(target)
    assert [track.kind for track in after][:4] == ["video", "audio", "audio", "subtitle"]
    for old, new in zip(before[1:4], after[1:4], strict=True):
        assert (old.codec, old.language) == (new.codec, new.language)
        assert spoken(old) == spoken(new)
    assert np.allclose(sorted(before[0].times), sorted(after[0].times), atol=0.0011)
    with av.open(str(target)) as container:
        assert container.metadata["title"] == "A talk"
        assert "Somebody" in (container.metadata.get("artist"), container.metadata.get("ARTIST"))
        if hasattr(container, "chapters"):
            chapters = container.chapters()
            assert [chapter["metadata"]["title"] for chapter in chapters] == ["one"]
        for old, new in zip(
            av.open(str(source)).streams.audio, container.streams.audio, strict=True
        ):
            assert getattr(old, "disposition", 0) == getattr(new, "disposition", 0)


def test_metadata_of_a_phone_is_kept(make: Any, tmp_path: Path) -> None:
    keys = {"com.apple.quicktime.model": "Phone 7", "location": "+52.0+013.0/"}
    source = make(
        "in.mov",
        frames=2,
        metadata=keys,
        container_options={"movflags": "use_metadata_tags"},
    )
    copy_through(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.metadata["com.apple.quicktime.model"] == "Phone 7"


@pytest.mark.parametrize(("start", "suffix"), [("mkv", ".mp4"), ("mp4", ".mkv")])
def test_a_subtitle_that_does_not_fit_is_refused_at_once(
    make: Any, tmp_path: Path, start: str, suffix: str
) -> None:
    codec = "subrip" if start == "mkv" else "mov_text"
    source = make(f"in.{start}", frames=4, subtitles=codec)
    before = set(names(tmp_path))
    target = tmp_path / f"out{suffix}"
    with VideoReader(source) as reader, pytest.raises(VideoError, match="cannot hold subtitle"):
        VideoWriter(target, 64, 48, BASE, template=reader)
    assert set(names(tmp_path)) == before


@pytest.mark.skipif(int(av.__version__.split(".")[0]) < 15, reason="no dispositions")
def test_a_cover_goes_along(make: Any, tmp_path: Path, tools: Any) -> None:
    plain = make("plain.mp4", frames=5, audio=("eng",))
    still = make("still.mkv", frames=1, codec="mjpeg", pixel_format="yuvj420p")
    source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
    with (
        av.open(str(plain)) as movie,
        av.open(str(still)) as picture,
        av.open(str(source), "w") as out,
    ):
        tracks = [out.add_stream_from_template(each, opaque=True) for each in movie.streams]
        cover = out.add_stream_from_template(picture.streams.video[0], opaque=True)
        cover.disposition = av.stream.Disposition.attached_pic
        packet = next(picture.demux())
        jpeg = bytes(packet)
        packet.stream = cover
        out.mux(packet)
        for packet in movie.demux():
            if packet.size:
                packet.stream = tracks[packet.stream.index]
                out.mux(packet)
    writer = copy_through(source, target)
    assert writer.tracks is not None
    assert (writer.tracks.data, writer.tracks.dropped) == (1, [])
    assert writer.frames == 5
    assert tools.read_back(target)[2].payload == [jpeg]


def test_faststart(tmp_path: Path, tools: Any) -> None:
    with VideoWriter(tmp_path / "a.mp4", 64, 48, BASE) as writer:
        fill(writer, tools, [0, 40])
    raw = (tmp_path / "a.mp4").read_bytes()
    assert raw.index(b"moov") < raw.index(b"mdat")


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9"])
def test_codecs(tmp_path: Path, tools: Any, codec: str) -> None:
    suffix = ".webm" if codec == "libvpx-vp9" else ".mp4"
    stamps = [40 * index for index in range(12)]
    options = EncodeOptions(codec=codec, crf=30, threads=1)
    with VideoWriter(tmp_path / f"a{suffix}", 128, 96, BASE, options=options) as writer:
        fill(writer, tools, stamps)
    times = [round(time * 1000) for time in tools.frame_times(tmp_path / f"a{suffix}")]
    assert [time - times[0] for time in times] == stamps


def test_odd_sizes(tmp_path: Path, tools: Any) -> None:
    with pytest.raises(VideoError, match="even sizes"):
        VideoWriter(tmp_path / "a.mp4", 65, 48, BASE)
    with pytest.raises(VideoError, match="even sizes"):
        VideoWriter(tmp_path / "a.mp4", 64, 47, BASE)
    options = EncodeOptions(pixel_format="yuv444p")
    with VideoWriter(tmp_path / "b.mp4", 65, 47, BASE, options=options) as writer:
        fill(writer, tools, [0, 40])
    with VideoReader(tmp_path / "b.mp4") as reader:
        assert (reader.info.width, reader.info.height) == (65, 47)
    assert names(tmp_path) == ["b.mp4"]


def test_what_is_refused(tmp_path: Path, tools: Any) -> None:
    with pytest.raises(VideoError, match="libvpx-vp9"):
        VideoWriter(tmp_path / "a.webm", 64, 48, BASE, options=EncodeOptions())
    for name in ("a.avi", "a", "a.txt"):
        with pytest.raises(VideoError, match="name the output"):
            VideoWriter(tmp_path / name, 64, 48, BASE)
    with pytest.raises(VideoError, match="create it first"):
        VideoWriter(tmp_path / "no" / "a.mp4", 64, 48, BASE)
    (tmp_path / "d.mp4").mkdir()
    with pytest.raises(VideoError, match="folder"):
        VideoWriter(tmp_path / "d.mp4", 64, 48, BASE)
    with pytest.raises(InputError, match="choose one of"):
        EncodeOptions(codec="h263")
    with pytest.raises(InputError, match="pixel_format"):
        VideoWriter(tmp_path / "a.mp4", 64, 48, BASE, options=EncodeOptions(pixel_format="x"))
    with pytest.raises(InputError, match="preset 'warp' is unknown"):
        EncodeOptions(preset="warp")
    with pytest.raises(InputError, match="'superfast' is unknown to libsvtav1; choose a number"):
        EncodeOptions(codec="libsvtav1", preset="superfast")
    with pytest.raises(InputError, match="'9' is unknown to libvpx-vp9"):
        EncodeOptions(codec="libvpx-vp9", preset="9")
    assert names(tmp_path) == ["d.mp4"]


def test_an_existing_file_is_kept_unless_told(tmp_path: Path, tools: Any) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("precious")
    with pytest.raises(VideoError, match="overwrite=True"):
        VideoWriter(path, 64, 48, BASE)
    with (
        pytest.raises(InputError, match="expected"),
        VideoWriter(path, 32, 32, BASE, overwrite=True) as writer,
    ):
        writer.write(tools.picture(0, (8, 8)), 80)
    assert path.read_text() == "precious"
    with VideoWriter(path, 64, 48, BASE, overwrite=True) as writer:
        fill(writer, tools, [0])
        assert path.read_text() == "precious"
    assert len(tools.frame_times(path)) == 1
    assert names(tmp_path) == ["a.mp4"]


def test_wrong_frames_and_times(tmp_path: Path, tools: Any) -> None:
    with (
        pytest.raises(InputError, match="expected uint8"),
        VideoWriter(tmp_path / "a.mp4", 64, 48, BASE) as writer,
    ):
        writer.write(tools.picture(0, (32, 48)), 0)
    with (
        pytest.raises(InputError, match="float32"),
        VideoWriter(tmp_path / "a.mp4", 64, 48, BASE) as writer,
    ):
        writer.write(np.zeros((48, 64, 3), np.float32), 0)  # type: ignore[arg-type]
    assert names(tmp_path) == []


SCRIPT = """
import sys, numpy as np
from fractions import Fraction
from srsdk.errors import VideoError
from srsdk.video import VideoWriter
{setup}
try:
    with VideoWriter(sys.argv[1], 256, 256, Fraction(1, 25)) as writer:
        noise = np.random.default_rng(0)
        for pts in range(200):
            writer.write(noise.integers(0, 256, (256, 256, 3), np.uint8), pts)
except VideoError as error:
    print(error)
    sys.exit(7)
"""


def in_subprocess(setup: str, target: Path, **settings: Any) -> str:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(setup=setup), str(target)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=120,
        check=False,
        **settings,
    )
    assert run.returncode == 7, run.stderr
    assert len(run.stdout.strip().splitlines()) == 1
    return run.stdout


def test_a_full_disk(tmp_path: Path) -> None:
    """The kernel refuses to let the file grow, as it does when the disk is full."""
    pytest.importorskip("resource")
    setup = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))"
    message = in_subprocess(setup, tmp_path / "a.mp4")
    assert "cannot be written" in message
    assert "free space" in message
    assert names(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_no_space_for_the_header(tmp_path: Path) -> None:
    setup = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"
    assert "cannot be written" in in_subprocess(setup, tmp_path / "a.mp4")
    assert names(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")
def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    setup = ""
    if os.geteuid() == 0:  # root may write anywhere: give the right up, after importing
        for parent in (tmp_path, *tmp_path.parents):  # pytest's own folders are closed to others
            if parent.is_relative_to(tempfile.gettempdir()) and parent.stat().st_uid == 0:
                parent.chmod(stat.S_IMODE(parent.stat().st_mode) | 0o011)
        setup = "import os; import av.filter; os.setgid(65534); os.setuid(65534)"
    message = in_subprocess(setup, folder / "a.mp4")
    assert "may write" in message
    assert names(folder) == []
