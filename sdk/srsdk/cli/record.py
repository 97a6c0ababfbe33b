"""What `srsdk bench --json` and `make bench` write.

The file holds one object. Times are in seconds, sizes are [width, height] in pixels.

| key | value |
|---|---|
| `schema` | "srsdk-bench-1" |
| `srsdk`, `versions` | version of this package; of Python and the libraries that did the work |
| `machine` | `processor` (name, usable cores, vector instructions), `system`, `cores` |
| `source` | name of the clip, or null for made-up frames |
| `input_size`, `output_size` | of a frame |
| `ceilings` | what the machine itself can do, for instance `matrix_product_gflops`; may be empty |
| `power` | `sensor`: what was read, or null; `note`: what it covers, or why there is none |
| `rows` | one object a candidate, below |
| `skipped` | candidates that did not run: `name`, `reason` |

| key of a row | value |
|---|---|
| `name` | unique within the file |
| `model`, `face_model` | names of the generators; `face_model` may be null |
| `backend`, `version`, `device`, `threads`, `precision` | what ran it, where, on how many threads (0: unknown), in which arithmetic |
| `scope` | "frames": u8 in to u8 out, all that a user waits for; "network": the graph alone |
| `total` | a summary: `calls`, `total`, `mean`, `min`, `p50`, `p95`, `p99` |
| `fps` | frames per second, one after another; null where `scope` is "network" |
| `stages` | summaries by stage, parts of `total` or beside it, as each benchmark says; may be empty |
| `peak_memory` | largest resident memory in bytes of a process that ran it alone; null: not known |
| `gflops`, `ceiling_share` | multiply-adds times two per second of `total.p50`; its share of the matrix product; or null |
| `psnr` | dB by data set; may be empty |
| `faces` | faces enhanced in the measured frames, counted once a frame |
| `joules` | per frame, only where `power.sensor` is not null |
"""  # noqa: E501

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import srsdk
from srsdk.cli.checks import processor
from srsdk.cli.report import versions
from srsdk.cpu import usable_cores
from srsdk.timing import StageSummary

SCHEMA = "srsdk-bench-1"


@dataclass(frozen=True)
class Row:
    """One candidate; the attributes are the keys of a row, see above."""

    name: str
    total: StageSummary
    model: str = ""
    face_model: str | None = None
    backend: str = ""
    version: str = ""
    device: str = "cpu"
    threads: int = 0
    precision: str = "fp32"
    scope: Literal["frames", "network"] = "frames"
    stages: dict[str, StageSummary] = field(default_factory=dict)
    peak_memory: int | None = None
    gflops: float | None = None
    ceiling_share: float | None = None
    psnr: dict[str, float] = field(default_factory=dict)
    faces: int = 0
    joules: float | None = None

    @property
    def fps(self) -> float | None:
        """Frames per second, one after another; None for a network alone, or nothing measured."""
        if self.scope == "network" or not self.total.total:
            return None
        return self.total.calls / self.total.total

    def to_json(self) -> dict[str, Any]:
        """The same as plain types."""
        record = {**asdict(self), "fps": self.fps}
        if self.joules is None:
            del record["joules"]
        return record


@dataclass(frozen=True)
class Record:
    """A whole benchmark; the attributes are the file's keys, see above."""

    input_size: tuple[int, int]
    output_size: tuple[int, int]
    rows: tuple[Row, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    source: str | None = None
    ceilings: dict[str, float] = field(default_factory=dict)
    sensor: str | None = None
    power_note: str = "not looked for"

    def to_json(self) -> dict[str, Any]:
        """The same as plain types, with versions and the machine."""
        return {
            "schema": SCHEMA,
            "srsdk": srsdk.__version__,
            "versions": versions(),
            "machine": machine(),
            "source": self.source,
            "input_size": list(self.input_size),
            "output_size": list(self.output_size),
            "ceilings": self.ceilings,
            "power": {"sensor": self.sensor, "note": self.power_note},
            "rows": [row.to_json() for row in self.rows],
            "skipped": [{"name": name, "reason": reason} for name, reason in self.skipped],
        }


def machine() -> dict[str, Any]:
    """The processor, its usable cores, the operating system."""
    system = f"{platform.system()} {platform.machine()}"
    return {"processor": processor(), "cores": usable_cores(), "system": system}


def peak_memory() -> int:
    """Largest resident memory of this process so far, in bytes; 0 where that is not known."""
    if sys.platform == "linux":
        # Unlike ru_maxrss, this begins anew with a new program.
        for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def resident_memory() -> int:
    """Resident memory of this process in bytes; on systems without /proc, the largest so far."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return peak_memory()
