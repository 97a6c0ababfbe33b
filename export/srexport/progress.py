"""How far a TensorRT build is, from the phases that its builder reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Watch = Callable[[float, str], None]
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


def monitor(trt: Any, watch: Watch) -> Any:
    """An `IProgressMonitor` that calls `watch`.

    Ctrl-C ends the build at the builder's next step: an exception must not cross its C++ frames,
    so it is kept in `interrupted`.

    Args:
        trt: The TensorRT module.
        watch: Called at each step.
    """

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.phases = Phases()
            self.interrupted: BaseException | None = None

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.phases.start(phase_name, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            try:
                self.phases.step(phase_name, step)
                watch(self.phases.share, phase_name)
            except BaseException as error:
                self.interrupted = error
            return self.interrupted is None

        def phase_finish(self, phase_name: str) -> None:
            self.phases.finish(phase_name)

    return Monitor()
