"""The page in a real browser, with a file as its webcam."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("aiortc")

from srsdk.live import open_source
from srsdk.live.web.models import Models
from tests.cli.conftest import clip
from tests.live.chromium import page, wait_for, webcam
from tests.live.test_web import served

PIXELS = """() => {
  const canvas = document.getElementById("picture");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let sum = 0;
  for (let i = 0; i < data.length; i += 401) sum += data[i];
  return sum;
}"""


def numbers(opened: Any) -> dict[str, int]:
    values: dict[str, int] = opened.evaluate("() => ({ ...window.srsdk })")
    return values


def test_a_webcam_comes_back_larger_and_its_latency_is_shown(tmp_path: Path) -> None:
    camera = webcam(tmp_path / "camera.y4m", frames=30)
    models = Models("bicubic-x4")
    with served(models) as url, page(url, camera) as opened:
        errors: list[str] = []
        opened.on("pageerror", lambda error: errors.append(str(error)))
        wait_for(lambda: numbers(opened)["frames"] > 10)
        seen = numbers(opened)
        assert (seen["width"], seen["height"]) == (1280, 720)
        assert seen["unread"] < 0.2 * seen["frames"]
        first = opened.evaluate(PIXELS)
        wait_for(lambda: opened.evaluate(PIXELS) != first)  # the picture moves
        wait_for(lambda: opened.inner_text("#latency").isdigit())
        assert 0 < float(opened.inner_text("#latency")) < 10_000
        wait_for(lambda: float(opened.inner_text("#fps")) > 0)
        # Any level: "fast model", where time is short.
        wait_for(lambda: opened.inner_text("#level") != "\u2013")

        opened.select_option("#model", "edge-x2")
        wait_for(lambda: "edge-x2" in opened.inner_text("#message"))
        wait_for(lambda: opened.inner_text("#before-size").startswith("640"))
        before = numbers(opened)["frames"]
        wait_for(lambda: numbers(opened)["frames"] > before + 5)
        assert numbers(opened)["width"] == 1280

        opened.fill("#slider", "250")
        assert opened.eval_on_selector("#divider", "e => e.style.left") == "25%"
        assert errors == []
    models.close()


def test_a_source_of_this_machine_is_shown(tmp_path: Path) -> None:
    film = clip(tmp_path / "film.mp4", frames=25, size=(160, 96))
    models = Models("bicubic-x4")
    with (
        served(models, source=lambda: open_source(film, loop=True)) as url,
        page(url, webcam(tmp_path / "camera.y4m", frames=2)) as opened,
    ):
        wait_for(lambda: numbers(opened)["frames"] > 10)
        seen = numbers(opened)
        assert (seen["width"], seen["height"]) == (640, 384)
        assert not opened.is_visible("#divider")
        assert not opened.is_visible("#latency")
        wait_for(lambda: float(opened.inner_text("#fps").replace("\u2013", "0")) > 0)
    models.close()


PLAYERS = '() => ["camera", "result"].map((id) => document.getElementById(id).srcObject !== null)'


def test_frames_are_taken_before_a_player_drops_some(tmp_path: Path) -> None:
    """Of 30 pictures a second, a video element hands on 24."""
    models = Models("bicubic-x4")
    with served(models) as url, page(url, webcam(tmp_path / "camera.y4m", frames=30)) as opened:
        wait_for(lambda: numbers(opened)["frames"] > 10)
        assert opened.evaluate(PLAYERS) == [False, False]
    models.close()


def test_browsers_that_give_no_frames_play_them(tmp_path: Path) -> None:
    """Firefox has no MediaStreamTrackProcessor."""
    models = Models("bicubic-x4")
    with served(models) as url, page(url, webcam(tmp_path / "camera.y4m", frames=30)) as opened:
        opened.add_init_script("delete window.MediaStreamTrackProcessor")
        wait_for(lambda: numbers(opened)["frames"] > 10)  # the visitor before, who leaves
        opened.reload()
        wait_for(lambda: numbers(opened)["frames"] > 10)
        seen = numbers(opened)
        assert (seen["width"], seen["height"]) == (1280, 720)
        assert seen["unread"] < 0.2 * seen["frames"]
        assert opened.evaluate(PLAYERS) == [True, True]
        wait_for(lambda: opened.inner_text("#latency").isdigit())
    models.close()


def test_a_page_waits_for_the_visitor_before_it(tmp_path: Path) -> None:
    """As after a reload, when the server has not heard yet that the page as it was is gone."""
    models = Models("bicubic-x4")
    with served(models) as url, page(url, webcam(tmp_path / "camera.y4m", frames=2)) as opened:
        wait_for(lambda: numbers(opened)["frames"] > 0)
        second = opened.context.browser.new_page()
        second.goto(url)
        wait_for(lambda: "somebody else is connected" in second.inner_text("#message"))
        opened.close()
        wait_for(lambda: numbers(second)["frames"] > 0)
    models.close()


def test_without_a_camera_the_page_says_so(tmp_path: Path) -> None:
    models = Models("bicubic-x4")
    with served(models) as url, page(url, webcam(tmp_path / "camera.y4m", frames=2)) as opened:
        opened.context.clear_permissions()
        opened.add_init_script(
            "navigator.mediaDevices.getUserMedia = () => "
            "Promise.reject(new DOMException('no', 'NotAllowedError'))"
        )
        opened.reload()
        wait_for(lambda: "refused" in opened.inner_text("#message"))
    models.close()
