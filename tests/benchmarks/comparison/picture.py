"""The picture: quality against frames per second, ours and theirs."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.comparison.account import Account, Entry

#: Okabe and Ito's colours, told apart by all eyes; shapes differ too.
_STYLES: dict[str, dict[str, Any]] = {
    "ours": {"color": "#0072B2", "marker": "o", "s": 90, "label": "srsdk, u8 frame to u8 frame"},
    "same weights": {
        "color": "#56B4E9",
        "marker": "D",
        "s": 46,
        "label": "same weights in another runtime",
    },
    "other": {"color": "#D55E00", "marker": "s", "s": 56, "label": "what one would pick instead"},
}
#: Where a name may stand, in points from its dot: nearest first, above and below by turns.
_OFFSETS = [
    (side * across, up * rise)
    for rise, across in ((0, 9), (12, 6), (24, 6), (36, 6), (48, 8), (60, 10), (74, 12))
    for up, side in product((1, -1), (1, -1))
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
    axes.margins(0.14, 0.16)
    axes.axvline(30, color="#999999", linestyle="--", linewidth=1, zorder=1)
    low, _ = axes.get_ylim()
    axes.annotate(" 30 fps", (30, low), color="#666666", fontsize=8, va="bottom")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    threads = found.settings["threads"]
    axes.set_title(f"Quality against speed, {threads} CPU threads", loc="left", fontsize=12)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3, frameon=False)
    figure.tight_layout()
    figure.canvas.draw()  # from here on nothing moves
    _label(figure, axes, points)
    figure.savefig(file)
    pyplot.close(figure)
    return ""


def _quality(entry: Entry) -> float:
    return float(np.mean(list(entry.row.psnr.values())))


def _label(figure: Any, axes: Any, points: list[tuple[Entry, float, float]]) -> None:
    """Put each name beside its dot, where it covers no dot and no other name."""
    from matplotlib.text import Text

    renderer = figure.canvas.get_renderer()
    dots = [axes.transData.transform((x, y)) for _, x, y in points]
    frame, taken = axes.get_window_extent(renderer), []
    for entry, x, y in sorted(points, key=lambda point: (point[0].kind != "ours", -point[1])):
        tried: list[tuple[int, int, Any, Any]] = []
        for number, (dx, dy) in enumerate(_OFFSETS):
            text = axes.annotate(
                _short(entry),
                (x, y),
                xytext=(dx, dy),
                textcoords="offset points",
                ha="left" if dx > 0 else "right",
                va="center",
                fontsize=8.5,
                color="#2f7fb3" if entry.kind == "same weights" else _STYLES[entry.kind]["color"],
                weight="bold" if entry.kind == "ours" else "normal",
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
                arrowprops={"arrowstyle": "-", "color": "#bbbbbb", "linewidth": 0.7},
            )
            text.update_positions(renderer)
            box = Text.get_window_extent(text, renderer).padded(3)  # without its line
            clashes = sum(box.overlaps(other) for other in taken)
            clashes += sum(box.contains(*dot) for dot in dots)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1
            inside = inside and frame.y0 <= box.y0 and box.y1 <= frame.y1
            tried.append((clashes + 5 * (not inside), number, text, box))
        best = min(tried, key=lambda one: one[:2])
        for one in tried:
            if one is not best:
                one[2].remove()
        taken.append(best[3])


def _short(entry: Entry) -> str:
    """Of another runtime, its name alone: the weights are those of the dots beside it."""
    return entry.label.partition(", ")[2] if entry.kind == "same weights" else entry.label
