"""The element `srsdkupscale` in real pipelines, with gst-launch-1.0 and the system's Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from srsdk import Upscaler
from srsdk.gstreamer import PLUGIN_PATH
from srsdk.video import VideoReader
from tests.benchmarks.live import CLIP

SYSTEM = {"PATH": "/usr/bin:/bin"}  # GStreamer's Python is the system's, whatever comes first here


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """In which GStreamer finds the element, and its Python this environment's packages."""
    folder = tmp_path_factory.mktemp("gstreamer")
    packages = [path for path in sys.path if path.endswith("site-packages")]
    (folder / "sitecustomize.py").write_text(
        f"import site\nfor path in {packages!r}:\n    site.addsitedir(path)\n", "utf-8"
    )
    values = {
        **SYSTEM,
        "HOME": str(folder),
        "PYTHONPATH": str(folder),
        "GST_PLUGIN_PATH": str(PLUGIN_PATH),
        "GST_REGISTRY": str(folder / "registry.bin"),
    }
    for program in ("gst-launch-1.0", "gst-inspect-1.0", "python3"):
        if shutil.which(program, path=SYSTEM["PATH"]) is None:
            pytest.skip(f"{program} is not installed")
    version = f"import sys, gi; assert sys.version_info[:2] == {sys.version_info[:2]}"
    if subprocess.run(
        ["/usr/bin/python3", "-c", version], env=values, capture_output=True
    ).returncode:
        pytest.skip("the system's Python is another version, or has no python3-gst-1.0")
    if subprocess.run(["gst-inspect-1.0", "python"], env=values, capture_output=True).returncode:
        pytest.skip("gstreamer1.0-python3-plugin-loader is not installed")
    return values


def launch(environment: dict[str, str], pipeline: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["gst-launch-1.0", "-v", *pipeline.split()],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def frames(path: Path, width: int, height: int) -> Any:
    """Raw frames as GStreamer writes them: rows padded to four bytes."""
    stride = (3 * width + 3) // 4 * 4
    data = np.fromfile(path, np.uint8).reshape(-1, height, stride)
    return data[:, :, : 3 * width].reshape(-1, height, width, 3)


@pytest.mark.parametrize("color", ["BGR", "RGB"])
def test_its_frames_are_the_upscalers(
    environment: dict[str, str], tmp_path: Path, color: str
) -> None:
    source = (
        "videotestsrc num-buffers=3 pattern=ball ! "
        f"video/x-raw,format={color},width=101,height=57,framerate=30/1"
    )
    assert launch(environment, f"{source} ! filesink location={tmp_path}/in").returncode == 0
    done = launch(
        environment, f"{source} ! srsdkupscale model=edge-x4 ! filesink location={tmp_path}/out"
    )
    assert done.returncode == 0, done.stderr
    assert "width=(int)404, height=(int)228" in done.stdout
    assert "ERROR" not in done.stderr
    given, made = frames(tmp_path / "in", 101, 57), frames(tmp_path / "out", 404, 228)
    assert len(made) == 3
    with Upscaler("edge-x4", color="rgb" if color == "RGB" else "bgr") as upscaler:
        for frame, result in zip(given, made, strict=True):
            np.testing.assert_array_equal(result, upscaler(np.ascontiguousarray(frame)))


def test_a_size_may_be_asked_for_behind_it(environment: dict[str, str]) -> None:
    done = launch(
        environment,
        "videotestsrc num-buffers=2 ! videoscale ! videoconvert ! srsdkupscale model=bicubic-x2 ! "
        "video/x-raw,width=320,height=240 ! fakesink",
    )
    assert done.returncode == 0, done.stderr
    assert "width=(int)160, height=(int)120" in done.stdout


def test_a_size_that_cannot_be_is_refused(environment: dict[str, str]) -> None:
    done = launch(
        environment,
        "videotestsrc num-buffers=2 ! videoconvert ! srsdkupscale model=bicubic-x2 ! "
        "video/x-raw,width=321 ! fakesink async=false",
    )
    assert done.returncode != 0
    assert "negotiat" in done.stderr.lower()


def test_a_file_goes_through_with_faces_and_live(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with av.open(str(tmp_path / "in.avi"), "w") as container:
        stream: Any = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for index in range(15):
            pixels = np.full((48, 64, 3), 10 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        container.mux(stream.encode(None))
    done = launch(
        environment,
        f"filesrc location={tmp_path}/in.avi ! avidemux ! jpegdec ! videoconvert ! "
        "srsdkupscale model=edge-x4 faces=portrait-x4 live=true ! videoconvert ! jpegenc ! "
        f"avimux ! filesink location={tmp_path}/out.avi",
    )
    assert done.returncode == 0, done.stderr
    with av.open(str(tmp_path / "out.avi")) as container:
        made = [f.to_ndarray(format="bgr24") for f in container.decode(video=0)]
    assert 1 <= len(made) <= 15
    assert made[0].shape == (192, 256, 3)
    means = [float(frame.mean()) for frame in made]
    assert means == sorted(means)


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """Six frames of a talking head as a raw file, and as arrays."""
    with VideoReader(CLIP) as reader:
        shown = [
            np.asarray(cv2.resize(frame.pixels, (320, 180), interpolation=cv2.INTER_AREA))
            for frame in islice(reader, 6)
        ]
    path = tmp_path_factory.mktemp("portrait") / "frames.raw"
    path.write_bytes(b"".join(frame.tobytes() for frame in shown))
    return path, shown


OPTIONS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("strength=0.5", {}, {"strength": 0.5}),
    ("precision=fp32", {"precision": "fp32"}, {}),
    ("guard=true", {"guard": True}, {}),
    ("max-face=32", {"max_face": 32}, {}),
    ("face-budget=0.01", {"face_budget_ms": 0.01}, {}),
]


@pytest.mark.parametrize(("properties", "of_upscaler", "of_stream"), OPTIONS)
def test_its_properties_are_the_upscalers_options(
    environment: dict[str, str],
    portrait: tuple[Path, list[Any]],
    tmp_path: Path,
    properties: str,
    of_upscaler: dict[str, Any],
    of_stream: dict[str, Any],
) -> None:
    path, given = portrait
    done = launch(
        environment,
        f"filesrc location={path} ! rawvideoparse format=bgr width=320 height=180 ! "
        f"srsdkupscale faces=portrait-x4 {properties} ! filesink location={tmp_path}/out",
    )
    assert done.returncode == 0, done.stderr
    made = frames(tmp_path / "out", 1280, 720)
    with Upscaler("edge-x4", faces="portrait-x4", **of_upscaler) as upscaler:
        expected = list(upscaler.stream(**of_stream).map(given))
    np.testing.assert_array_equal(made, expected)
    with Upscaler("edge-x4", faces="portrait-x4") as upscaler:
        without = list(upscaler.stream().map(given))
    assert not np.array_equal(made, without)


CHANGES = """
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst

Gst.init(None)
pipeline = Gst.parse_launch(sys.argv[1])
element = pipeline.get_by_name("it")
seen = 0


def before_frame(pad, info):
    global seen
    if seen == 3:
        element.set_property("strength", 0.0)
        element.set_property("model", "bicubic-x2")  # for the next start
    seen += 1
    return Gst.PadProbeReturn.OK


element.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, before_frame)
for run in range(2):
    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(
        30 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR
    )
    assert message and message.type == Gst.MessageType.EOS, message and message.parse_error()
    pipeline.set_state(Gst.State.NULL)
    element.set_property("faces", "")
    pipeline.get_by_name("file").set_property("location", sys.argv[2])
"""


def test_strength_changes_while_it_runs_and_the_rest_when_it_starts(
    environment: dict[str, str], portrait: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    path, given = portrait
    pipeline = (
        f"filesrc location={path} ! rawvideoparse format=bgr width=320 height=180 ! "
        f"srsdkupscale name=it faces=portrait-x4 ! filesink name=file location={tmp_path}/first"
    )
    command = ["/usr/bin/python3", "-c", CHANGES, pipeline, str(tmp_path / "second")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    made = frames(tmp_path / "first", 1280, 720)
    with Upscaler("edge-x4", faces="portrait-x4") as upscaler, upscaler.stream() as stream:
        for index, (frame, result) in enumerate(zip(given, made, strict=True)):
            stream.strength = 1.0 if index < 3 else 0.0
            np.testing.assert_array_equal(result, stream(frame))
            assert [face.strength for face in stream.faces] == [stream.strength]
    with Upscaler("bicubic-x2") as upscaler:
        expected = [upscaler(frame) for frame in given]
    np.testing.assert_array_equal(frames(tmp_path / "second", 640, 360), expected)


WRONG = {
    "model=nothing-x4": "no model is called",
    "model=bicubic-x2 faces=portrait-x4": "same scale",
    "guard=true": "need a face generator",
    "precision=fp8": "precision",
    "faces=portrait-x4 detector=nothing.onnx": "nothing.onnx",
}


@pytest.mark.parametrize("option", WRONG)
def test_what_is_wrong_is_said_on_the_bus(environment: dict[str, str], option: str) -> None:
    done = launch(
        environment,
        f"videotestsrc num-buffers=2 ! videoconvert ! srsdkupscale {option} ! fakesink async=false",
    )
    assert done.returncode != 0
    assert WRONG[option] in done.stderr
    assert "Traceback" not in done.stderr


def test_its_folder_is_printed() -> None:
    command = [sys.executable, "-m", "srsdk.gstreamer"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert Path(printed.stdout.strip()) == PLUGIN_PATH
