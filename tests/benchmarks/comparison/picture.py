"""The picture: quality against frames per second, ours and theirs."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from comparison.account import Account, Entry

#: Okabe and Ito's colours, told apart by all eyes; shapes differ too.
_STYLES: dict[str, dict[str, Any]] = {
    "ours": {"color": "#0072B2", "marker": "o", "s": 90, "label": "srsdk, u8 frame to u8 frame"},
    "same weights": {"color": "#56B4E9", "marker": "D", "s": 46, "label": "our weights, elsewhere"},
    "other": {"color": "#D55E00", "marker": "s", "s": 56, "label": "what one would pick instead"},
}
_OFFSETS = [
    (radius * x, radius * y)
    for radius, (y, x) in product((1, 2.2, 3.6, 5.2), product((1, -1, 0.2), (1, -1)))
]


def draw(found: Account, file: Path) -> str:
    """Draw it.

    Returns:
        "" or, in words, why there is none.
    """
    entries = [e for e in found.entries.values() if e.group == "frame" and e.fps and e.row.psnr]
    if len(entries) < 2:
        return (
            "no picture: fewer than two rows have both speed and PSNR (SRSDK_DATA names the sets)"
        )
    try:
        import matplotlib as mpl
    except ImportError:
        return "no picture: pip install matplotlib"
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(10, 6), dpi=140)
    points = [(entry, float(entry.fps or 0), _quality(entry)) for entry in entries]
    for kind, style in _STYLES.items():
        chosen = [(x, y) for entry, x, y in points if entry.kind == kind]
        if chosen:
            axes.scatter(*zip(*chosen, strict=True), zorder=3, edgecolors="white", **style)
    width, height = found.settings["size"]
    axes.set_xscale("log")
    axes.set_xlabel(f"frames per second, {width}x{height} to {4 * width}x{4 * height} (log)")
    axes.set_ylabel("PSNR, dB, mean of " + " and ".join(sorted(entries[0].row.psnr)))
    axes.grid(visible=True, which="major", color="#dddddd", zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(0.16, 0.14)
    axes.axvline(30, color="#999999", linestyle="--", linewidth=1, zorder=1)
    low, _ = axes.get_ylim()
    axes.annotate(" 30 fps", (30, low), color="#666666", fontsize=8, va="bottom")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    threads = found.settings["threads"]
    axes.set_title(f"Quality against speed, {threads} CPU threads", loc="left", fontsize=12)
    axes.legend(loc="lower left", frameon=False, fontsize=9)
    _label(figure, axes, points)
    figure.tight_layout()
    figure.savefig(file)
    pyplot.close(figure)
    return ""


def _quality(entry: Entry) -> float:
    return float(np.mean(list(entry.row.psnr.values())))


def _label(figure: Any, axes: Any, points: list[tuple[Entry, float, float]]) -> None:
    """Put each name beside its point where it covers no point and no other name."""
    renderer = figure.canvas.get_renderer()
    dots = [axes.transData.transform((x, y)) for _, x, y in points]
    taken: list[Any] = []
    frame = axes.get_window_extent(renderer)
    for entry, x, y in sorted(points, key=lambda point: (point[0].kind != "ours", point[1])):
        best: tuple[int, Any] | None = None
        for dx, dy in _OFFSETS:
            text = axes.annotate(
                entry.label,
                (x, y),
                xytext=(12 * dx, 11 * dy),
                textcoords="offset points",
                ha="left" if dx > 0 else "right",
                va="center",
                fontsize=8.5,
                color=_STYLES[entry.kind]["color"],
                weight="bold" if entry.kind == "ours" else "normal",
                arrowprops={"arrowstyle": "-", "color": "#bbbbbb", "linewidth": 0.7},
            )
            box = text.get_window_extent(renderer).expanded(1.03, 1.25)
            clashes = sum(box.overlaps(other) for other in taken)
            clashes += sum(box.contains(*dot) for dot in dots)
            clashes += 0 if frame.x0 <= box.x0 and box.x1 <= frame.x1 else 5
            clashes += 0 if frame.y0 <= box.y0 and box.y1 <= frame.y1 else 5
            if best is None or clashes < best[0]:
                if best is not None:
                    best[1].remove()
                best = (clashes, text)
            else:
                text.remove()
            if clashes == 0:
                break
        assert best is not None
        taken.append(best[1].get_window_extent(renderer))
