"""The comparison as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from srsdk.cli.record import machine
from tests.benchmarks.comparison.account import Account, Entry
from tests.benchmarks.comparison.bars import Bar


def markdown(found: Account, bars: Sequence[Bar]) -> str:
    """Tables of frames, faces, networks alone, videos, bars, and what is missing."""
    return "\n".join([*_head(found), *_tables(found), *_bars(bars), *_skipped(found), ""])


def _head(found: Account) -> Iterator[str]:
    width, height = found.settings["size"]
    facts = machine()
    load = [str(values[0]) for values in (*found.load[:1], *found.load[-1:]) if values]
    yield f"# {width}x{height} to {4 * width}x{4 * height}, {found.settings['threads']} threads"
    yield ""
    yield f"{facts['processor']}; {facts['system']}; load {' to '.join(load) or 'unknown'}."
    for key, words in (
        ("matrix_product_gflops", "float32 matrix product, GFLOP/s"),
        ("copy_gbytes", "memory copy, GB/s"),
    ):
        if key in found.ceilings:
            yield f"Ceiling: {words}: {found.ceilings[key]:.1f}."
    yield ""


def _tables(found: Account) -> Iterator[str]:
    entries = list(found.entries.values())
    sets = sorted({name for entry in entries for name in entry.row.psnr})
    groups = (
        ("Whole frames", [e for e in entries if e.group == "frame" and e.row.scope == "frames"]),
        ("Four 32x32 faces, one call", _whole(entries, "faces")),
        ("Networks alone: no frame comes out", [e for e in entries if e.row.scope == "network"]),
    )
    for title, chosen in groups:
        if chosen:
            yield from (f"## {title}", "")
            yield from _table(sorted(chosen, key=lambda entry: entry.p50), sets)
    videos = [entry for entry in entries if entry.group == "video"]
    if videos:
        yield from _videos(videos)


def _whole(entries: list[Entry], group: str) -> list[Entry]:
    return [e for e in entries if e.group == group and e.row.scope == "frames"]


def _table(entries: Sequence[Entry], sets: Sequence[str]) -> Iterator[str]:
    faces = entries[0].group == "faces"
    heads = ["", "p50 ms", "p95", "p99", "faces/s" if faces else "fps", "GFLOP/s", "of product"]
    heads += ["memory MB", *(f"PSNR {name}" for name in sets), "p50 by stage, ms"]
    yield _line(heads)
    yield "|---|" + "--:|" * (len(heads) - 2) + "---|"
    for entry in entries:
        row, total = entry.row, entry.row.total
        rate = entry.images * total.calls / total.total if faces else entry.fps
        if row.scope == "network":
            rate = None
        memory = row.peak_memory / 1e6 if row.peak_memory else None
        yield _line(
            [
                f"**{entry.label}**" if entry.kind == "ours" else entry.label,
                *(f"{1000 * value:.2f}" for value in (total.p50, total.p95, total.p99)),
                _number(rate, ".1f"),
                _number(row.gflops, ".0f"),
                _number(row.ceiling_share, ".0%"),
                _number(memory, ".0f"),
                *(_number(row.psnr.get(name), ".2f") for name in sets),
                _stages(entry),
            ]
        )
    yield ""


def _stages(entry: Entry) -> str:
    stages = [(n, s) for n, s in entry.row.stages.items() if n not in ("total", "frame")]
    return ", ".join(f"{name} {1000 * stage.p50:.2f}" for name, stage in stages)


def _videos(videos: Sequence[Entry]) -> Iterator[str]:
    yield from ("## Whole videos: decode, upscale, encode, sound", "")
    yield _line(
        ["", "fps", "fps with the program's start", "memory MB", "faces", "ms a frame by stage"]
    )
    yield "|---|--:|--:|--:|--:|---|"
    for entry in videos:
        memory = entry.row.peak_memory / 1e6 if entry.row.peak_memory else None
        yield _line(
            [
                entry.label,
                _number(entry.fps, ".1f"),
                _number(entry.process_fps, ".1f"),
                _number(memory, ".0f"),
                str(entry.row.faces),
                _stages(entry),
            ]
        )
    yield ""


def _bars(bars: Sequence[Bar]) -> Iterator[str]:
    yield from ("## Bars", "", "| | bar | needed | measured | |", "|--:|---|--:|--:|---|")
    for bar in bars:
        share = bar.needed in (0.85, 0.15)
        form = ".0%" if share else ".2f"
        sign = "≤" if bar.at_most else ">" if bar.needed == 0 else "≥"
        needed = f"{sign} {bar.needed:{'.0%' if share else 'g'}}"
        yield _line([str(bar.number), bar.text, needed, _number(bar.measured, form), bar.verdict])
    yield ""


def _skipped(found: Account) -> Iterator[str]:
    if found.skipped:
        yield from ("## Not measured", "")
        yield from (f"- `{name}`: {reason}" for name, reason in sorted(found.skipped.items()))
        yield ""


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
