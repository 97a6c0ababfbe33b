"""More than 8 bits and transparency, judged by FFmpeg's tools and by arithmetic."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from srsdk.errors import InputError, VideoError
from srsdk.video import EncodeOptions, VideoReader, enhance_video
from srsdk.video.samples import Samples

pytestmark = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg")

WIDTH, HEIGHT = 96, 64


class Bicubic:
    """Doubles frames as a generator does: 8 bits in, 8 bits out."""

    scale = 2

    def __call__(self, frame: Any, out: Any = None) -> Any:
        height, width = frame.shape[:2]
        return cv2.resize(frame, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)


class Inverter(Bicubic):
    """As a generator that changes much."""

    def __call__(self, frame: Any, out: Any = None) -> Any:
        return 255 - super().__call__(frame)


def planes(bits: int) -> list[Any]:
    """Y', Cb and Cr of slow gradients, for every pixel, as numbers of 10 bits or more."""
    x, y = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    unit = 1 << (bits - 10)
    luma = np.round((400 + 200 * x) * unit)
    return [luma, np.round((512 + 60 * y) * unit), np.round((512 - 50 * x * y) * unit)]


def write(path: Path, pixel_format: str, values: list[Any], *options: str, frames: int = 3) -> Path:
    """Store planes losslessly."""
    raw = b"".join(plane.astype("<u2").tobytes() for plane in values) * frames
    source = ["-f", "rawvideo", "-pix_fmt", pixel_format, "-s", f"{WIDTH}x{HEIGHT}", "-i", "-"]
    command = ["ffmpeg", "-v", "error", "-y", *source, "-c:v", "ffv1", *options, str(path)]
    subprocess.run(command, input=raw, check=True)
    return path


def luma(path: Path, pixel_format: str = "gray10le") -> Any:
    """The first frame's luma as numbers, read by FFmpeg."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-frames:v", "1", "-f", "rawvideo"]
    command += ["-vf", "extractplanes=y", "-pix_fmt", pixel_format, "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, "<u2").reshape(2 * HEIGHT, 2 * WIDTH).astype(float)


def expected_bgr(values: list[Any], bits: int, *, full: bool) -> Any:
    """BT.709, by its definition, in levels of 8 bits."""
    unit = 1 << (bits - 8)
    if full:
        y, cb, cr = (values[0] / (256 * unit - 1), *(v / (256 * unit - 1) for v in values[1:]))
        cb, cr = cb - 128 * unit / (256 * unit - 1), cr - 128 * unit / (256 * unit - 1)
    else:
        y = (values[0] - 16 * unit) / (219 * unit)
        cb, cr = ((v - 128 * unit) / (224 * unit) for v in values[1:])
    red, blue = y + 1.5748 * cr, y + 1.8556 * cb
    green = (y - 0.2126 * red - 0.0722 * blue) / 0.7152
    return 255 * np.stack([blue, green, red], axis=-1)


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("full", [False, True])
def test_every_bit_is_read(tmp_path: Path, bits: int, full: bool) -> None:
    values = planes(bits)
    tags = ["-colorspace", "bt709", "-color_range", "pc" if full else "tv"]
    source = write(tmp_path / "in.mkv", f"yuv444p{bits}le", values, *tags)
    with VideoReader(source) as reader:
        assert (reader.info.samples.bits, reader.info.samples.alpha) == (bits, False)
        frame = next(iter(reader))
    right = expected_bgr(values, bits, full=full)
    assert frame.deep is not None
    assert np.abs(frame.deep / 256 - right).max() < 0.06  # a quarter of a level of 10 bits
    assert np.abs(frame.pixels - right).max() < 0.6


def test_rgb_of_ten_bits_is_read(tmp_path: Path) -> None:
    values = planes(10)
    source = write(tmp_path / "in.mkv", "gbrp10le", values)
    with VideoReader(source) as reader:
        frame = next(iter(reader))
    right = 255 * np.stack([values[1], values[0], values[2]], axis=-1) / 1023
    assert frame.deep is not None
    assert np.abs(frame.deep / 256 - right).max() < 0.06


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
def test_smooth_areas_keep_their_steps(tmp_path: Path, codec: str) -> None:
    """A gradient of 10 bits comes out with its steps, where one of 8 bits has a quarter of them."""
    values = planes(10)
    flat = [values[0], *(np.full((HEIGHT // 2, WIDTH // 2), 512) for _ in range(2))]
    source = write(tmp_path / "in.mkv", "yuv420p10le", flat)
    right = cv2.resize(flat[0], (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_CUBIC)
    found = {}
    for name, pixel_format in (("deep", None), ("shallow", "yuv420p")):
        target = tmp_path / f"{name}.mkv"
        encode = EncodeOptions(codec=codec, crf=1, pixel_format=pixel_format)
        report = enhance_video(source, target, Bicubic(), encode=encode)
        assert bool(report.warnings) == (name == "shallow")
        found[name] = np.abs(luma(target) - right)[8:-8, 8:-8].mean()
    assert found["deep"] < 0.4
    assert found["shallow"] > 2 * found["deep"]


def test_what_the_generator_changes_is_there(tmp_path: Path) -> None:
    values = planes(10)
    flat = [values[0], *(np.full((HEIGHT // 2, WIDTH // 2), 512) for _ in range(2))]
    source, target = write(tmp_path / "in.mkv", "yuv420p10le", flat), tmp_path / "out.mkv"
    enhance_video(source, target, Inverter(), encode=EncodeOptions(crf=1))
    large = cv2.resize(flat[0], (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_CUBIC)
    assert np.abs(luma(target) - (64 + 940 - large)).mean() < 3  # within an 8-bit level


def test_another_size_keeps_the_bits(tmp_path: Path) -> None:
    from srsdk.video import OutputSize

    values = planes(10)
    flat = [values[0], *(np.full((HEIGHT // 2, WIDTH // 2), 512) for _ in range(2))]
    source, target = write(tmp_path / "in.mkv", "yuv420p10le", flat), tmp_path / "out.mkv"

    class Quadrupler(Bicubic):
        scale = 4

        def __call__(self, frame: Any, out: Any = None) -> Any:
            return super().__call__(super().__call__(frame))

    encode = EncodeOptions(crf=1)
    enhance_video(source, target, Quadrupler(), size=OutputSize(scale=2), encode=encode)
    right = cv2.resize(flat[0], (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_CUBIC)
    assert np.abs(luma(target) - right)[8:-8, 8:-8].mean() < 0.6


def test_vp9_holds_10_bits_or_says_how_to_go_on(tmp_path: Path) -> None:
    """libvpx can be built with high bit depth; the one that PyAV's wheels carry is not."""
    source, target = write(tmp_path / "in.mkv", "yuv420p10le", planes(10)), tmp_path / "out.webm"
    if "yuv420p10le" in [known.name for known in av.Codec("libvpx-vp9", "w").video_formats or ()]:
        enhance_video(source, target, Bicubic())
        with av.open(str(target)) as container:
            assert container.streams.video[0].codec_context.pix_fmt == "yuv420p10le"
        return
    with pytest.raises(VideoError, match=r'was built for 8; choose codec="libsvtav1"'):
        enhance_video(source, target, Bicubic())
    encode = EncodeOptions.for_format("webm", pixel_format="yuv420p10le")
    with pytest.raises(InputError, match=r"not one that libvpx-vp9 here takes; .* yuv420p,"):
        enhance_video(source, target, Bicubic(), encode=encode)
    enhance_video(source, target, Bicubic(), encode=EncodeOptions(codec="libsvtav1"))
    with av.open(str(target)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p10le"


@pytest.mark.parametrize("codec", ["h264_qsv", "h264_nvenc", "libx264"])
def test_the_pixel_format_is_one_that_the_encoder_takes(codec: str) -> None:
    """Intel's encoders take nv12 only."""
    try:
        takes = [known.name for known in av.Codec(codec, "w").video_formats or ()]
    except ValueError:
        pytest.skip(f"FFmpeg here lacks {codec}")
    fitted = EncodeOptions(codec=codec).fitted(Samples(), Path("out.mp4"), "the input")
    assert fitted.pixel_format in takes


def test_an_encoder_of_8_bits_is_refused(tmp_path: Path) -> None:
    if "yuv420p10le" in [known.name for known in av.Codec("libvpx-vp9", "w").video_formats or ()]:
        pytest.skip("libvpx here holds 10 bits")
    source = write(tmp_path / "in.mkv", "yuv444p10le", planes(10))
    with pytest.raises(VideoError, match=r'10 bits.*libvpx-vp9 .*8.*codec="libsvtav1"'):
        enhance_video(source, tmp_path / "out.webm", Bicubic())
    report = enhance_video(
        source,
        tmp_path / "out.webm",
        Bicubic(),
        encode=EncodeOptions.for_format("webm", pixel_format="yuv420p"),
    )
    assert report.warnings == ("its 10 bits per component are stored as 8",)


def test_transparency_with_more_than_8_bits_is_asked_for(tmp_path: Path) -> None:
    values = [*planes(10), np.full((HEIGHT, WIDTH), 1023)]
    source = write(tmp_path / "in.mkv", "yuva444p10le", values)
    with pytest.raises(VideoError, match=r'10 bits.*pixel_format="yuva420p"'):
        enhance_video(source, tmp_path / "out.webm", Bicubic())
    encode = EncodeOptions.for_format("webm", pixel_format="yuva420p")
    enhance_video(source, tmp_path / "out.webm", Bicubic(), encode=encode)
    command = ["ffmpeg", "-v", "error", "-c:v", "libvpx-vp9", "-i", str(tmp_path / "out.webm")]
    command += ["-vf", "alphaextract", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    assert np.frombuffer(raw, np.uint8).min() >= 254
