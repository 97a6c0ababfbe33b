"""A recording loses nothing that was written: on a full disk, or when the process is killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from srsdk import VideoError
from srsdk.live import Level, LiveFrame
from srsdk.live.sinks import NoSink, Recording, WithRecording
from tests.cli.conftest import clip, files, program, recorded

FORMATS = ("mp4", "mkv", "webm")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits and mounts of POSIX")


def noise(index: int) -> LiveFrame:
    """A picture that takes much room."""
    pixels = np.random.default_rng(index).integers(0, 255, (96, 128, 3), np.uint8)
    return LiveFrame(pixels, index, 100 + index / 25, 100.0, Level("frame"), 0)


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """No file may grow above `size` bytes; the kernel refuses it as it does on a full disk."""
    import resource

    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting needs the rights of root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def playable(path: Path) -> int:
    """Frames that ffprobe, a program of others, decodes in a file."""
    if shutil.which("ffprobe") is None:
        pytest.skip("needs ffprobe")
    command = [
        "ffprobe",
        "-v",
        "quiet",
        "-count_frames",
        "-select_streams",
        "v:0",
        "-of",
        "csv=p=0",
    ]
    command += ["-show_entries", "stream=nb_read_frames", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.strip(" ,\n"))


def fill(sink: Recording) -> tuple[int, str]:
    """Show pictures until that fails; returns how many were taken, and the error."""
    for index in range(500):
        try:
            sink.show(noise(index))
        except VideoError as error:
            return index, str(error)
    raise AssertionError("the disk was never full")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_full_disk_ends_a_recording_and_keeps_it(small_disk: Path, kind: str) -> None:
    path = small_disk / f"out.{kind}"
    sink = Recording(path)
    taken, error = fill(sink)
    assert "can be played" in error
    assert "free space" in error
    with pytest.raises(VideoError, match="has ended"):
        sink.show(noise(0))
    sink.close()
    assert files(small_disk) == [path.name]
    assert path.stat().st_size > 900_000
    assert playable(path) > 0.7 * taken  # the rest was in buffers, for which there is no room


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_that_may_not_grow_is_kept(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"out.{kind}"
    with file_limit(500_000):
        taken, error = fill(Recording(path))
    assert "can be played" in error
    assert files(tmp_path) == [path.name]
    assert playable(path) > 0.3 * taken


@pytest.mark.parametrize("kind", FORMATS)
def test_a_disk_that_is_full_at_the_end(tmp_path: Path, kind: str) -> None:
    """The last fragment, the index, or the copy with one index has no room."""
    (tmp_path / "whole").mkdir()
    whole = tmp_path / "whole" / f"out.{kind}"
    sink = Recording(whole)
    for index in range(60):
        sink.show(noise(index))
    sink.close()
    size = whole.stat().st_size
    for share in (0.5, 0.97, 0.9999, 1.0, 1.01):
        path = tmp_path / f"{share}.{kind}"
        sink = Recording(path)
        for index in range(60):
            sink.show(noise(index))
        reached = (tmp_path / f"{share}.unfinished.{kind}").stat().st_size
        # The copy with one index may have room, or not.
        with file_limit(max(reached, int(share * size))), suppress(VideoError):
            sink.close()
        assert playable(path) >= 25
    assert len(files(tmp_path)) == 6


def test_without_room_for_one_picture_there_is_no_file(tmp_path: Path) -> None:
    with file_limit(1000):
        _, error = fill(Recording(tmp_path / "out.mp4"))
    assert "nothing was recorded" in error
    assert files(tmp_path) == []


class Counted(NoSink):
    """Counts the pictures that it is given."""

    shown = 0
    closed = False

    def show(self, result: LiveFrame) -> bool:
        self.shown += 1
        return True

    def close(self) -> None:
        self.closed = True


def test_pictures_are_shown_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shown = Counted()
    sink = WithRecording(shown, Recording(tmp_path / "out.mp4"))
    with file_limit(300_000):
        for index in range(200):
            assert sink.show(noise(index))
    assert shown.shown == 200
    assert ["can be played" in record.message for record in caplog.records] == [True]
    with pytest.raises(VideoError, match="can be played"):
        sink.close()
    assert shown.closed
    assert playable(tmp_path / "out.mp4") > 5


def test_the_command_says_so(tmp_path: Path) -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    source = clip(tmp_path / "a.mp4", frames=50, size=(320, 240))
    command = ("live", source, "--model", "bicubic-x4", "--loop", "-o", tmp_path / "b.mp4")
    process = program(*command, preexec_fn=limit)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 1
    assert err.splitlines()[-1].startswith(f"error: {tmp_path / 'b.mp4'} cannot be written")
    assert "Traceback" not in err
    assert playable(tmp_path / "b.mp4") > 0


@pytest.mark.parametrize("kind", FORMATS)
def test_all_but_the_last_two_seconds_are_in_the_file(tmp_path: Path, kind: str) -> None:
    """One second waits in the container, and with WebM another one in the encoder."""
    sink = Recording(tmp_path / f"out.{kind}")
    for index in range(150):
        sink.show(noise(index))
    assert playable(tmp_path / f"out.unfinished.{kind}") >= 100
    sink.close()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_killed_recording_is_there(tmp_path: Path, kind: str) -> None:
    source = clip(tmp_path / "a.mp4", frames=50)
    target = tmp_path / f"b.{kind}"
    process = program("live", source, "--model", "bicubic-x2", "--loop", "-o", target)
    until = time.monotonic() + 180  # of a machine that has other things to do
    unfinished = tmp_path / f"b.unfinished.{kind}"
    while time.monotonic() < until and recorded(unfinished) < 10:
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=100)
    assert files(tmp_path) == ["a.mp4", unfinished.name]
    assert playable(unfinished) >= 10
    again = program(
        "live", source, "--model", "bicubic-x2", "-o", target, "--duration", "0.5", "--quiet"
    )
    _, err = again.communicate(timeout=100)
    assert again.returncode == 0, err
    assert files(tmp_path) == sorted(["a.mp4", target.name, unfinished.name])
