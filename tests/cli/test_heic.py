"""HEIC, the photographs of phones, with the package that reads them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from srsdk import Upscaler
from tests.cli.conftest import FAST, Run, decoded, files, picture

pillow_heif: Any = pytest.importorskip("pillow_heif")


def _photograph(path: Path, mode: str = "RGB", **options: Any) -> Path:
    """A photograph that HEVC stores without loss, as near as 4:4:4 Y'CbCr comes."""
    pixels = picture(channels=4 if mode == "RGBA" else 3)
    heif = pillow_heif.from_bytes(
        mode=mode, size=(pixels.shape[1], pixels.shape[0]), data=pixels.tobytes()
    )
    heif.save(path, quality=-1, chroma=444, **options)
    return path


def test_pixels(tmp_path: Path, run: Run) -> None:
    source = _photograph(tmp_path / "in.heic")
    assert run("enhance", source, "-o", tmp_path / "out.png", *FAST).code == 0
    expected = Upscaler("bicubic-x2")(picture()[..., ::-1]).astype(int)
    error = np.abs(decoded(tmp_path / "out.png") - expected)
    assert error.mean() < 1
    assert error.max() <= 4


def test_transparency(tmp_path: Path, run: Run) -> None:
    source = _photograph(tmp_path / "in.heic", "RGBA")
    assert run("enhance", source, "-o", tmp_path / "out.png", *FAST).code == 0
    with Image.open(tmp_path / "out.png") as written:
        assert (written.mode, written.size) == ("RGBA", (80, 48))
        expected = Upscaler("bicubic-x2")(picture(channels=4))[..., 3].astype(int)
        assert np.abs(np.asarray(written)[..., 3] - expected).mean() < 1
    assert "transparency" in run("enhance", source, "-o", tmp_path / "out.jpg", *FAST).error


def test_camera_data_and_orientation(tmp_path: Path, run: Run) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Cam", 6
    source = _photograph(tmp_path / "in.heic", exif=exif.tobytes())
    assert run("enhance", source, "-o", tmp_path / "out.jpg", *FAST).code == 0
    with Image.open(source) as seen, Image.open(tmp_path / "out.jpg") as written:
        assert written.size == (2 * seen.size[0], 2 * seen.size[1])
        assert written.getexif()[0x010F] == "Cam"
        assert written.getexif().get(0x0112, 1) == 1


def test_more_than_eight_bits_are_refused(tmp_path: Path, run: Run) -> None:
    deep = np.full((16, 16, 3), 40_000, np.uint16)
    heif = pillow_heif.from_bytes(mode="RGB;16", size=(16, 16), data=deep.tobytes())
    heif.save(tmp_path / "in.heic")
    assert "bits" in run("enhance", tmp_path / "in.heic", "-o", tmp_path / "o.png", *FAST).error


def test_by_folder_and_output(tmp_path: Path, run: Run) -> None:
    (tmp_path / "in").mkdir()
    _photograph(tmp_path / "in" / "photo.HEIC")
    assert run("enhance", tmp_path / "in", "-o", tmp_path / "out", *FAST).code == 0
    assert files(tmp_path / "out") == ["photo.HEIC.png"]


def test_damage_is_an_error(tmp_path: Path, run: Run) -> None:
    whole = _photograph(tmp_path / "whole.heic").read_bytes()
    for size in (20, len(whole) // 2, len(whole) - 30):
        (tmp_path / "in.heic").write_bytes(whole[:size])
        result = run("enhance", tmp_path / "in.heic", "-o", tmp_path / "out.png", *FAST)
        assert "bug" not in result.error
    assert not (tmp_path / "out.png").exists()


def test_the_package_is_named(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _photograph(tmp_path / "in.heic")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    assert "pip install 'srsdk[heic]'" in run("enhance", source, "-o", tmp_path / "o.png").error
