"""The report that `srsdk enhance --report FILE.json` writes.

The file holds one object:

| key | value |
|---|---|
| `srsdk`, `versions` | version of this package; of Python and the libraries that did the work |
| `model`, `backend` | name of the generator of frames, and what ran it |
| `face_model` | name of the generator of faces, or null |
| `generators` | for `frames` and `faces`: name, architecture, scale, precision, sha256 of the weights, backend, device, threads; `faces` may be null |
| `frames`, `faces` | frames (an image is one) and faces enhanced, counted once a frame, over all files |
| `seconds` | working time per stage over all files. decode, process, encode, mux and compare run side by side, so they add up to more than `wall`; process.frame, process.detect, process.faces, process.guard and process.blend are the parts of process |
| `wall`, `fps` | seconds from opening a file to its finished output, over all files; frames per such second, null for none |
| `failed` | number of files that failed |
| `skipped` | one object for each file that was left out: `path`, `reason` |
| `files` | one object a file: `source`, `target`, `compare` (or null), `kind` ("image", "video", "pictures" into a video, or a video into "frames"), and either `error` or `frames`, `faces`, `input_size`, `output_size` (width, height), `seconds`, `wall`, `fps`, `face_path` (what was done to the faces: tracks, blended, mean_strength, and of the identity guard comparisons, mean_distance, held_back and guard_seconds; null without a face model), for a video also `video`: duration, waits, codec, tracks, damage, warnings, resumed_frames, restarted and repaired_timestamps as in `srsdk.video.VideoReport` |
"""  # noqa: E501

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import srsdk
from srsdk.cli.jobs import Job, Skipped
from srsdk.timing import StageTimer

if TYPE_CHECKING:
    from srsdk.stream import UpscalerStream
    from srsdk.types import BackendInfo
    from srsdk.upscaler import UpscalerInfo


@dataclass(frozen=True)
class Outcome:
    """What became of one file; `code` is its exit code, the rest as in the report's `files`."""

    job: Job
    code: int = 0
    error: str = ""
    frames: int = 0
    faces: int = 0
    input_size: tuple[int, int] = (0, 0)
    output_size: tuple[int, int] = (0, 0)
    seconds: dict[str, float] = field(default_factory=dict)
    wall: float = 0.0
    face_path: dict[str, float] | None = None
    video: dict[str, Any] | None = None
    skipped: bool = False

    @property
    def fps(self) -> float | None:
        """Frames per second of wall time."""
        return self.frames / self.wall if self.frames and self.wall else None


def build_report(
    info: UpscalerInfo, outcomes: Sequence[Outcome], skipped: Sequence[Skipped] = ()
) -> dict[str, Any]:
    """The report's object, of plain types."""
    done = [outcome for outcome in outcomes if not outcome.error and not outcome.skipped]
    frames, wall = sum(o.frames for o in done), sum(o.wall for o in done)
    seconds: dict[str, float] = {}
    for outcome in done:
        for stage, value in outcome.seconds.items():
            seconds[stage] = seconds.get(stage, 0.0) + value
    return {
        "srsdk": srsdk.__version__,
        "versions": versions(),
        "model": info.frames.spec.name,
        "backend": info.frames.name,
        "face_model": info.faces.spec.name if info.faces else None,
        "generators": {
            "frames": _generator(info.frames),
            "faces": _generator(info.faces) if info.faces else None,
        },
        "frames": frames,
        "faces": sum(o.faces for o in done),
        "seconds": seconds,
        "wall": wall,
        "fps": frames / wall if frames and wall else None,
        "failed": sum(bool(outcome.error) for outcome in outcomes),
        "files": [_file(outcome) for outcome in outcomes if not outcome.skipped],
        "skipped": [
            *({"path": str(item.path), "reason": item.reason} for item in skipped),
            *(
                {"path": str(outcome.job.source), "reason": f"{outcome.job.target} exists"}
                for outcome in outcomes
                if outcome.skipped
            ),
        ],
    }


def to_text(report: dict[str, Any]) -> str:
    """The report as JSON; escaped, since file names need not be valid Unicode."""
    return json.dumps(report, indent=2) + "\n"


def versions() -> dict[str, str]:
    """Versions of Python and of the installed libraries."""
    found = {"python": platform.python_version()}
    for package in ("numpy", "opencv-python", "onnxruntime", "onnxruntime-gpu", "av"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _generator(info: BackendInfo) -> dict[str, Any]:
    spec = info.spec
    return {
        "name": spec.name,
        "architecture": spec.architecture,
        "scale": spec.scale,
        "precision": info.arithmetic,
        "sha256": spec.sha256,
        "backend": info.name,
        "backend_version": info.version,
        "device": info.device,
        "threads": info.threads,
    }


def _file(outcome: Outcome) -> dict[str, Any]:
    job = outcome.job
    record: dict[str, Any] = {
        "source": str(job.source),
        "target": str(job.target),
        "compare": _text(job.compare),
        "kind": job.kind,
    }
    if outcome.error:
        return {**record, "error": outcome.error}
    rest = asdict(outcome)
    for name in ("job", "code", "error", "skipped", *(() if outcome.video else ("video",))):
        del rest[name]
    return {**record, **rest, "fps": outcome.fps}


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def stage_seconds(timer: StageTimer, on_frame: StageTimer) -> dict[str, float]:
    """Seconds of the stages of a file, and of the parts of "process"."""
    return {
        **{stage: timer.total(stage) for stage in timer.stages},
        **{f"process.{stage}": on_frame.total(stage) for stage in on_frame.stages},
    }


def face_path(stream: UpscalerStream) -> dict[str, float] | None:
    """What a stream did to faces; None without a face model."""
    return None if stream.face_summary is None else asdict(stream.face_summary)
