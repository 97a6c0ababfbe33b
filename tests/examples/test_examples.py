"""Every example runs, and does what it says."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
CLIP = EXAMPLES / "portrait.mp4"


def run(name: str, *arguments: object) -> str:
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result.stderr
    return result.stdout


def first_second(target: Path) -> Path:
    """The clip's first 12 frames with their sound, packets copied."""
    with av.open(str(CLIP)) as source, av.open(str(target), "w") as copy:
        streams = {s.index: copy.add_stream_from_template(s) for s in source.streams}
        left = {s.index: 12 if s.type == "video" else 24 for s in source.streams}
        for packet in source.demux():
            index = packet.stream.index
            if packet.dts is None or not left[index]:
                continue
            left[index] -= 1
            packet.stream = streams[index]
            copy.mux(packet)
    return target


def test_the_clip_is_as_promised() -> None:
    assert CLIP.stat().st_size < 1_000_000
    with av.open(str(CLIP)) as container:
        video = container.streams.video[0]
        assert video.width == 320
        assert len(container.streams.audio) == 1


def test_demo(tmp_path: Path) -> None:
    clip = first_second(tmp_path / "clip.mp4")
    printed = run("demo.py", clip, "--output", tmp_path / "out", "--shown", 5)
    video, picture = tmp_path / "out" / "portrait-x4.mp4", tmp_path / "out" / "side-by-side.png"
    assert str(video) in printed
    assert str(picture) in printed
    assert "frames a second" in printed
    assert cv2.imread(str(picture)) is not None
    with av.open(str(clip)) as before, av.open(str(video)) as after:
        stream = after.streams.video[0]
        assert (stream.width, stream.height) == (1280, 720)
        times = [
            [Fraction(f.pts) * f.time_base for f in c.decode(video=0)] for c in (before, after)
        ]
        assert times[0] == times[1]
    with av.open(str(clip)) as before, av.open(str(video)) as after:
        sound = [[bytes(p) for p in c.demux(audio=0) if p.size] for c in (before, after)]
        assert sound[0] == sound[1]
        assert sound[0]


def test_upscale_image(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 4)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "in.png"), image)
    run("upscale_image.py", tmp_path / "in.png", tmp_path / "out.png")
    large = cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED)
    assert large is not None
    assert large.shape == (120, 160, 4)


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("upscale_image.py", [], "usage"),
        ("upscale_image.py", ["nothing.png", "out.png"], "cannot read nothing.png"),
        ("upscale_image.py", ["DEEP", "out.png"], "error: expected uint8 pixels, got uint16"),
        ("upscale_image.py", ["IN", "out.xyz"], "cannot write out.xyz: choose an ending"),
        ("upscale_image.py", ["IN", "nowhere/out.png"], "cannot write nowhere/out.png"),
        ("camera.py", ["nothing.mp4", "--no-window"], "error: there is no file nothing.mp4"),
        ("camera.py", ["--no-window", "nothing.mp4"], "error: there is no file nothing.mp4"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    tmp_path: Path, name: str, arguments: list[str], text: str
) -> None:
    """An example that ends without its result, or with a traceback, teaches the wrong thing."""
    cv2.imwrite(str(tmp_path / "in.png"), np.zeros((4, 4, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "deep.png"), np.zeros((4, 4, 3), np.uint16))
    given = [{"IN": "in.png", "DEEP": "deep.png"}.get(each, each) for each in arguments]
    command = [sys.executable, str(EXAMPLES / name), *given]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_camera(tmp_path: Path) -> None:
    printed = run("camera.py", first_second(tmp_path / "clip.mp4"), "--no-window")
    shown = int(printed.partition("shown ")[2].partition(",")[0])
    assert 1 <= shown <= 12  # the newest frame wins: a busy machine shows fewer
    assert "ended" in printed
