"""What has been measured so far, kept in a file, so that a run that is cut short goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class RowProgress:
    """Raw measurements of one row.

    Attributes:
        seconds: Of each timed call.
        steps: The same by step of the program, where it has several.
        inner: Seconds by stage as the program itself tells them, beside the timed calls.
        versions: Of the libraries that did the work.
        facts: What else the program said of itself.
        peak: Bytes, most that its process had resident before the development sets; None: unknown.
        psnr: dB by development set.
        difference: Grey levels, largest from the same weights in ONNX Runtime; None: no such row.
        rounds: Turns that it has had.
        judged: Whether memory, stages and scores are complete.
    """

    seconds: list[float] = field(default_factory=list)
    steps: dict[str, list[float]] = field(default_factory=dict)
    inner: dict[str, list[float]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    peak: int | None = None
    psnr: dict[str, float] = field(default_factory=dict)
    difference: int | None = None
    rounds: int = 0
    judged: bool = False


@dataclass
class Progress:
    """A run.

    Attributes:
        settings: What the measurements depend on; a run with others does not go on from them.
        rows: By name.
        skipped: Why a row is missing, by name.
        load: Load averages (1, 5, 15 minutes) after each round.
        videos: Raw measurements of whole videos by name.
        chosen: Backend that "auto" stands for, by model.
    """

    settings: dict[str, Any]
    rows: dict[str, RowProgress] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    load: list[list[float]] = field(default_factory=list)
    videos: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    chosen: dict[str, str] = field(default_factory=dict)

    def save(self, file: Path) -> None:
        """Write it, whole or not at all."""
        part = file.with_suffix(".part")
        part.write_text(json.dumps(asdict(self)), "utf-8")
        part.replace(file)

    @classmethod
    def load_or_new(cls, file: Path, settings: dict[str, Any]) -> Progress:
        """What the file has for these settings, or nothing yet."""
        try:
            record = json.loads(file.read_text("utf-8"))
        except OSError:
            return cls(settings)
        if record["settings"] != settings:
            return cls(settings)
        rows = {name: RowProgress(**row) for name, row in record.pop("rows").items()}
        return cls(rows=rows, **record)
