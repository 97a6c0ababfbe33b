"""From raw measurements to the record: rows, bars, JSON. See ../SCHEMA.md."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from srsdk.cli.record import Record, Row
from srsdk.timing import StageSummary, summarise
from tests.benchmarks.comparison import arithmetic
from tests.benchmarks.comparison.candidates import Candidate, candidates
from tests.benchmarks.comparison.material import CLIP, FACE, FACES
from tests.benchmarks.comparison.progress import Progress, RowProgress

VIDEO_LABELS = {
    "video/faces-off": "srsdk enhance, faces off",
    "video/faces-on": "srsdk enhance, faces on",
}


@dataclass(frozen=True)
class Entry:
    """A row with what the comparison adds to `srsdk.cli.record.Row`.

    Attributes:
        row: As `srsdk bench` has it.
        group: "frame", "faces", "ceiling" or "video".
        label: What tables and the picture call it.
        kind: "ours", "same weights", "other" or "ceiling".
        images: Images a call: 4 in the group "faces".
        gmac: 10⁹ multiply-adds a call, in the report's form and as exported; may be empty.
        difference: Grey levels, largest from the same weights in ONNX Runtime; or None.
        process_fps: Of a video: frames per second from start to end of the program; or None.
    """

    row: Row
    group: str
    label: str
    kind: str
    images: int = 1
    gmac: dict[str, float] | None = None
    difference: int | None = None
    process_fps: float | None = None

    @property
    def name(self) -> str:
        """Of the row."""
        return self.row.name

    @property
    def p50(self) -> float:
        """Median seconds of a call."""
        return self.row.total.p50

    @property
    def fps(self) -> float | None:
        """Frames per second; None where no whole frame comes out."""
        return self.row.fps if self.group in ("frame", "video") else None

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        record = self.row.to_json() | {
            "fps": self.fps,
            "group": self.group,
            "label": self.label,
            "kind": self.kind,
            "images": self.images,
            "gmac": self.gmac or {},
            "difference": self.difference,
            "process_fps": self.process_fps,
        }
        if self.group == "ceiling":
            record["scope"] = "ceiling"
        return record


@dataclass(frozen=True)
class Account:
    """A whole run."""

    entries: dict[str, Entry]
    ceilings: dict[str, float]
    skipped: dict[str, str]
    chosen: dict[str, str]
    settings: dict[str, Any]
    load: list[list[float]]

    def get(self, name: str) -> Entry | None:
        """A row, or None where it was not measured."""
        return self.entries.get(name)

    def default(self, group: str, model: str) -> Entry | None:
        """The row of what `Upscaler(model)` chooses by itself."""
        return self.get(f"{group}/{model}/{self.chosen.get(model, '')}")

    def to_json(self, bars: list[Any]) -> dict[str, Any]:
        """The file, see ../SCHEMA.md."""
        width, height = self.settings["size"]
        rows = tuple(entry.row for entry in self.entries.values())
        record = Record(
            (width, height),
            (4 * width, 4 * height),
            rows,
            tuple(self.skipped.items()),
            source=CLIP.name,
            ceilings=self.ceilings,
        ).to_json()
        record["rows"] = [entry.to_json() for entry in self.entries.values()]
        return record | {
            "settings": self.settings,
            "chosen": self.chosen,
            "load_average": {"first": self.load[:1], "last": self.load[-1:]},
            "bars": [asdict(bar) for bar in bars],
        }


def account(progress: Progress, peers: Path | None) -> Account:
    """Summarise a run.

    Args:
        progress: Raw measurements.
        peers: Folder of the peers' models; needed only for how much arithmetic they take.
    """
    ceilings = _ceilings(progress)
    entries: dict[str, Entry] = {}
    for candidate in candidates():
        row = progress.rows.get(candidate.name)
        if row is not None and row.seconds:
            entries[candidate.name] = _entry(candidate, row, progress, ceilings, peers)
    for name, runs in progress.videos.items():
        if runs:
            entries[name] = _video(name, runs, progress.settings)
    return Account(
        entries,
        ceilings,
        progress.skipped,
        progress.chosen,
        progress.settings,
        progress.load,
    )


def _ceilings(progress: Progress) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, key, fact, unit in (
        ("ceiling/matrix-product", "matrix_product_gflops", "flop", 1e9),
        ("ceiling/copy", "copy_gbytes", "bytes", 1e9),
    ):
        row = progress.rows.get(name)
        if row is not None and row.seconds:
            found[key] = row.facts[fact] / summarise(row.seconds).p50 / unit
    return found


def _entry(
    candidate: Candidate,
    row: RowProgress,
    progress: Progress,
    ceilings: dict[str, float],
    peers: Path | None,
) -> Entry:
    total = summarise(row.seconds)
    images = FACES if candidate.group == "faces" else 1
    gmac = _gmac(candidate, progress.settings["size"], images, peers)
    gflops = 2 * gmac["report"] / total.p50 if gmac else None
    if candidate.name == "ceiling/matrix-product":
        gflops = ceilings["matrix_product_gflops"]
    product = ceilings.get("matrix_product_gflops")
    stages = {name: summarise(values) for name, values in (row.steps or row.inner).items()}
    whole = Row(
        candidate.name,
        total,
        model=candidate.model or candidate.peer,
        precision=row.facts.get("precision", candidate.options.get("precision", "fp32")),
        backend=row.facts.get("backend", candidate.program.removesuffix("_way")),
        version=", ".join(f"{name} {version}" for name, version in row.versions.items()),
        threads=progress.settings["threads"],
        scope="network" if candidate.alone else "frames",
        stages=stages,
        peak_memory=row.peak,
        gflops=gflops,
        ceiling_share=gflops / product if gflops and product else None,
        psnr=row.psnr,
    )
    return Entry(
        whole, candidate.group, candidate.label, _kind(candidate), images, gmac, row.difference
    )


def _kind(candidate: Candidate) -> str:
    if candidate.group == "ceiling":
        return "ceiling"
    if candidate.ours:
        return "ours"
    return "same weights" if candidate.model else "other"


def _gmac(
    candidate: Candidate, size: list[int], images: int, peers: Path | None
) -> dict[str, float]:
    if candidate.model:
        work = arithmetic.of_model(candidate.model)
    elif candidate.peer and peers is not None:
        work = arithmetic.of_peer(candidate.peer, peers)
    else:
        return {}
    pixels = images * FACE * FACE if candidate.group == "faces" else size[0] * size[1]
    return {"report": work.report * pixels / 1e9, "exported": work.exported * pixels / 1e9}


def _video(name: str, runs: list[dict[str, Any]], settings: dict[str, Any]) -> Entry:
    total = summarise([run["wall"] / run["frames"] for run in runs])
    stages: dict[str, StageSummary] = {}
    for stage in runs[0]["stages"]:
        stages[stage] = summarise([run["stages"][stage] / run["frames"] for run in runs])
    peaks = [run["peak"] for run in runs if run["peak"]]
    row = Row(
        name,
        total,
        model="edge-x4",
        face_model=runs[0]["face_model"],
        backend="auto",
        threads=settings["threads"],
        stages=stages,
        peak_memory=max(peaks, default=None),
        faces=runs[0]["faces"],
    )
    process = sum(run["frames"] for run in runs) / sum(run["process"] for run in runs)
    label = VIDEO_LABELS[name]
    if row.face_model:
        label += f" ({row.face_model})"
    return Entry(row, "video", label, "ours", process_fps=process)
