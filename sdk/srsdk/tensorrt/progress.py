"""How far a TensorRT build is, from the phases that its builder reports."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

OnProgress = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and the name of the current phase."""


class Phases:
    """Nested phases as one share: a phase's step counts for its part of the parent's step."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[int, int]] = {}
        self._reached = 0.0

    def start(self, name: str, steps: int) -> None:
        """A phase of so many steps begins inside the innermost open one."""
        self._open[name] = (0, max(steps, 1))

    def step(self, name: str, step: int) -> None:
        """Step number `step`, from 0, is done."""
        if name in self._open:
            self._open[name] = (step + 1, self._open[name][1])

    def finish(self, name: str) -> None:
        """The phase is over."""
        self._open.pop(name, None)

    @property
    def share(self) -> float:
        """Share that is done; never less than it was before."""
        total, weight = 0.0, 1.0
        for done, steps in self._open.values():
            total += weight * min(done, steps) / steps
            weight /= steps
        self._reached = max(self._reached, min(total, 1.0))
        return self._reached


def monitor(trt: Any, on_progress: OnProgress) -> Any:
    """An `IProgressMonitor` that calls `on_progress`.

    An exception must not cross the builder's C++ frames. So an exception of `on_progress` is kept
    in `failure`, and it ends the build at that step, as `stop()` does.

    Args:
        trt: The TensorRT module.
        on_progress: Called at each step.
    """

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.phases = Phases()
            self.failure: Exception | None = None
            self.stopped = False

        def stop(self) -> None:
            self.stopped = True

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.phases.start(phase_name, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            try:
                self.phases.step(phase_name, step)
                on_progress(self.phases.share, phase_name)
            except Exception as error:
                self.failure = error
            return self.failure is None and not self.stopped

        def phase_finish(self, phase_name: str) -> None:
            self.phases.finish(phase_name)

    return Monitor()


@contextmanager
def signals_held(stop: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM call `stop`, and do what they usually do when the block is over.

    Their usual handlers raise, and would do so in whichever callback the builder is just calling.
    In threads other than the main one nothing changes: signals do not arrive there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        arrived.append(number)
        stop()

    usual = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for held, handler in usual.items():
            signal.signal(held, handler)
    for number in arrived[:1]:
        signal.raise_signal(number)
