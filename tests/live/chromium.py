"""A real browser whose webcam is a file."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def webcam(path: Path, frames: int = 90, size: tuple[int, int] = (640, 360)) -> Path:
    """A y4m file of a person who sways a little in front of a camera, round and round."""
    from skimage.data import astronaut

    portrait = astronaut()[:288, 50:450]  # NASA, public domain
    width, height = size
    with av.open(str(path), "w", format="yuv4mpegpipe") as container:
        stream: Any = container.add_stream("wrapped_avframe", rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            angle = 2 * np.pi * index / frames
            x, y = 16 + 12 * np.sin(angle), 20 + 8 * np.sin(2 * angle)
            crop = np.ascontiguousarray(portrait[int(y) : int(y) + 207, int(x) : int(x) + 368])
            frame = av.VideoFrame.from_ndarray(crop, format="rgb24")
            frame = frame.reformat(width, height, "yuv420p", interpolation="BICUBIC")
            frame.pts = index
            container.mux(stream.encode(frame))
    return path


@contextmanager
def page(url: str, camera: Path) -> Iterator[Any]:
    """The page at `url` in headless Chromium; skips where that is not installed."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("chromium is not installed")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            headless=True,
            args=[*FLAGS, f"--use-file-for-fake-video-capture={camera}"],
        )
        try:
            opened = browser.new_page(viewport={"width": 1344, "height": 940})
            opened.goto(url)
            yield opened
        finally:
            browser.close()


def wait_for(ready: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Ask until the answer is true; fails after a while."""
    until = time.monotonic() + seconds
    while not (answer := ready()):
        assert time.monotonic() < until, "nothing came"
        time.sleep(0.1)
    return answer
