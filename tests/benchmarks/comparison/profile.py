"""Where the time goes inside a row: `perf` on its process, by function."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.comparison.candidates import Candidate
from tests.benchmarks.comparison.material import CLIP
from tests.benchmarks.comparison.videos import COMMAND
from tests.benchmarks.comparison.workers import Worker

_RATE = "799"


def available() -> str:
    """ "" or, in words, why nothing can be profiled."""
    if shutil.which("perf") is None:
        return "perf is not installed (Debian: linux-perf)"
    done = subprocess.run(
        ["perf", "record", "-o", "/dev/null", "-e", "cpu-clock", "true"],
        capture_output=True,
        check=False,
    )
    return "perf may not be used here (kernel.perf_event_paranoid)" if done.returncode else ""


def of_row(candidate: Candidate, worker: Worker, seconds: float = 3.0) -> str:
    """Functions of a row's process while it makes one call after another."""

    def work() -> None:
        found = min(worker.ask("time", untimed=1, calls=3)["seconds"])
        worker.ask("time", untimed=0, calls=max(1, round(seconds / found)))

    return _recorded(["-p", str(worker.pid)], work, candidate.label)


def of_video(faces: str, threads: int) -> str:
    """Functions of `srsdk enhance` on the example clip, start of the program included."""
    with tempfile.TemporaryDirectory() as folder:
        target = str(Path(folder) / "out.mp4")
        command = [*COMMAND, "enhance", str(CLIP), "-o", target, "--faces", faces, "--quiet"]
        command += ["--threads", str(threads)]
        return _recorded(command, None, f"srsdk enhance --faces {faces}")


def _recorded(what: list[str], work: Callable[[], None] | None, title: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "perf.data")
        command = ["perf", "record", "-F", _RATE, "-e", "cpu-clock", "-N", "-o", file, *what]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if work is not None:
            work()
            process.send_signal(signal.SIGINT)
        process.wait(timeout=120)
        libraries = _report(file, "dso", "0.5")
        # Functions of stripped libraries are mere addresses, one a line.
        functions = [line for line in _report(file, "dso,symbol", "0.7") if "] 0x" not in line]
    both = ["by library", *libraries, "", "by function, where libraries tell", *functions]
    return "\n".join([f"## {title}", "", *(both if libraries else ["nothing was recorded"]), ""])


def _report(file: str, by: str, least: str) -> list[str]:
    command = ["perf", "report", "-i", file, "--stdio", "--percent-limit", least, "--sort", by]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line.rstrip(" -") for line in done.stdout.splitlines()]
    return [_short(line) for line in lines if re.match(r"\s+\d+\.\d+%", line)]


def _short(line: str) -> str:
    """A line without folders and template arguments of a page's length."""
    return re.sub(r"\S*/(\S+)", r"\1", line)[:150]
