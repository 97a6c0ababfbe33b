"""The command line as a program: signals, closed streams, help, and what it loads."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import srsdk
from tests.cli.conftest import FAST, Run, clip, files, image, program

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and streams")


def test_version_and_help(run: Run) -> None:
    assert run("--version").out == f"srsdk {srsdk.__version__}\n"
    for command in ((), ("enhance",), ("models",), ("info",), ("doctor",), ("bench",)):
        result = run(*command, "--help")
        assert result.code == 0
        assert "Usage" in result.out


def test_no_command_shows_help(run: Run) -> None:
    result = run()
    assert result.code in (0, 2)  # as the installed Click has it
    assert "enhance" in result.out + result.err


@pytest.mark.parametrize("arguments", [("nonsense",), ("enhance",), ("info",), ("enhance", "x")])
def test_usage_errors_are_one_line(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert "--help" in result.error


@pytest.mark.parametrize("position", ["before", "after"])
def test_debug_shows_the_traceback(run: Run, tmp_path: Path, position: str) -> None:
    arguments: tuple[str | Path, ...] = ("enhance", tmp_path, "-o", tmp_path / "out", *FAST)
    result = run("--debug", *arguments) if position == "before" else run(*arguments, "--debug")
    assert result.code == 2
    assert "Traceback" in result.err


def test_help_loads_nothing_heavy() -> None:
    code = """
import sys
sys.argv = ["srsdk", "--help"]
from srsdk.cli import main
try:
    main()
except SystemExit as stop:
    assert stop.code == 0
heavy = {"numpy", "cv2", "av", "onnxruntime", "torch", "onnx"} & sys.modules.keys()
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _wait_for_draft(folder: Path, process: subprocess.Popen[str]) -> None:
    """Wait until the output exists under its temporary name."""
    for _ in range(600):
        if process.poll() is not None or any(name.endswith(".mp4") for name in _drafts(folder)):
            break
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()
    assert _drafts(folder)


def _drafts(folder: Path) -> list[str]:
    return [name for name in files(folder) if name.startswith(".")]


@posix
@pytest.mark.parametrize(
    ("number", "code", "error"),
    [(signal.SIGINT, 130, "error: interrupted\n"), (signal.SIGTERM, 143, "")],
)
def test_a_signal_in_the_middle(tmp_path: Path, number: int, code: int, error: str) -> None:
    (tmp_path / "out").mkdir()
    source = clip(tmp_path / "in.mp4", frames=400, size=(160, 120), sound=False)
    (tmp_path / "out" / "old.compare.mp4").write_bytes(b"old")
    process = program(
        "enhance", source, "-o", tmp_path / "out" / "old.mp4", "--compare", "--overwrite",
        "--model", "bicubic-x8", "--report", tmp_path / "report.json",
    )  # fmt: skip
    _wait_for_draft(tmp_path / "out", process)
    time.sleep(0.3)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (code, error)
    assert files(tmp_path) == ["in.mp4", "out/old.compare.mp4"]
    assert (tmp_path / "out" / "old.compare.mp4").read_bytes() == b"old"


@posix
def test_interrupted_batch_keeps_what_is_whole(tmp_path: Path) -> None:
    first = image(tmp_path / "a.png")
    second = clip(tmp_path / "b.mp4", frames=400, size=(160, 120), sound=False)
    process = program("enhance", first, second, "-o", tmp_path / "out", "--model", "bicubic-x8")
    (tmp_path / "out").mkdir(exist_ok=True)
    _wait_for_draft(tmp_path / "out", process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert files(tmp_path / "out") == ["a.png"]


@posix
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(tmp_path: Path, closed: str) -> None:
    source, film = image(tmp_path / "in.png"), clip(tmp_path / "in.mp4", frames=2)
    script = f'"$0" -c "from srsdk.cli import main; main()" "$@" {closed}'
    arguments = ["enhance", source, film, "-o", tmp_path / "out", *FAST]
    done = subprocess.run(["sh", "-c", script, sys.executable, *map(str, arguments)])
    assert done.returncode == 0
    assert files(tmp_path / "out") == ["in.mp4", "in.png"]


@posix
def test_full_disk(tmp_path: Path) -> None:
    """A limit on the size of files has the same effect as a full disk."""
    import resource

    source = clip(tmp_path / "in.mp4", frames=60, size=(160, 120), sound=False)
    still = image(tmp_path / "in.png", width=400, height=400)

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    for path, target in ((source, "out.mp4"), (still, "out.png")):
        options: dict[str, Any] = {"preexec_fn": limit}
        process = program("enhance", path, "-o", tmp_path / target, *FAST, **options)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1, err
        assert err.startswith("error: ")
        assert err.count("\n") == 1, err
        assert target in err
        assert files(tmp_path) == ["in.mp4", "in.png"]


@posix
def test_output_into_a_pipe_that_closes(tmp_path: Path) -> None:
    process = program("models")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait(timeout=60)


def test_no_bar_without_a_terminal(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", frames=5)
    process = program("enhance", source, "-o", tmp_path / "out.mp4", *FAST)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert len(err.splitlines()) == 1
    assert "\x1b" not in err
    assert "\r" not in err


@posix
def test_bar_on_a_terminal(tmp_path: Path) -> None:
    import os
    import pty

    source = clip(tmp_path / "in.mp4", frames=30)
    main, other = pty.openpty()
    process = program("enhance", source, "-o", tmp_path / "out.mp4", *FAST, stderr=other)
    os.close(other)
    shown = b""
    while True:
        try:
            part = os.read(main, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(main)
    assert process.wait(timeout=60) == 0
    assert b"/30" in shown
    assert b"fps" in shown
