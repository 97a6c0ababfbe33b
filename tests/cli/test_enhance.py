"""`srsdk enhance` on good input."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from srsdk import Upscaler
from tests.cli.conftest import FAST, Run, clip, count_frames, decoded, files, image, picture


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_keeps_gray_colour_and_alpha(tmp_path: Path, run: Run, channels: int) -> None:
    source = image(tmp_path / "in.png", channels)
    result = run("enhance", source, "-o", tmp_path / "out.png", *FAST)
    assert result.code == 0, result.err
    expected = Upscaler("bicubic-x2")(picture(channels=channels))
    np.testing.assert_array_equal(decoded(tmp_path / "out.png"), expected)
    assert files(tmp_path) == ["in.png", "out.png"]


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp", ".JPG"])
def test_lossy_formats_stay_close(tmp_path: Path, run: Run, suffix: str) -> None:
    source = image(tmp_path / "in.png")
    target = tmp_path / f"out{suffix}"
    assert run("enhance", source, "-o", target, *FAST).code == 0
    expected = Upscaler("bicubic-x2")(picture()).astype(int)
    assert np.abs(decoded(target).astype(int) - expected).mean() < 2


def test_content_decides_over_the_name(tmp_path: Path, run: Run) -> None:
    source = image(tmp_path / "in.png").rename(tmp_path / "in.dat")
    assert run("enhance", source, "-o", tmp_path / "out.png", *FAST).code == 0
    assert decoded(tmp_path / "out.png").shape == (48, 80, 3)


def _with_exif(jpeg: bytes, orientation: int) -> bytes:
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, run: Run, orientation: int) -> None:
    plain = image(tmp_path / "plain.jpg")
    source = tmp_path / "in.jpg"
    source.write_bytes(_with_exif(plain.read_bytes(), orientation))
    assert run("enhance", source, "-o", tmp_path / "out.png", *FAST).code == 0
    upright = cv2.imread(str(source), cv2.IMREAD_COLOR)  # OpenCV's own reading of the tag
    assert upright is not None
    expected = Upscaler("bicubic-x2")(upright)
    np.testing.assert_array_equal(decoded(tmp_path / "out.png"), expected)


@pytest.mark.skipif(not hasattr(cv2, "imencodeWithMetadata"), reason="OpenCV cannot write profiles")
@pytest.mark.parametrize(("before", "after"), [("png", "jpg"), ("jpg", "webp"), ("webp", "png")])
def test_colour_profile_is_kept(tmp_path: Path, run: Run, before: str, after: str) -> None:
    pil = pytest.importorskip("PIL.Image")
    cms = pytest.importorskip("PIL.ImageCms")
    profile = cms.ImageCmsProfile(cms.createProfile("sRGB")).tobytes()
    source = tmp_path / f"in.{before}"
    pil.fromarray(picture()).save(source, icc_profile=profile)
    target = tmp_path / f"out.{after}"
    assert run("enhance", source, "-o", target, *FAST).code == 0
    with pil.open(target) as opened:
        assert opened.info["icc_profile"] == profile


def test_video_keeps_frames_and_sound(tmp_path: Path, run: Run) -> None:
    source = clip(tmp_path / "in.mp4")
    result = run("enhance", source, "-o", tmp_path / "out.mp4", *FAST)
    assert result.code == 0, result.err
    assert count_frames(tmp_path / "out.mp4") == (10, (128, 96), 1)
    assert len(result.err.splitlines()) == 1
    assert "10 frames" in result.err
    assert "fps" in result.err


def test_video_options(tmp_path: Path, run: Run) -> None:
    source = clip(tmp_path / "in.mp4", frames=4)
    options = ("--codec", "libx265", "--crf", "30", "--preset", "ultrafast")
    target = tmp_path / "out.mkv"
    result = run(
        "enhance", source, "-o", target, *FAST, *options, "--pixel-format", "yuv444p", "-q"
    )
    assert (result.code, result.err) == (0, "")
    import av

    with av.open(str(target)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("hevc", "yuv444p")


def test_compare_shows_both_halves(tmp_path: Path, run: Run) -> None:
    source, film = image(tmp_path / "in.png"), clip(tmp_path / "in.mp4", frames=3)
    assert run("enhance", source, "-o", tmp_path / "out.png", *FAST, "--compare").code == 0
    beside, alone = decoded(tmp_path / "out.compare.png"), decoded(tmp_path / "out.png")
    assert beside.shape == (48, 160, 3)
    np.testing.assert_array_equal(beside[:, 80:], alone)
    np.testing.assert_array_equal(beside[:, :80], alone)  # the model is bicubic as well
    assert run("enhance", film, "-o", tmp_path / "out.mp4", *FAST, "--compare").code == 0
    assert count_frames(tmp_path / "out.compare.mp4") == (3, (256, 96), 1)


def test_report_of_a_video_and_an_image(tmp_path: Path, run: Run) -> None:
    film, still = clip(tmp_path / "a.mp4"), image(tmp_path / "b.png")
    out, report = tmp_path / "out", tmp_path / "report.json"
    assert run("enhance", film, still, "-o", out, *FAST, "--report", report).code == 0
    record = json.loads(report.read_text("utf-8"))
    assert (record["model"], record["backend"], record["face_model"]) == (
        "bicubic-x2",
        "bicubic",
        None,
    )
    assert (record["frames"], record["faces"], record["failed"]) == (11, 0, 0)
    assert record["fps"] == pytest.approx(11 / record["wall"])
    assert {"decode", "process", "encode", "process.frame"} <= record["seconds"].keys()
    assert all(value >= 0 for value in record["seconds"].values())
    first, second = record["files"]
    assert (first["kind"], first["frames"], first["input_size"]) == ("video", 10, [64, 48])
    assert (second["kind"], second["frames"], second["output_size"]) == ("image", 1, [80, 48])
    assert first["video"]["audio_tracks"] == 1
    assert record["versions"]["numpy"] == np.__version__


def test_report_to_stdout_is_nothing_but_json(tmp_path: Path, run: Run) -> None:
    source = image(tmp_path / "in.png")
    result = run("enhance", source, "-o", tmp_path / "out.png", *FAST, "--report", "-")
    assert json.loads(result.out)["frames"] == 1


def test_folder_with_mixed_contents(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    image(folder / "a.png")
    image(folder / "deep" / "b.jpg")
    clip(folder / "c.avi", frames=3, sound=False)
    (folder / "notes.txt").write_text("no picture")
    image(folder / ".hidden.png")
    result = run("enhance", folder, "-o", tmp_path / "out", *FAST)
    assert result.code == 0, result.err
    assert files(tmp_path / "out") == ["a.png", "c.mkv"]
    assert f"skipped {folder / 'notes.txt'}: no image or video" in result.err
    deep = run("enhance", folder, "-o", tmp_path / "deep", *FAST, "--recursive")
    assert deep.code == 0
    assert files(tmp_path / "deep") == ["a.png", "c.mkv", "deep/b.jpg"]


def test_recursive_leaves_its_own_output_alone(tmp_path: Path, run: Run) -> None:
    image(tmp_path / "a.png")
    for _ in range(2):
        result = run("enhance", tmp_path, "-o", tmp_path / "out", *FAST, "-r", "--overwrite")
        assert result.code == 0, result.err
    assert files(tmp_path) == ["a.png", "out/a.png"]


def test_output_folder_forms(tmp_path: Path, run: Run) -> None:
    source = image(tmp_path / "a.png")
    assert run("enhance", source, "-o", f"{tmp_path}/new/", *FAST).code == 0
    (tmp_path / "old").mkdir()
    assert run("enhance", source, "-o", tmp_path / "old", *FAST).code == 0
    assert files(tmp_path) == ["a.png", "new/a.png", "old/a.png"]


@pytest.mark.parametrize("name", ["two words.png", "Zoë 顔 🙂.png", "-dash.png", "a[b]:c.png"])
def test_names(tmp_path: Path, run: Run, name: str) -> None:
    source = image(tmp_path / "plain.png").rename(tmp_path / name)
    film = clip(tmp_path / "plain.mp4", frames=2).rename(tmp_path / f"{name}.mp4")
    result = run("enhance", source, film, "-o", tmp_path / "out", *FAST)
    assert result.code == 0, result.err
    assert files(tmp_path / "out") == sorted([name, f"{name}.mp4"])


def test_overwrite(tmp_path: Path, run: Run) -> None:
    source, target = image(tmp_path / "in.png"), tmp_path / "out.png"
    target.write_bytes(b"old")
    refused = run("enhance", source, "-o", target, *FAST)
    assert refused.code == 2
    assert "--overwrite" in refused.error
    assert target.read_bytes() == b"old"
    assert run("enhance", source, "-o", target, *FAST, "--overwrite").code == 0
    assert decoded(target).shape == (48, 80, 3)


def test_trained_model_with_faces(tmp_path: Path, run: Run) -> None:
    """The models of the zoo on a real face: the demo's picture, as one image and as a video."""
    source = Path(__file__).parents[2] / "examples" / "portrait.mp4"
    import av

    with av.open(str(source)) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="bgr24")
    cv2.imwrite(str(tmp_path / "in.png"), frame)
    report = tmp_path / "report.json"
    result = run(
        "enhance", tmp_path / "in.png", "-o", tmp_path / "out.png", "-f", "srresnet-x4",
        "--report", report,
    )  # fmt: skip
    assert result.code == 0, result.err
    record = json.loads(report.read_text("utf-8"))
    assert (record["model"], record["face_model"]) == ("edge-x4", "srresnet-x4")
    assert record["faces"] >= 1
    assert {"process.detect", "process.faces", "process.blend"} <= record["seconds"].keys()
    done = record["files"][0]["face_path"]
    assert (done["tracks"], done["mean_strength"], done["comparisons"]) == (1, 1, 0)
    with Upscaler("edge-x4", faces="srresnet-x4") as upscaler:
        np.testing.assert_array_equal(decoded(tmp_path / "out.png"), upscaler(frame))
    again = (tmp_path / "in.png", "-o", tmp_path / "none.png", "-f", "srresnet-x4")
    result = run("enhance", *again, "--max-face", "17", "--report", "-")
    assert json.loads(result.out)["faces"] == 0
    result = run("enhance", *again, "--strength", "0.5", "--guard", "--report", "-", "--overwrite")
    done = json.loads(result.out)["files"][0]["face_path"]
    assert done["comparisons"] == 1
    assert 0 < done["mean_strength"] <= 0.5
    assert 0 < done["mean_distance"] < 0.5
