"""Results of `srsdk-train evaluate` as JSON, Markdown, and the report's comparison picture."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from srtrain.candidates import Candidate
from srtrain.data import Pairs
from srtrain.degrade import Pixels
from srtrain.judge import Scores

Results = Mapping[str, Mapping[str, Scores]]
"""Set name to generator name to scores."""

_COLUMNS = (
    ("psnr", "PSNR, dB", 2),
    ("ssim", "SSIM", 4),
    ("ssimulacra2", "SSIMULACRA2", 1),
    ("identity", "identity distance", 3),
    ("vgg", "VGG distance", 4),
    ("spectrum", "spectrum distance, dB", 2),
    ("grid", "grid", 2),
    ("grid_defocus", "grid, defocused", 2),
    ("lpips", "LPIPS", 4),
)

_HIGHER = ("psnr", "ssim", "ssimulacra2")


def to_json(results: Results, **about: object) -> str:
    """All scores, with facts about the evaluation beside them."""
    sets = {
        name: {generator: dataclasses.asdict(scores) for generator, scores in rows.items()}
        for name, rows in results.items()
    }
    return json.dumps({**about, "sets": sets}, indent=2) + "\n"


def to_markdown(results: Results) -> str:
    """A table for each set; the best value of a column is bold."""
    parts = []
    for name, rows in results.items():
        columns = [c for c in _COLUMNS if all(getattr(s, c[0]) is not None for s in rows.values())]
        lines = [f"### {name}", ""]
        lines.append("| generator | " + " | ".join(title for _, title, _ in columns) + " |")
        lines.append("| --- |" + " ---: |" * len(columns))
        best = {
            key: (max if key in _HIGHER else min)(getattr(s, key) for s in rows.values())
            for key, _, _ in columns
        }
        for generator, scores in rows.items():
            cells = []
            for key, _, digits in columns:
                value = getattr(scores, key)
                text = f"{value:.{digits}f}"
                cells.append(f"**{text}**" if value == best[key] else text)
            lines.append(f"| {generator} | " + " | ".join(cells) + " |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def picture(
    upscalers: Sequence[Candidate], sets: Mapping[str, Pairs], faces: int = 3, gap: int = 4
) -> Image.Image:
    """The report's comparison: a row for each face, LR, then the generators, then HR.

    Args:
        upscalers: The generators, in the order of their columns.
        sets: Dev sets; the first `faces` of each are shown.
        faces: Rows from each set.
        gap: Pixels between pictures.
    """
    rows: list[list[Pixels]] = []
    for pairs in sets.values():
        lr, hr = pairs.lr[:faces], pairs.hr[:faces]
        enlarged = lr.repeat(pairs.scale, axis=1).repeat(pairs.scale, axis=2)
        columns = [enlarged, *(u.upscale(np.ascontiguousarray(lr)) for u in upscalers), hr]
        rows.extend([column[n] for column in columns] for n in range(len(lr)))
    side, titles = rows[0][0].shape[0], ["LR", *(u.name for u in upscalers), "HR"]
    top = 18
    size = (len(titles) * (side + gap) - gap, top + len(rows) * (side + gap) - gap)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for x, title in enumerate(titles):
        draw.text((x * (side + gap) + 2, 3), title, fill="black")
        for y, row in enumerate(rows):
            sheet.paste(Image.fromarray(row[x]), (x * (side + gap), top + y * (side + gap)))
    return sheet
