"""Workers: one process a row, stopped while another row has the machine.

Idle threads of OpenMP, ONNX Runtime and OpenCV spin for a while after a call, and would take a
core from whatever runs next; a stopped process cannot.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = Path(__file__).parent.parent / "peers" / "worker.py"
_CAN_STOP = hasattr(signal, "SIGSTOP")


class WorkerError(RuntimeError):
    """The row cannot go on; the message says why."""


class Worker:
    """One row's process.

    Args:
        python: Interpreter of its environment.
        job: What it opens, see peers/worker.py.
        folder: Where job and log are kept.
        name: Of the row.
        timeout: Seconds for it to open and warm up.

    Raises:
        WorkerError: It cannot run here.
    """

    def __init__(
        self, python: Path, job: dict[str, Any], folder: Path, name: str, timeout: float = 400
    ) -> None:
        self.name = name
        stem = name.replace("/", "--")
        file = folder / f"{stem}.job.json"
        file.write_text(json.dumps(job), "utf-8")
        threads = str(job["threads"])
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "TORCHINDUCTOR_COMPILE_THREADS": "1",  # no pool of processes that would go on beside
            "TORCHINDUCTOR_CACHE_DIR": str(folder / "torchinductor"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        with (folder / f"{stem}.log").open("w") as log:
            self._process = subprocess.Popen(
                [str(python), str(PROGRAMS), str(file)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
            )
        self._rest = b""
        try:
            hello = self._answer(timeout)
        except WorkerError:
            self.close()
            raise
        self.versions: dict[str, str] = hello["versions"]
        self.facts: dict[str, Any] = hello["facts"]
        self._stop()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def ask(self, do: str, *, timeout: float = 300, **question: Any) -> dict[str, Any]:
        """Let it go on for one question.

        Raises:
            WorkerError: It failed, died, or took too long.
        """
        assert self._process.stdin is not None
        with self.awake():
            try:
                line = json.dumps({"do": do, **question}) + "\n"
                self._process.stdin.write(line.encode())
                self._process.stdin.flush()
            except OSError:
                raise WorkerError("its process has ended") from None
            return self._answer(timeout)

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Not stopped meanwhile."""
        if _CAN_STOP and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
        try:
            yield
        finally:
            self._stop()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _stop(self) -> None:
        if _CAN_STOP and self._process.poll() is None:
            self._process.send_signal(signal.SIGSTOP)

    def _answer(self, timeout: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        until = time.monotonic() + timeout
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._process.stdout], [], [], until - time.monotonic())
            if not ready:
                raise WorkerError(f"no answer within {timeout:.0f} s")
            more = os.read(self._process.stdout.fileno(), 1 << 16)
            if not more:
                raise WorkerError(f"its process ended with code {self._process.wait()}")
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise WorkerError(found["error"])
        return found
