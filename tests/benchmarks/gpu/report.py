"""The report: JSON for programs, one Markdown page for people."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

JsonObject = dict[str, Any]
"""What a step found, as report.json has it."""

PASSED, FAILED, COULD_NOT = "passed", "failed", "could not run"


def step(status: str, reason: str = "", **result: Any) -> JsonObject:
    """What a step came to."""
    return {"status": status, "reason": reason, "result": result}


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def assemble(
    steps: dict[str, JsonObject], machine: JsonObject, commit: str, options: JsonObject
) -> JsonObject:
    """The whole report from its steps."""
    bars = [*_bars(steps), *_goals(steps)]
    failed = any(record["status"] == FAILED for record in steps.values())
    missed = any(not bar["met"] for bar in bars)
    measured = any(record["status"] == PASSED for record in steps.values())
    good = PASSED if measured else "nothing measured"
    return {
        "format": 1,
        "made": now(),
        "commit": commit,
        "machine": machine,
        "options": options,
        "verdict": FAILED if failed or missed else good,
        "bars": bars,
        "could_not_run": list(_could_not_run(steps)),
        "steps": steps,
    }


def write(report: JsonObject, directory: Path) -> None:
    """Write report.json and report.md."""
    (directory / "report.json").write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    (directory / "report.md").write_text(markdown(report), "utf-8")


def _rows(steps: dict[str, JsonObject], name: str, key: str = "rows") -> list[JsonObject]:
    rows: list[JsonObject] = steps.get(name, {}).get("result", {}).get(key, [])
    return rows


def _bars(steps: dict[str, JsonObject]) -> Any:
    for row in _rows(steps, "kernels"):
        what = f"{row['kernel']}, {row['shape']}"
        for key, bar, unit in (
            ("of_copy", "bar_of_copy", "of a copy's bytes per second"),
            ("torch_over_kernel", "bar_of_torch", "times as fast as torch"),
        ):
            wanted, measured = row.get(bar), row.get(key)
            if wanted is not None and measured is not None:
                yield {
                    "what": f"{what}: {unit}",
                    "wanted": wanted,
                    "measured": measured,
                    "met": measured >= wanted,
                }


def _goals(steps: dict[str, JsonObject]) -> Any:
    for row in _rows(steps, "network"):
        if row.get("goal_ms") and "p50_ms" in row:
            yield {
                "what": f"cuda-native, {row['model']} at {row['input']}: milliseconds",
                "wanted": row["goal_ms"],
                "measured": row["p50_ms"],
                "met": row["p50_ms"] <= row["goal_ms"],
            }


def _could_not_run(steps: dict[str, JsonObject]) -> Any:
    for name, record in steps.items():
        if record["status"] != PASSED and record["reason"]:
            yield {"what": name, "reason": record["reason"]}
    for skip in _rows(steps, "tests", "skips"):
        yield {"what": f"{skip['tests']} of the tests", "reason": skip["reason"]}
    for row in _rows(steps, "kernels"):
        if "error" in row:
            yield {"what": f"{row['kernel']}, {row['shape']}", "reason": row["error"]}
    together: dict[tuple[str, str], list[str]] = {}
    for key in ("left_out", "failures"):
        for row in _rows(steps, "generators", key):
            size = f"{row['batch']}*{row['width']}x{row['height']}"
            together.setdefault((f"{row['model']} in {row['runner']}", row["reason"]), []).append(
                size
            )
    for (what, reason), sizes in together.items():
        yield {"what": f"{what}, {', '.join(sizes)}", "reason": reason}


def markdown(report: JsonObject) -> str:
    """One page: machine, verdict, tables, and what could not run."""
    machine, steps = report["machine"], report["steps"]
    page = [f"# GPU check: {machine.get('device') or 'no GPU'}", ""]
    page += _table(
        ["", ""],
        [
            ["verdict", f"**{report['verdict']}**"],
            ["made", report["made"]],
            ["commit", report["commit"]],
            *([key.replace("_", " "), str(value)] for key, value in machine.items() if value),
        ],
    )
    page += ["## Steps", ""]
    page += _table(
        ["step", "outcome", "seconds", "why"],
        [
            [name, record["status"], f"{record['seconds']:.0f}", record["reason"]]
            for name, record in steps.items()
        ],
        right={2},
    )
    page += _tests(steps.get("tests", {}).get("result", {}))
    page += _kernels([row for row in _rows(steps, "kernels") if "error" not in row])
    page += _network([row for row in _rows(steps, "network") if "p50_ms" in row])
    page += _plugin(_rows(steps, "plugin"))
    page += _generators(_rows(steps, "generators"))
    page += ["## What could not run, and why", ""]
    missing = [[item["what"], item["reason"]] for item in report["could_not_run"]]
    page += _table(["what", "why"], missing) if missing else ["Everything ran.", ""]
    return "\n".join(page)


def _tests(result: JsonObject) -> list[str]:
    if not result:
        return []
    counts = ", ".join(f"{result[key]} {key}" for key in ("passed", "failed", "errors", "skipped"))
    failures = [[item["test"], item["message"]] for item in result["failures"]]
    return [
        "## Tests",
        "",
        counts,
        "",
        *(_table(["test", "message"], failures) if failures else []),
    ]


def _kernels(rows: list[JsonObject]) -> list[str]:
    if not rows:
        return []
    cells = [
        [
            row["kernel"],
            row["shape"],
            f"{row['seconds']['kernel']['median'] * 1e6:.1f}",
            f"{row['bytes_per_second'] / 1e9:.0f}",
            *_against(row["of_copy"], row["bar_of_copy"], "{:.0%}"),
            *_against(row["torch_over_kernel"], row["bar_of_torch"], "{:.1f}x"),
        ]
        for row in rows
    ]
    head = ["kernel", "shape", "µs", "GB/s", "of a copy", "bar", "faster than torch", "bar"]
    return [
        "## Kernels",
        "",
        "Median times on the device, CUDA graphs between events; a copy of as many bytes in turn.",
        "",
        *_table(head, cells, right={2, 3, 4, 5, 6, 7}),
    ]


def _against(value: float | None, bar: float | None, form: str) -> tuple[str, str]:
    if value is None:
        return "", ""
    text = form.format(value)
    if bar is None:
        return text, ""
    return (text if value >= bar else f"**{text}, missed**"), form.format(bar)


def _network(rows: list[JsonObject]) -> list[str]:
    if not rows:
        return []
    cells = [
        [
            row["model"],
            row["input"],
            f"{row['p50_ms']:.4f}",
            f"{row['min_ms']:.4f}",
            f"{row['goal_ms']:.2f}" if row["goal_ms"] else "",
            f"{row['tera_operations_per_second']:.0f}",
            str(row.get("largest_difference", "")),
            "; ".join(row["launches"]),
        ]
        for row in rows
    ]
    head = ["network", "input", "p50 ms", "min ms", "goal", "TFLOP/s", "off", "launches"]
    return [
        "## cuda-native on the device",
        "",
        "CUDA graphs between events, frames and results stay on the GPU. off: largest difference",
        "from float32 on the processor, in grey levels.",
        "",
        *_table(head, cells, right={2, 3, 4, 5, 6}),
    ]


def _plugin(rows: list[JsonObject]) -> list[str]:
    if not rows:
        return []
    cells = [
        [
            row["input"],
            f"{row['native_p50_ms']:.3f}",
            f"{row['plugin_p50_ms']:.3f}",
            f"{row['ratio']:.2f}",
            "yes" if row["worth"] else "no",
            str(row["largest_difference"]),
        ]
        for row in rows
    ]
    head = ["input", "without, p50 ms", "with, p50 ms", "ratio", "worth it", "off"]
    return [
        "## TensorRT plugin",
        "",
        "Engines of one generator, with TensorRT's own DepthToSpace and with the plugin, in turns,",
        "transfers included. Worth it: at most 97 % of the time.",
        "",
        *_table(head, cells, right={1, 2, 3, 5}),
    ]


def _generators(rows: list[JsonObject]) -> list[str]:
    if not rows:
        return []
    cells = [
        [
            row["model"],
            f"{row['batch']} * {row['width']}x{row['height']}",
            row["runner"],
            row["clock"],
            *(f"{row[key]:.3f}" for key in ("p50_ms", "p95_ms", "p99_ms")),
            f"{row['fps']:.0f}",
            str(row["runs"]),
            str(row["largest_difference"]),
        ]
        for row in rows
    ]
    head = ["model", "input", "runner", "clock", "p50 ms", "p95 ms", "p99 ms", "fps", "runs", "off"]
    return [
        "## Generators",
        "",
        'Clock "device": CUDA events, frames and results stay on the GPU. "host": wall clock from',
        "frames in host memory to results in host memory, transfers included. Clock",
        '"stream": the same, of a batch while another is in flight, with results in pinned memory.',
        "Runners took turns; warm-up is left out. off: largest difference from torch eager, in",
        "grey levels.",
        "",
        *_table(head, cells, right=set(range(4, 10))),
    ]


def _table(head: list[str], rows: list[list[str]], right: set[int] = frozenset()) -> list[str]:  # type: ignore[assignment]
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rule = "|" + "|".join("--:" if n in right else "---" for n in range(len(head))) + "|"
    return [line(head), rule, *(line(row) for row in rows), ""]
