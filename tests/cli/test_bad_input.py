"""`srsdk enhance` on bad input: one line, the right exit code, nothing half-written."""

from __future__ import annotations

import json
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import FAST, Run, clip, files, image, is_root


def _cut(path: Path, share: float = 0.6) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    return path


def _refused(run: Run, source: Path, target: Path, *options: str) -> str:
    """Run a command that must be refused and leave only its input; return its error."""
    before = files(source.parent)
    result = run("enhance", source, "-o", target, *(options or FAST))
    assert result.code == 2, result.err
    assert result.out == ""
    assert files(source.parent) == before
    return result.error


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("share", [0.05, 0.6, 0.98])
def test_truncated_image(tmp_path: Path, run: Run, suffix: str, share: float) -> None:
    source = _cut(image(tmp_path / f"in{suffix}"), share)
    assert str(source) in _refused(run, source, tmp_path / "out.png")


@pytest.mark.parametrize("name", ["in.png", "in.jpg", "in.webp", "in.mp4", "in.mkv"])
def test_empty_file(tmp_path: Path, run: Run, name: str) -> None:
    source = tmp_path / name
    source.write_bytes(b"")
    target = tmp_path / ("out.mp4" if source.suffix in (".mp4", ".mkv") else "out.png")
    assert "0 bytes" in _refused(run, source, target)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_truncated_video(tmp_path: Path, run: Run, suffix: str) -> None:
    source = _cut(clip(tmp_path / f"in{suffix}", frames=40))
    result = run("enhance", source, "-o", tmp_path / "out.mp4", *FAST)
    assert result.code in (1, 2)  # where the container shows it, before the work begins
    assert str(source) in result.error
    assert files(tmp_path) == [source.name]


def test_video_damaged_in_the_middle(tmp_path: Path, run: Run) -> None:
    source = clip(tmp_path / "in.mp4", frames=60, size=(160, 120), sound=False)
    data = bytearray(source.read_bytes())
    middle = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    data[middle : middle + 600] = bytes(range(200)) * 3
    source.write_bytes(data)
    options = (*FAST, "--compare", "--on-damage", "stop")
    result = run("enhance", source, "-o", tmp_path / "out.mp4", *options)
    assert result.code == 1
    assert "damaged" in result.error
    assert files(tmp_path) == ["in.mp4"]
    result = run("enhance", source, "-o", tmp_path / "out.mp4", *FAST)
    assert result.code == 0
    assert "warning: " in result.err
    assert "in.mp4: damaged" in result.err


@pytest.mark.parametrize("name", ["in.mp4", "in.png", "in.mkv", "in.txt", "in"])
def test_text_file(tmp_path: Path, run: Run, name: str) -> None:
    source = tmp_path / name
    source.write_text("This is no picture.\n" * 50)
    _refused(run, source, tmp_path / ("out.png" if name.endswith("png") else "out.mp4"))


def test_sound_only(tmp_path: Path, run: Run) -> None:
    source = clip(tmp_path / "in.mp4", size=(0, 0))
    assert "no video" in _refused(run, source, tmp_path / "out.mp4")


def test_corrupt_png(tmp_path: Path, run: Run) -> None:
    source = image(tmp_path / "in.png")
    data = bytearray(source.read_bytes())
    data[len(data) // 2] ^= 0xFF
    source.write_bytes(data)
    assert "damaged" in _refused(run, source, tmp_path / "out.png")


def test_sixteen_bits_are_refused(tmp_path: Path, run: Run) -> None:
    source = tmp_path / "in.png"
    cv2.imwrite(str(source), np.full((8, 8, 3), 40_000, np.uint16))
    assert "16 bits" in _refused(run, source, tmp_path / "out.png")


@pytest.mark.parametrize("suffix", [".png", ".webp", ".gif"])
def test_animations_as_stills_are_refused(tmp_path: Path, run: Run, suffix: str) -> None:
    pil = pytest.importorskip("PIL.Image")
    stills = [pil.new("RGB", (20, 20), (40 * index, 0, 0)) for index in range(3)]
    source = tmp_path / f"in{suffix}"
    stills[0].save(source, save_all=True, append_images=stills[1:])
    assert "animation" in _refused(run, source, tmp_path / "out.jpg")


def test_png_with_absurd_size(tmp_path: Path, run: Run) -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    source = tmp_path / "in.png"
    head = struct.pack(">IIBBBBB", 2_000_000, 2_000_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    source.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    _refused(run, source, tmp_path / "out.png")


def test_missing_input(tmp_path: Path, run: Run) -> None:
    result = run("enhance", tmp_path / "none.mp4", "-o", tmp_path / "out.mp4", *FAST)
    assert result.code == 2
    assert "does not exist" in result.error


def test_output_is_the_input(tmp_path: Path, run: Run) -> None:
    source = image(tmp_path / "in.png")
    (tmp_path / "link.png").symlink_to(source)
    (tmp_path / "hard.png").hardlink_to(source)
    before = source.read_bytes()
    for name in ("in.png", "link.png", "hard.png", "../" + tmp_path.name + "/in.png", "."):
        result = run("enhance", source, "-o", tmp_path / name, *FAST, "--overwrite")
        assert result.code == 2
        assert "input" in result.error
    assert source.read_bytes() == before


def test_comparison_or_report_is_an_input(tmp_path: Path, run: Run) -> None:
    source = image(tmp_path / "out.compare.png")
    before = source.read_bytes()
    options = (*FAST, "--overwrite")
    assert run("enhance", source, "-o", tmp_path / "out.png", *options, "--compare").code == 2
    report = ("--report", source)
    assert run("enhance", source, "-o", tmp_path / "out.png", *options, *report).code == 2
    assert source.read_bytes() == before
    assert files(tmp_path) == [source.name]


def test_two_results_with_one_name(tmp_path: Path, run: Run) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        image(tmp_path / folder / "in.png")
    result = run(
        "enhance", tmp_path / "a/in.png", tmp_path / "b/in.png", "-o", tmp_path / "out", *FAST
    )
    assert result.code == 2
    assert "both" in result.error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["in.png", "in.mp4"])
def test_folder_that_cannot_be_written(tmp_path: Path, run: Run, name: str) -> None:
    """A file where the folder should be, no folder at all, and a file system that says no."""
    source = image(tmp_path / name) if name.endswith("png") else clip(tmp_path / name, frames=2)
    (tmp_path / "file").write_text("kept")
    for target in (f"file/{name}", f"none/{name}"):
        assert "folder" in _refused(run, source, tmp_path / target)
    assert str(tmp_path / "file") in _refused(run, source, Path(f"{tmp_path}/file/deep/x/"), *FAST)
    assert (tmp_path / "file").read_text() == "kept"
    if Path("/proc/self").is_dir():
        result = run("enhance", source, "-o", f"/proc/{name}", *FAST)
        assert result.code in (1, 2)
        assert f"/proc/{name}" in result.error


@pytest.mark.skipif(is_root(), reason="permission bits do not bind root")
def test_folder_without_permission(tmp_path: Path, run: Run) -> None:
    source = image(tmp_path / "in.png")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert "cannot be written" in run("enhance", source, "-o", closed / "out.png", *FAST).error


@pytest.mark.parametrize(
    ("name", "target", "word"),
    [
        ("in.png", "out.mp4", ".png"),
        ("in.png", "out", ".png"),
        ("in.png", "out.tga", ".png"),
        ("in.mp4", "out.png", ".mp4"),
        ("in.mp4", "out", ".mp4"),
        ("in.mp4", "", "name"),
    ],
)
def test_wrong_ending(tmp_path: Path, run: Run, name: str, target: str, word: str) -> None:
    source = image(tmp_path / name) if name.endswith("png") else clip(tmp_path / name, frames=2)
    before = files(tmp_path)
    result = run("enhance", source, "-o", tmp_path / target if target else "", *FAST)
    assert result.code == 2
    assert word in result.error
    assert files(tmp_path) == before


def test_jpeg_has_no_alpha(tmp_path: Path, run: Run) -> None:
    source = image(tmp_path / "in.png", channels=4)
    assert "transparency" in _refused(run, source, tmp_path / "out.jpg")


def test_webp_is_too_small(tmp_path: Path, run: Run) -> None:
    source = image(tmp_path / "in.png", width=4_200, height=2)
    assert "16383" in _refused(run, source, tmp_path / "out.webp", "--model", "bicubic-x4")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--model", "edge-x5"), "edge-x5"),
        (("--model", "none.onnx"), "none.onnx"),
        (("--model", "bicubic-x2", "--faces", "nobody"), "nobody"),
        (("--model", "bicubic-x2", "--faces", "srresnet-x4"), "scale"),
        (("--model", "bicubic-x2", "--backend", "abacus"), "abacus"),
        (("--model", "bicubic-x2", "--threads", "0"), "threads"),
        (("--model", "bicubic-x2", "--detect-every", "0"), "detect_every"),
        (("--model", "bicubic-x2", "--detector", "x.onnx"), "--faces"),
        (("--model", "edge-x4", "--faces", "srresnet-x4", "--detector", "x.onnx"), "x.onnx"),
        (("--model", "bicubic-x2", "--max-face", "64"), "--faces"),
        (("--model", "bicubic-x2", "--guard"), "--faces"),
        (
            ("--model", "bicubic-x4", "--faces", "srresnet-x4", "--face-budget", "0"),
            "--face-budget",
        ),
        (("--model", "bicubic-x2", "--strength", "0.5"), "--faces"),
        (("--model", "bicubic-x4", "--faces", "srresnet-x4", "--strength", "1.5"), "strength"),
        (("--model", "bicubic-x4", "--faces", "srresnet-x4", "--max-face", "-1"), "-1"),
        (("--model", "bicubic-x2", "--codec", "h999"), "h999"),
        (("--model", "bicubic-x2", "--crf", "99"), "99"),
        (("--model", "bicubic-x2", "--pixel-format", "yuv9"), "yuv9"),
        (("--model", "bicubic-x2", "--preset", "warp"), "warp"),
        (("--threads", "many"), "--threads"),
        (("--bogus",), "--bogus"),
        (("--report", "."), "folder"),
        (("--report", "none/report.json"), "none"),
    ],
)
def test_bad_options(tmp_path: Path, run: Run, options: tuple[str, ...], word: str) -> None:
    source = clip(tmp_path / "in.mp4", frames=2)
    assert word in _refused(run, source, tmp_path / "out.mp4", *options)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x07" + b"\xff" * 300])
def test_corrupt_model(tmp_path: Path, run: Run, content: bytes) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(content)
    source = image(tmp_path / "in.png")
    assert "model.onnx" in _refused(run, source, tmp_path / "out.png", "--model", str(model))


def test_model_without_a_spec(tmp_path: Path, run: Run) -> None:
    onnx = pytest.importorskip("onnx")
    shape = [None, 3, None, None]
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in "xy"
    ]
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", values[:1], values[1:])
    opset = [onnx.helper.make_opsetid("", 17)]
    model = tmp_path / "model.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), model)
    source = image(tmp_path / "in.png")
    error = _refused(run, source, tmp_path / "out.png", "--model", str(model))
    assert "spec" in error
    assert "srsdk-export" in error


def test_one_bad_file_among_several(tmp_path: Path, run: Run) -> None:
    good, other = image(tmp_path / "a.png"), clip(tmp_path / "c.mp4", frames=2)
    bad = _cut(image(tmp_path / "b.png"))
    report = tmp_path / "report.json"
    result = run("enhance", good, bad, other, "-o", tmp_path / "out", *FAST, "--report", report)
    assert result.code == 2
    errors = [line for line in result.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "b.png is cut short" in errors[0]
    assert "1 of 3" in errors[1]
    assert files(tmp_path / "out") == ["a.png", "c.mp4"]
    record = json.loads(report.read_text("utf-8"))
    assert (record["failed"], record["frames"]) == (1, 3)
    assert "cut short" in record["files"][1]["error"]


def test_failed_files_leave_no_folders(tmp_path: Path, run: Run) -> None:
    bad = _cut(image(tmp_path / "b.png"))
    assert run("enhance", bad, "-o", f"{tmp_path}/new/", *FAST).code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["b.png"]


def test_names_that_are_no_files(tmp_path: Path, run: Run) -> None:
    assert "no name" in run("enhance", "", "-o", tmp_path / "out", *FAST).error
    assert "folder" in run("enhance", tmp_path / "none", tmp_path, "-o", tmp_path / "out").error
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "in.mp4")
        pipe = run("enhance", tmp_path / "in.mp4", "-o", tmp_path / "out.mp4", *FAST)
        assert pipe.code == 2
        assert "regular" in pipe.error


def test_empty_folder(tmp_path: Path, run: Run) -> None:
    (tmp_path / "in").mkdir()
    result = run("enhance", tmp_path / "in", "-o", tmp_path / "out", *FAST)
    assert result.code == 2
    assert "no images" in result.error


def test_line_breaks_in_names_stay_on_one_line(tmp_path: Path, run: Run) -> None:
    source = tmp_path / "two\nlines\x1b[31m.png"
    source.write_bytes(b"")
    result = run("enhance", source, "-o", tmp_path / "out.png", *FAST)
    assert result.code == 2
    assert "two\\nlines\\x1b[31m.png is empty" in result.error


def test_a_picture_of_two_gigapixels_is_refused_at_once(tmp_path: Path, run: Run) -> None:
    """A damaged header may say anything; to decode 40000x40000 pixels would take a minute."""
    Image.new("RGB", (4, 4)).save(tmp_path / "in.gif")
    data = bytearray((tmp_path / "in.gif").read_bytes())
    data[6:10] = (40_000).to_bytes(2, "little") * 2
    (tmp_path / "in.gif").write_bytes(data)
    assert "too large" in _refused(run, tmp_path / "in.gif", tmp_path / "out.png")
