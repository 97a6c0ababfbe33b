"""The progress bar of a TensorRT build, and engines that are built before they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from srsdk.cli.entry import console

if TYPE_CHECKING:
    from srsdk.tensorrt.progress import OnProgress


@contextmanager
def engine_bar(title: str) -> Iterator[OnProgress]:
    """A bar with the time left, from the first progress on; nothing where stderr is no terminal."""
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    task = bar.add_task(title, total=1.0)

    def on_progress(share: float, phase: str) -> None:
        bar.start()
        bar.update(task, completed=share, description=f"{title}: {phase[:40]}")

    try:
        yield on_progress
    finally:
        bar.stop()


def build_missing_engines(*models: str) -> None:
    """Build the engines that the backend "tensorrt" would build on first use, with a bar.

    Args:
        models: Names or paths, as `Upscaler` takes them; engines are left alone.

    Raises:
        BackendUnavailableError: TensorRT, the driver or the GPU is missing.
        ModelNotFoundError: There is no such model.
        ModelFormatError: The model cannot be built.
    """
    from srsdk import zoo
    from srsdk.cuda.device import open_device
    from srsdk.tensorrt.cache import cached_engine
    from srsdk.tensorrt.sidecar import is_engine

    for model in models:
        path = zoo.find(model)
        if isinstance(path, Path) and not is_engine(path):
            open_device()  # before minutes are spent on an engine that could not run
            with engine_bar(f"TensorRT engine, once for {path.stem}") as on_progress:
                cached_engine(path, on_progress=on_progress)
