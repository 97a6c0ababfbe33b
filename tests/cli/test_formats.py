"""Files, names and options that users of such tools bring along."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, features

from srsdk import Upscaler
from tests.cli.conftest import (
    FAST,
    Run,
    clip,
    count_frames,
    decoded,
    files,
    image,
    picture,
    program,
)


def _pil() -> Any:
    return Image.fromarray(np.ascontiguousarray(picture()[..., ::-1]))


@pytest.mark.parametrize("suffix", [".bmp", ".tif", ".jp2", ".ppm", ".png", ".webp"])
def test_lossless_formats_are_exact(tmp_path: Path, run: Run, suffix: str) -> None:
    source = tmp_path / f"in{suffix}"
    options = {".webp": {"lossless": True}, ".jp2": {"irreversible": False}}.get(suffix, {})
    _pil().save(source, **options)
    assert run("enhance", source, "-o", tmp_path / "out.png", *FAST).code == 0
    expected = Upscaler("bicubic-x2")(picture())
    np.testing.assert_array_equal(decoded(tmp_path / "out.png"), expected)
    for target in ("out.bmp", "out.tif", "out.jp2"):
        assert run("enhance", source, "-o", tmp_path / target, *FAST).code == 0
        with Image.open(tmp_path / target) as written:
            np.testing.assert_array_equal(np.asarray(written)[..., ::-1], expected)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif(tmp_path: Path, run: Run) -> None:
    _pil().save(tmp_path / "in.avif", quality=100, subsampling="4:4:4")
    assert run("enhance", tmp_path / "in.avif", "-o", tmp_path / "out.avif", *FAST).code == 0
    with Image.open(tmp_path / "out.avif") as written:
        assert written.size == (80, 48)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animations_keep_their_pictures_and_times(tmp_path: Path, run: Run, suffix: str) -> None:
    stills = [Image.new("RGB", (20, 16), (60 * index, 90, 30)) for index in range(4)]
    source = tmp_path / f"in{suffix}"
    times = [100, 200, 50, 300]
    more: dict[str, Any] = {"save_all": True, "append_images": stills[1:], "duration": times}
    stills[0].save(source, loop=0, **more)
    assert run("enhance", source, "-o", tmp_path / f"out{suffix}", *FAST).code == 0
    with Image.open(tmp_path / f"out{suffix}") as written:
        assert (written.n_frames, written.size) == (4, (40, 32))
        for index in range(4):
            written.seek(index)
            written.load()
            assert written.info["duration"] == times[index]
            color = np.asarray(written.convert("RGB"))[8, 8].astype(int)
            assert np.abs(color - [60 * index, 90, 30]).max() <= 6
    assert run("enhance", source, "-o", tmp_path / "out.jpg", *FAST).code == 2


def test_an_opaque_gif_becomes_a_video(tmp_path: Path, run: Run) -> None:
    stills = [Image.new("RGB", (20, 16), (60 * index, 90, 30)) for index in range(4)]
    stills[0].save(tmp_path / "in.gif", save_all=True, append_images=stills[1:], duration=100)
    result = run("enhance", tmp_path / "in.gif", "-o", tmp_path / "out.mp4", *FAST)
    assert result.code == 0, result.err
    assert count_frames(tmp_path / "out.mp4")[:2] == (4, (40, 32))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_camera_data_are_kept(tmp_path: Path, run: Run, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x8298], exif[0x0112] = "Cam", "Me", 6
    exif.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    _pil().save(tmp_path / "in.jpg", exif=exif)
    assert run("enhance", tmp_path / "in.jpg", "-o", tmp_path / f"out{suffix}", *FAST).code == 0
    with Image.open(tmp_path / f"out{suffix}") as written:
        kept = written.getexif()
        assert (kept[0x010F], kept[0x8298]) == ("Cam", "Me")
        assert kept.get(0x0112, 1) == 1
        assert kept.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
        assert written.size == (48, 80)
    result = run("enhance", tmp_path / "in.jpg", "-o", tmp_path / "out.bmp", *FAST)
    assert "does not hold the camera data" in result.err


@pytest.mark.parametrize("bits", ["gray", "tiff", "jp2"])
def test_more_than_eight_bits_are_refused(tmp_path: Path, run: Run, bits: str) -> None:
    deep = np.full((16, 16), 40_000, np.uint16)
    name = {"gray": "in.png", "tiff": "in.tif", "jp2": "in.jp2"}[bits]
    Image.fromarray(deep).save(tmp_path / name)
    result = run("enhance", tmp_path / name, "-o", tmp_path / "out.png", *FAST)
    assert result.code == 2
    assert "16 bits" in result.error


def test_jpeg_quality(tmp_path: Path, run: Run) -> None:
    source = image(tmp_path / "in.png")
    for quality in ("30", "95"):
        target = tmp_path / f"{quality}.jpg"
        assert run("enhance", source, "-o", target, *FAST, "--jpeg-quality", quality).code == 0
    assert (tmp_path / "30.jpg").stat().st_size < (tmp_path / "95.jpg").stat().st_size
    assert run("enhance", source, "-o", tmp_path / "x.jpg", "--jpeg-quality", "0").code == 2


@pytest.mark.parametrize("name", ["~clip 1.mp4", "./~clip 1.mp4", "~nobody-here/in.mp4"])
def test_names_that_begin_with_a_tilde(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    clip(path, frames=2)
    result = run("enhance", name, "-o", "~out.mp4", *FAST)
    assert result.code == 0, result.err
    assert (tmp_path / "~out.mp4").is_file()


def test_pictures_become_a_video_and_a_video_pictures(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for index in (1, 2, 10):
        Image.new("RGB", (20, 16), (20 * index, 90, 30)).save(folder / f"f{index}.png")
    (folder / "notes.txt").write_text("no picture")
    options = (*FAST, "--rate", "5", "--crf", "1")
    result = run("enhance", folder, "-o", tmp_path / "out.mp4", *options)
    assert result.code == 0, result.err
    assert "skipped" in result.err
    with av.open(str(tmp_path / "out.mp4")) as container:
        frames = list(container.decode(video=0))
        assert [round(float(frame.time), 3) for frame in frames] == [0, 0.2, 0.4]
        reds = [float(frame.to_ndarray(format="rgb24")[..., 0].mean()) for frame in frames]
    assert np.abs(np.array(reds) - [20, 40, 200]).max() < 4
    target = tmp_path / "frames" / "%03d.png"
    result = run("enhance", tmp_path / "out.mp4", "-o", target, *FAST)
    assert result.code == 0, result.err
    assert files(tmp_path / "frames") == ["001.png", "002.png", "003.png"]
    again = run("enhance", tmp_path / "out.mp4", "-o", target, *FAST)
    assert again.code == 2
    assert "not empty" in again.error


def test_pictures_of_several_sizes_make_no_video(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("RGB", (20, 16)).save(folder / "1.png")
    Image.new("RGB", (20, 18)).save(folder / "2.png")
    result = run("enhance", folder, "-o", tmp_path / "out.mp4", *FAST)
    assert result.code in (1, 2)
    assert "2.png is 20x18" in result.error
    assert files(tmp_path) == ["in/1.png", "in/2.png"]


def test_a_part_of_a_video(tmp_path: Path, run: Run) -> None:
    source = clip(tmp_path / "in.mp4", frames=60)
    options = (*FAST, "--start", "0:01", "--duration", "0.4")
    assert run("enhance", source, "-o", tmp_path / "out.mp4", *options).code == 0
    with av.open(str(tmp_path / "out.mp4")) as container:
        times = [round(float(frame.time), 3) for frame in container.decode(video=0)]
    assert times == [round(index * 0.04, 3) for index in range(10)]
    for bad in (("--start", "soon"), ("--duration", "0"), ("--start", "99")):
        assert run("enhance", source, "-o", tmp_path / "x.mp4", *FAST, *bad).code == 2


@pytest.mark.parametrize(
    ("options", "size"),
    [
        (("--scale", "1.5"), (96, 72)),
        (("--size", "x96"), (128, 96)),
        (("--size", "50x40"), (50, 40)),
    ],
)
def test_any_size(tmp_path: Path, run: Run, options: tuple[str, ...], size: Any) -> None:
    source, still = clip(tmp_path / "in.mp4", frames=2), image(tmp_path / "in.png", 3, 64, 48)
    assert run("enhance", source, "-o", tmp_path / "out.mp4", *FAST, *options).code == 0
    assert count_frames(tmp_path / "out.mp4")[1] == size
    assert run("enhance", still, "-o", tmp_path / "out.png", *FAST, *options).code == 0
    with Image.open(tmp_path / "out.png") as written:
        assert written.size == size


def test_skip_existing(tmp_path: Path, run: Run) -> None:
    (tmp_path / "in").mkdir()
    image(tmp_path / "in" / "a.png")
    clip(tmp_path / "in" / "b.mp4", frames=2)
    out = tmp_path / "out"
    assert run("enhance", tmp_path / "in", "-o", out, *FAST).code == 0
    (out / "a.png").unlink()
    before = (out / "b.mp4").read_bytes()
    report = tmp_path / "report.json"
    options = (*FAST, "--skip-existing", "--report", report)
    result = run("enhance", tmp_path / "in", "-o", out, *options)
    assert result.code == 0
    assert files(out) == ["a.png", "b.mp4"]
    assert (out / "b.mp4").read_bytes() == before
    skipped = json.loads(report.read_text("utf-8"))["skipped"]
    assert [Path(item["path"]).name for item in skipped] == ["b.mp4"]


def _piped(arguments: list[str], data: bytes) -> bytes:
    code = "from srsdk.cli import main; main()"
    command = [sys.executable, "-c", code, "enhance", *arguments, *FAST]
    done = subprocess.run(command, input=data, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_yuv4mpeg_through_pipes(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="yuv4mpegpipe") as container:
        stream: Any = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 40, 24, "yuv420p"
        for index in range(5):
            frame = av.VideoFrame.from_ndarray(picture(), format="bgr24").reformat(format="yuv420p")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    written = _piped(["-", "-o", "-"], buffer.getvalue())
    assert written.startswith(b"YUV4MPEG2 W80 H48 F25:1")
    with av.open(io.BytesIO(written)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 5


def test_raw_pixels_through_pipes() -> None:
    frame = picture()
    written = _piped(["-", "-o", "-", "--raw", "40x24"], frame.tobytes() * 3)
    results = np.frombuffer(written, np.uint8).reshape(3, 48, 80, 3)
    np.testing.assert_array_equal(results[1], Upscaler("bicubic-x2")(frame))


def test_hardware_that_is_not_there_is_an_error(tmp_path: Path, run: Run) -> None:
    source = clip(tmp_path / "in.mp4", frames=2)
    for codec in ("h264_v4l2m2m", "h264_videotoolbox", "h264_nvenc"):
        result = run("enhance", source, "-o", tmp_path / "out.mp4", *FAST, "--codec", codec)
        if result.code == 0:
            pytest.skip("it is there")
        assert result.code == 2
        assert codec in result.error
        assert "libx264" in result.error
        assert files(tmp_path) == ["in.mp4"]


def _with_sound(path: Path, codec: str) -> Path:
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound: Any = container.add_stream(codec, rate=48000)
        for index in range(12):
            frame = av.VideoFrame.from_ndarray(picture(64, 48), format="bgr24")
            frame.pts = index
            container.mux(video.encode(frame))
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 1920), np.int16), layout="stereo")
            tone.sample_rate, tone.pts = 48000, 1920 * index
            container.mux(sound.encode(tone))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path


def test_sound_that_does_not_fit_is_refused_with_what_would_do(tmp_path: Path, run: Run) -> None:
    source = _with_sound(tmp_path / "in.avi", "adpcm_ms")
    refused = run("enhance", source, "-o", tmp_path / "out.mp4", *FAST)
    assert refused.code == 2
    assert "audio track 1 (adpcm_ms)" in refused.error
    assert "--audio aac" in refused.error
    assert "--audio none" in refused.error
    assert run("enhance", source, "-o", tmp_path / "a.mp4", *FAST, "--audio", "aac").code == 0
    with av.open(str(tmp_path / "a.mp4")) as container:
        sound = container.streams.audio[0]
        assert sound.codec_context.name == "aac"
        samples = sum(frame.samples for frame in container.decode(audio=0))
        assert abs(samples - 12 * 1920) <= 2048
    none = run("enhance", source, "-o", tmp_path / "n.mp4", *FAST, "--audio", "none")
    assert none.code == 0
    assert "left out audio track 1 (adpcm_ms), as asked" in none.err
    assert count_frames(tmp_path / "n.mp4") == (12, (128, 96), 0)


def test_network_addresses_are_refused_as_such(tmp_path: Path, run: Run) -> None:
    result = run("enhance", "https://example.org/a.mp4", "-o", tmp_path / "out.mp4")
    assert result.code == 2
    assert "https://example.org/a.mp4 is a network address" in result.error


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "libvpx-vp9"])
def test_encoders_write_nothing_on_stderr(tmp_path: Path, codec: str) -> None:
    source = clip(tmp_path / "in.mp4", frames=3)
    target = str(tmp_path / "out.mkv")
    code = "from srsdk.cli import main; main()"
    command = [sys.executable, "-c", code, "enhance", str(source), "-o", target, "-q", *FAST]
    done = subprocess.run([*command, "--codec", codec], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_frames_at_uneven_times_are_told_where_only_a_rate_is_kept(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", frames=20, sound=False)
    drop = ["ffmpeg", "-v", "error", "-i", str(source), "-vf", "select='lt(n,5)+gt(n,12)'"]
    if not shutil.which("ffmpeg"):
        pytest.skip("needs ffmpeg")
    subprocess.run([*drop, "-vsync", "vfr", str(tmp_path / "vfr.mkv")], check=True)
    for name, told in (("in.mp4", False), ("vfr.mkv", True)):
        process = program("enhance", tmp_path / name, "-o", "-", *FAST, text=False)
        out, err = map(bytes, process.communicate())
        assert process.returncode == 0
        assert out.startswith(b"YUV4MPEG2")
        assert (b"not evenly spaced" in err) == told


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    process = program("enhance", clip(tmp_path / "in.mp4", sound=False), "-o", "-", *FAST)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_everything_left_out_of_a_folder_is_named(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    image(folder / "a.png")
    (folder / "notes.txt").write_text("hello")
    (folder / "gone.mp4").symlink_to("nowhere")
    result = run("enhance", folder, "-o", tmp_path / "out", *FAST)
    assert result.code == 0
    assert "notes.txt: no image or video" in result.err
    assert "gone.mp4: no regular file" in result.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["in.mp4", "-o", "out.mp4", "--start", "9"], "no frame after 9 s; it lasts 0.4 s"),
        (["in.mp4", "-o", "out.mp4", "--size", "101x67"], "choose the size 102x68"),
        (["in.mp4", "-o", "o%d.mp4"], "stands for the number of a picture"),
        (["in.mp4", "-o", "out.mp4", "--size", "40000x"], "--codec libx265"),
    ],
)
def test_messages_say_what_would_do(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    clip(tmp_path / "in.mp4", sound=False)
    monkeypatch.chdir(tmp_path)
    assert words in run("enhance", *arguments, *FAST).error


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg")
def test_transparent_pictures_become_a_transparent_video(tmp_path: Path, run: Run) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        clear = Image.new("RGBA", (40, 24), (60, 90, 30, 80))
        clear.save(tmp_path / "in" / f"{number}.png")
    assert run("enhance", tmp_path / "in", "-o", tmp_path / "out.webm", *FAST).code == 0
    command = ["ffmpeg", "-v", "error", "-c:v", "libvpx-vp9", "-i", str(tmp_path / "out.webm")]
    command += ["-vf", "alphaextract", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    assert np.abs(np.frombuffer(raw, np.uint8).reshape(3, 48, 80).astype(int) - 80).max() <= 2
    refused = run("enhance", tmp_path / "in", "-o", tmp_path / "out.mp4", *FAST)
    assert "name the output .webm" in refused.error
    Image.new("RGB", (40, 24)).save(tmp_path / "in" / "0.png")
    assert "transparency" in run("enhance", tmp_path / "in", "-o", tmp_path / "o.webm", *FAST).error
