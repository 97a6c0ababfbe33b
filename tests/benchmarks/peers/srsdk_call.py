"""`Upscaler` as users use it: a call for one frame, `batch` for several."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from worker import Job, Pixels, Program

import srsdk
from srsdk import Upscaler, zoo
from srsdk.backends import open_backend
from srsdk.timing import Turns
from srsdk.types import ProfiledBackend

#: Seconds after which enough calls were split into stages.
_STAGE_SECONDS = 4.0


def open(job: Job) -> Program:  # noqa: A001
    model = job.options["model"]
    upscaler = Upscaler(
        model,
        backend=job.options["backend"],
        threads=job.threads,
        precision=job.options.get("precision", "auto"),
    )
    info = upscaler.info.frames

    def up(frames: Pixels) -> Any:
        return upscaler(frames[0])[None] if len(frames) == 1 else upscaler.batch(frames)

    def stages(calls: int) -> dict[str, list[float]]:
        return _stages(info.name, job, up, calls)

    versions = {"srsdk": srsdk.__version__, info.name: info.version}
    facts = {
        "backend": info.name,
        "device": info.device,
        "version": info.version,
        "precision": info.arithmetic,
    }
    return Program((("call", up),), versions, facts, stages)


def _stages(name: str, job: Job, up: Any, calls: int) -> dict[str, list[float]]:
    """Whole calls ("total") and, in turn with them, their parts as the backend tells them."""
    backend = open_backend(
        name,
        zoo.find(job.options["model"]),
        threads=job.threads,
        precision=job.options.get("precision", "auto"),
    )
    found: dict[str, list[float]] = {"total": []}
    if not isinstance(backend, ProfiledBackend):
        return {}
    inputs, until = np.load(job.frames), time.perf_counter() + _STAGE_SECONDS

    def total(frames: Pixels) -> dict[str, float]:
        began = time.perf_counter()
        up(frames)
        return {"total": time.perf_counter() - began}

    turns = Turns()
    for number in range(calls + 3):
        if number > 5 and time.perf_counter() > until:
            break
        frames = inputs[number % len(inputs)]
        for measured in turns.round((total, backend.profile)):
            measured(frames)  # not counted: it finds the caches as the other left them
            for part, value in measured(frames).items():
                if number >= 3:
                    found.setdefault(part, []).append(value)
    backend.close()
    return found
