"""Model cards and the zoo's manifest, written from the `ModelSpec`, never by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from srexport.verify import Certificate
from srsdk.files import sha256_of, write_whole
from srsdk.spec import ModelSpec


def model_card(spec: ModelSpec, file: Path, certificate: Certificate) -> str:
    """The card as Markdown."""
    training, parity = spec.training, certificate.parity
    minutes = training.seconds / 60
    rows = {
        "architecture": f"{spec.architecture}, x{spec.scale}",
        "graph": f"tail {spec.tail} (shuffle {spec.shuffle}), base {spec.base}, {spec.precision}",
        "meant for": use(spec),
        "receptive field": f"{spec.halo} low-resolution pixels each way",
        "recipe": training.recipe,
        "training data": training.data,
        "terms of the data": training.terms,
        "loss": training.losses,
        "training": f"{training.steps:,} steps, {minutes:.0f} minutes on {training.hardware}",
        "file": f"{file.stat().st_size / 1e6:.2f} MB",
        "weights, SHA-256": f"`{spec.sha256}`",
        "parity": (
            f"against PyTorch: largest difference {parity.largest} of 255, mean {parity.mean:.5f} "
            f"({certificate.frames})"
        ),
    }
    lines = [f"# {spec.name}", "", "| | |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in rows.items()]
    if training.scores:
        lines += ["", *_scores(training.scores)]
    lines += [
        "",
        "The output is a plausible face, not evidence: detail that the camera did not record is "
        "invented. Do not use it to identify a person.",
    ]
    return "\n".join(lines) + "\n"


_COLUMNS = {
    "psnr_rgb": ("PSNR, dB", 2),
    "ssim": ("SSIM", 4),
    "ssimulacra2": ("SSIMULACRA2", 1),
    "identity": ("identity distance", 3),
    "vgg": ("VGG19 distance", 4),
    "spectrum": ("spectrum distance, dB", 2),
    "grid": ("grid", 2),
    "grid_defocus": ("grid, defocused", 2),
}


def _scores(scores: Mapping[str, float]) -> list[str]:
    """A row for each set, a column for each kind of score (`KIND/SET`)."""
    kinds = list(dict.fromkeys([*_COLUMNS, *(name.partition("/")[0] for name in scores)]))
    kinds = [kind for kind in kinds if any(name.startswith(f"{kind}/") for name in scores)]
    sets = list(dict.fromkeys(name.partition("/")[2] for name in scores))
    titles = [_COLUMNS.get(kind, (kind, 4))[0] for kind in kinds]
    lines = [f"| scores | {' | '.join(titles)} |", "| --- |" + " ---: |" * len(kinds)]
    for name in sets:
        cells = []
        for kind in kinds:
            value = scores.get(f"{kind}/{name}")
            cells.append("" if value is None else f"{value:.{_COLUMNS.get(kind, (kind, 4))[1]}f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    notes = "PSNR on u8 RGB, no border cut; all means over images, but for the spectrum."
    return [*lines, "", notes]


def use(spec: ModelSpec) -> str:
    """The images that the generator was trained on."""
    return f"faces around {spec.face_size} pixels" if spec.face_size else "whole frames"


def update_manifest(manifest: Path, spec: ModelSpec, file: Path) -> None:
    """Add or replace the model's entry in the zoo's manifest."""
    entries = json.loads(manifest.read_text("utf-8")) if manifest.exists() else []
    entry = {
        "name": spec.name,
        "scale": spec.scale,
        "use": "faces" if spec.face_size else "frames",
        "summary": f"{spec.architecture}, x{spec.scale}, for {use(spec)}",
        "sha256": sha256_of(file),
    }
    entries = sorted(
        [*(e for e in entries if e["name"] != spec.name), entry], key=lambda e: str(e["name"])
    )
    write_whole(manifest, (json.dumps(entries, indent=2) + "\n").encode("utf-8"))
