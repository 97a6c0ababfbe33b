"""Memory stays flat over a long video with faces on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import pytest

# A process of its own, so that nothing else's memory is measured. The face moves, so that crops of
# different sizes and places come up, and leaves now and then, so that tracks end.
PROGRAM = """
import sys
import cv2
import numpy as np
from srsdk import Upscaler

def resident() -> int:
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * 4096

scene = cv2.imread(sys.argv[1])
frames, warm_up, later = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "True"
with (
    Upscaler("bicubic-x2", faces="bicubic-x2", guard=True) as upscaler,
    upscaler.stream(detect_later=later) as stream,
):
    out = np.empty((360, 640, 3), np.uint8)
    faces = 0
    for n in range(frames):
        if n == warm_up:
            before = resident()
        shift = int(40 * np.sin(n / 30)) if n % 150 < 120 else 300
        moved = np.roll(scene, shift, axis=1)
        if shift == 300:
            moved[:] = 90
        stream(moved, out)
        faces += len(stream.faces)
    print(faces, resident() - before)
"""


def grown(folder: Path, scene: object, frames: int, warm_up: int, later: bool) -> tuple[int, int]:
    """Faces enhanced, and bytes that memory grew by after the warm-up."""
    path = folder / "scene.png"
    cv2.imwrite(str(path), scene)  # type: ignore[call-overload]
    command = [sys.executable, "-c", PROGRAM, str(path), str(frames), str(warm_up), str(later)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    faces, growth = done.stdout.split()
    return int(faces), int(growth)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize(
    ("frames", "warm_up"),
    [
        (900, 500),
        pytest.param(10_000, 1000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
    ],
)
def test_memory_is_flat_with_faces_on(
    tmp_path: Path, scene: object, frames: int, warm_up: int, later: bool
) -> None:
    picture, _ = scene(180, 320, [(130, 60, 40)])  # type: ignore[operator]
    faces, growth = grown(tmp_path, picture, frames, warm_up, later)
    assert faces > 0.7 * frames
    # 80 detections in 400 frames: a leak of one 200 kB picture each would come to 16 MB.
    assert growth < 4e6
