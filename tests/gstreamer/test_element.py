"""The element `srsdkupscale` in real pipelines, with gst-launch-1.0 and the system's Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from srsdk import Upscaler
from srsdk.gstreamer import PLUGIN_PATH

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


@pytest.mark.parametrize("option", ["model=nothing-x4", "model=bicubic-x2 faces=portrait-x4"])
def test_what_is_wrong_is_said_on_the_bus(environment: dict[str, str], option: str) -> None:
    done = launch(
        environment,
        f"videotestsrc num-buffers=2 ! videoconvert ! srsdkupscale {option} ! fakesink async=false",
    )
    assert done.returncode != 0
    assert "no model is called" in done.stderr or "same scale" in done.stderr
    assert "Traceback" not in done.stderr


def test_its_folder_is_printed() -> None:
    command = [sys.executable, "-m", "srsdk.gstreamer"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert Path(printed.stdout.strip()) == PLUGIN_PATH
