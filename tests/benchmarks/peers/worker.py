"""One row of the comparison, in a process of its own: opens a program and answers questions.

    python worker.py JOB.json

JOB names a module of this folder and what it needs (`Job`). The worker answers one line of JSON on
standard output for each line on standard input; what libraries print goes to standard error.

| question | answer |
|---|---|
| (none, once it is ready) | `versions`, `facts`: what the program says of itself |
| `{"do": "time", "untimed": 1, "calls": 5}` | `seconds`: a list; `stages`: lists by step |
| `{"do": "upscale", "source": FILE, "target": FILE, "batch": 4}` | `shape`; pixels are in files |
| `{"do": "stages", "calls": 20}` | `stages`: seconds that only the program itself can tell |
| `{"do": "memory"}` | `peak`: bytes, most that this process had resident so far |

An answer `{"error": "..."}` means that this question failed; before the first answer, that there is
nothing to ask. Needs NumPy and what the program itself measures, nothing else, so that it runs in
the environments of peers too.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Step = tuple[str, Callable[[Any], Any]]


@dataclass(frozen=True)
class Job:
    """What to open.

    Attributes:
        program: Module of this folder whose `open(job)` makes the program.
        frames: File of `(M, N, H, W, 3)` uint8 BGR: M inputs of a call, taken in turn.
        threads: Threads that the program may use.
        options: What else the program needs: names and files.
    """

    program: str
    frames: str
    threads: int
    options: dict[str, Any]


@dataclass(frozen=True)
class Program:
    """Something that upscales.

    Attributes:
        steps: Functions in order; the first takes `(N, H, W, 3)` uint8 BGR, each the result of the
            one before, and the last gives `(N, 4H, 4W, 3)` uint8 BGR (a ceiling gives anything).
        versions: Of the libraries that do the work.
        facts: Anything else the record wants, for instance the device.
        stages: Seconds by stage of so many calls, where steps cannot show them.
    """

    steps: tuple[Step, ...]
    versions: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    stages: Callable[[int], dict[str, list[float]]] | None = None

    def __call__(self, value: Any) -> Any:
        for _, step in self.steps:
            value = step(value)
        return value


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever prints, prints to the log
    _die_with_parent()

    def answer(found: dict[str, Any]) -> None:
        answers.write(json.dumps(found) + "\n")
        answers.flush()

    try:
        job = Job(**json.loads(Path(sys.argv[1]).read_text("utf-8")))
        program = import_module(job.program).open(job)
        asked = _Worker(program, np.load(job.frames))
        asked.time(untimed=3, calls=0)
    except Exception as error:  # any: it is the answer
        answer({"error": _line(error)})
        raise
    answer({"versions": program.versions, "facts": program.facts})
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer(getattr(asked, question.pop("do"))(**question))
        except Exception as error:  # the row fails, the benchmark goes on
            answer({"error": _line(error)})


class _Worker:
    def __init__(self, program: Program, frames: Pixels) -> None:
        self._program, self._frames, self._turn = program, frames, 0

    def _next(self) -> Pixels:
        self._turn += 1
        return self._frames[self._turn % len(self._frames)]

    def time(self, *, untimed: int, calls: int) -> dict[str, Any]:
        for _ in range(untimed):
            self._program(self._next())
        seconds: list[float] = []
        stages: dict[str, list[float]] = {name: [] for name, _ in self._program.steps}
        for _ in range(calls):
            value: Any = self._next()
            began = before = time.perf_counter()
            for name, step in self._program.steps:
                value = step(value)
                now = time.perf_counter()
                stages[name].append(now - before)
                before = now
            seconds.append(before - began)
        return {"seconds": seconds, "stages": stages if len(stages) > 1 else {}}

    def upscale(self, *, source: str, target: str, batch: int) -> dict[str, Any]:
        lr = np.load(source)
        sr = [np.asarray(self._program(lr[at : at + batch])) for at in range(0, len(lr), batch)]
        result = np.concatenate(sr)
        np.save(target, result)
        return {"shape": list(result.shape)}

    def stages(self, *, calls: int) -> dict[str, Any]:
        return {"stages": self._program.stages(calls) if self._program.stages else {}}

    def memory(self) -> dict[str, Any]:
        try:
            status = Path("/proc/self/status").read_text("ascii", "replace")
            return {"peak": 1024 * int(status.partition("VmHWM:")[2].split()[0])}
        except (OSError, IndexError):
            return {"peak": None}  # only Linux has it


def _die_with_parent() -> None:
    """Also when stopped: a benchmark that is killed must leave nobody behind."""
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]


if __name__ == "__main__":
    sys.modules["worker"] = sys.modules[__name__]  # programs import it by that name
    main()
