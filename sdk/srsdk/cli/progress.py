"""The progress bar of `srsdk enhance`: frames, frames per second, time to go."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from srsdk.cli.entry import console

Advance = Callable[[int, int | None], None]
"""Takes the number of frames done, and of all frames, None if unknown."""


class _Rate(ProgressColumn):
    """Frames per second since the file was begun."""

    def render(self, task: Task) -> Text:
        elapsed = task.finished_time or task.elapsed or 0.0
        rate = task.completed / elapsed if elapsed > 0 else 0.0
        return Text(f"{rate:5.1f} fps", style="cyan")


class _Count(ProgressColumn):
    """Frames done, of how many where that is known."""

    def render(self, task: Task) -> Text:
        total = "?" if task.total is None else f"{task.total:.0f}"
        return Text(f"{task.completed:.0f}/{total}", style="green")


class Bar:
    """One bar for all files in turn; nothing at all where stderr is no terminal.

    Args:
        files: Number of files.
        quiet: Show nothing.
    """

    def __init__(self, files: int, *, quiet: bool = False) -> None:
        self._files = files
        self._begun = 0
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            _Count(),
            _Rate(),
            TimeRemainingColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
            transient=True,
        )

    def begin(self, name: str) -> Advance:
        """Start the bar of the next file; what is returned moves it."""
        self._begun += 1
        prefix = f"[{self._begun}/{self._files}] " if self._files > 1 else ""
        for old in self._progress.task_ids:
            self._progress.remove_task(old)
        task: TaskID = self._progress.add_task(f"{prefix}{name}", total=None)
        last = 0.0

        def advance(done: int, total: int | None) -> None:
            nonlocal last
            now = time.perf_counter()
            if now - last < 0.05 and done != total:  # the bar must not slow the frames down
                return
            last = now
            # An estimate that turns out too low would leave a full bar running on.
            known = None if total is None else max(total, done)
            self._progress.update(task, completed=done, total=known)

        return advance

    def __enter__(self) -> Bar:
        if not self._progress.disable:  # older Rich prints an empty line where it shows nothing
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._progress.disable:
            self._progress.stop()
