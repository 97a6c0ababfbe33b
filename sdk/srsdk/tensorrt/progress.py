"""The progress of a TensorRT build, computed from the phases that its builder reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

OnProgress = Callable[[float, str], None]
"""Called with the finished share, 0 to 1, and the name of the current phase."""


class _Phases:
    """Nested phases as one share; a phase's steps divide the current step of its parent."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[int, int]] = {}
        self._reached = 0.0

    def start(self, name: str, steps: int) -> None:
        """Begin a phase of `steps` steps inside the innermost open phase."""
        self._open[name] = (0, max(steps, 1))

    def step(self, name: str, step: int) -> None:
        """Count step number `step`, from 0, as finished."""
        if name in self._open:
            self._open[name] = (step + 1, self._open[name][1])

    def finish(self, name: str) -> None:
        """End the phase."""
        self._open.pop(name, None)

    @property
    def share(self) -> float:
        """The finished share; never falls."""
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
            self.phases = _Phases()
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
