"""Whole videos: `srsdk enhance` of the example clip, as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.comparison.material import CLIP
from tests.benchmarks.comparison.workers import WorkerError

COMMAND = [sys.executable, "-c", "from srsdk.cli import main; main()"]


def enhance(faces: str, threads: int) -> dict[str, Any]:
    """Run it once.

    Args:
        faces: Generator of faces, or "none".
        threads: For each generator.

    Returns:
        `process`: seconds from start to end of the program; `wall`, `frames`, `faces`, `stages`:
        as its own report has them, `wall` from opening the file to its finished output; `peak`:
        bytes, most that the program had resident, None where the system does not say.

    Raises:
        WorkerError: It failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        target, report = Path(folder) / "out.mp4", Path(folder) / "report.json"
        command = [*COMMAND, "enhance", str(CLIP), "-o", str(target), "--report", str(report)]
        command += ["--faces", faces, "--threads", str(threads), "--quiet"]
        began = time.perf_counter()
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert process.stderr is not None
        said = process.stderr.read()
        peak = None
        if hasattr(os, "wait4"):
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        process.wait()
        seconds = time.perf_counter() - began
        process.stderr.close()
        if process.returncode:
            lines = said.decode(errors="replace").strip().splitlines() or ["it failed"]
            raise WorkerError(lines[-1])
        record = json.loads(report.read_text("ascii"))
    return {
        "process": seconds,
        "wall": record["wall"],
        "frames": record["frames"],
        "faces": record["faces"],
        "stages": record["seconds"],
        "peak": peak,
    }
