"""`srsdk live` as a command."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Run, clip, count_frames, program, recorded, run

__all__ = ["run"]

FAST = ("--model", "bicubic-x2")


def test_a_file_is_measured(run: Run, tmp_path: Path) -> None:
    done = run("live", clip(tmp_path / "a.mp4", frames=20), *FAST, "--no-output")
    assert done.code == 0, done.err
    assert "20 frames, " in done.err
    assert "age p50" in done.err
    assert "bicubic" in done.err


def test_a_file_is_recorded(run: Run, tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mp4", frames=20)
    done = run("live", source, *FAST, "-o", tmp_path / "b.mp4", "--deadline", "5000", "-q")
    assert (done.code, done.err, done.out) == (0, "", "")
    frames, size, _ = count_frames(tmp_path / "b.mp4")
    assert size == (128, 96)
    assert 1 <= frames <= 20


def test_duration_ends_it(run: Run, tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mp4", frames=10)
    done = run("live", source, *FAST, "--no-output", "--loop", "--duration", "1")
    assert done.code == 0, done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_whole_file(tmp_path: Path, number: signal.Signals) -> None:
    source = clip(tmp_path / "a.mp4", frames=10)
    process = program("live", source, *FAST, "--loop", "-o", tmp_path / "b.mp4")
    until = time.monotonic() + 180  # of a machine that has other things to do
    while recorded(tmp_path / "b.unfinished.mp4") <= 5 and time.monotonic() < until:
        time.sleep(0.2)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (0 if number == signal.SIGINT else 143), err
    assert ("shown" in err) == (number == signal.SIGINT)
    assert "Traceback" not in err
    frames, size, _ = count_frames(tmp_path / "b.mp4")
    assert frames > 5
    assert size == (128, 96)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "give a SOURCE"),
        (("IN", "--web", "--no-output"), "give no other"),
        (("IN", "--web", "--window"), "give no other"),
        (("IN", "--window", "--virtual-camera"), "one of"),
        (("IN", "--web", "--duration", "5"), "no --duration"),
        (("IN", "--web", "--fast", "edge-x2"), "no --fast"),
        (("IN", "--web", "--strength", "2"), "strength is 2"),
        (("IN", "--web", "--precision", "fp8"), "precision"),
        (("IN", "--web", "--face-budget", "0"), "--face-budget"),
        (("IN", "--web", "--detector", "nothing.onnx"), "nothing.onnx"),
        (("IN", "--web", "--deadline", "-5"), "deadline"),
        (("IN", "--no-output", "--guard"), "need --faces"),
        (("IN", "--no-output", "--strength", "0.5"), "need --faces"),
        (("nothing.mp4", "--web"), "no file nothing.mp4"),
        (("nothing.mp4", "--no-output"), "no file nothing.mp4"),
        (("IN", "--no-output", "--duration", "0"), "--duration"),
        (("IN", "--no-output", "--duration", "nan"), "--duration"),
        (("IN", "--no-output", "--output", "x.mp4"), "one of"),
        (("IN", "--no-output", "--deadline", "-5"), "deadline"),
        (("IN", "--no-output", "--model", "none-x2"), "no model is called"),
        (("IN", "--no-output", "--fast", "bicubic-x4"), "same scale"),
    ],
)
def test_bad_options(run: Run, tmp_path: Path, arguments: tuple[str, ...], text: str) -> None:
    source = str(clip(tmp_path / "a.mp4", frames=2))
    given = [source if item == "IN" else item for item in arguments]
    done = run("live", *([] if "--model" in given else FAST), *given)
    assert done.code in (1, 2)
    assert text in done.error
