"""`srsdk bench`."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from srsdk import power
from srsdk.cli.bench_frames import BenchFrames
from srsdk.cli.measure import BenchChoice
from srsdk.timing import StageTimer
from tests.cli.conftest import FAST, Run, clip, files

FEW = ("--frames", "6", "--warmup", "2")
PORTRAIT = Path(__file__).parents[2] / "examples" / "portrait.mp4"


def rows(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in record["rows"]}


def test_made_up_frames(run: Run, tmp_path: Path) -> None:
    report = tmp_path / "bench.json"
    result = run("bench", "--size", "65x33", "--backend", "onnxruntime", *FEW, "--json", report)
    assert result.code == 0, result.err
    record = json.loads(report.read_text("utf-8"))
    assert record["schema"] == "srsdk-bench-1"
    assert (record["input_size"], record["output_size"]) == ([65, 33], [260, 132])
    (row,) = record["rows"]
    assert (row["model"], row["backend"]) == ("edge-x4", "onnxruntime")
    assert list(row["stages"]) == ["frame", "unpack", "graph", "pack"]
    for name, stage in {**row["stages"], "total": row["total"]}.items():
        assert name in result.out
        assert stage["calls"] == 6
        assert 0 < stage["min"] <= stage["p50"] <= stage["p95"] <= stage["p99"]
    assert row["fps"] == pytest.approx(1 / row["total"]["mean"])
    assert row["total"]["total"] >= row["stages"]["frame"]["total"]
    assert 20e6 < row["peak_memory"] < 2e9
    assert [line for line in result.out.splitlines() if "fps" in line and "graph" in line] == []
    assert run("bench", *FAST, *FEW, "--json", report).code == 2  # would overwrite


def test_several_in_turn(run: Run) -> None:
    chosen = ("-m", "edge-x4", "-m", "bicubic-x4", "--backend", "native", "--backend", "auto")
    result = run("bench", "--size", "40x24", *chosen, "--frames", "23", "--warmup", "0")
    assert result.code == 0, result.err
    names = ["edge-x4 on native", "edge-x4 on auto", "bicubic-x4 on auto"]
    assert all(name in result.out for name in names)
    assert "bicubic-x4 on native left out" in result.err
    record = json.loads(run("bench", "--size", "40x24", *chosen, *FEW, "--json", "-").out)
    found = rows(record)
    assert list(found) == names
    assert [skipped["name"] for skipped in record["skipped"]] == ["bicubic-x4 on native"]
    assert {row["total"]["calls"] for row in found.values()} == {6}
    ours = list(found["edge-x4 on native"]["stages"])
    assert ours[:4] == ["frame", "unpack", "first layer", "hidden layers"]
    assert ours[4:] in (["last layer + pack"], ["last layer", "pack"])  # in fp32, in int8
    assert list(found["bicubic-x4 on auto"]["stages"]) == ["frame"]


def test_a_clip_with_faces(run: Run) -> None:
    chosen = ("-f", "srresnet-x4", "--frames", "4", "--warmup", "1")
    result = run("bench", PORTRAIT, *chosen, "--json", "-")
    assert result.code == 0, result.err
    record = json.loads(result.out)
    (row,) = record["rows"]
    assert (record["source"], record["input_size"]) == ("portrait.mp4", [320, 180])
    assert (row["face_model"], row["faces"]) == ("srresnet-x4", 4)
    assert {"decode", "frame", "detect", "faces", "blend", "encode"} <= row["stages"].keys()
    parts = sum(row["stages"][name]["total"] for name in ("frame", "detect", "faces", "blend"))
    assert parts <= row["total"]["total"]
    assert row["stages"]["encode"]["calls"] == 4


def test_a_short_clip_is_repeated(run: Run, tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", frames=3)
    result = run("bench", source, *FAST, "--frames", "8", "--json", "-")
    (row,) = json.loads(result.out)["rows"]
    assert row["total"]["calls"] == 8
    timer = StageTimer()
    again = list(islice(BenchFrames(source, (1, 1), 8, 0, 5).pictures(timer), 7))
    assert (again[0] == again[3]).all()
    assert timer.summary("decode").calls == 7


def test_energy_only_where_there_is_a_sensor(run: Run) -> None:
    result = run("bench", "--size", "9x9", *FAST, *FEW, "--json", "-")
    record = json.loads(result.out)
    (row,) = record["rows"]
    assert ("joules" in row) == (record["power"]["sensor"] is not None)
    assert record["power"]["note"]
    shown = run("bench", "--size", "9x9", *FAST, *FEW).out
    assert ("J a frame" in shown) == (record["power"]["sensor"] is not None)
    assert "energy: " in shown


class Steps:
    """A sensor that shows one joule more at every reading."""

    name = "steps"
    joules_so_far = 0.0
    closed = False

    def joules(self) -> float:
        self.joules_so_far += 1
        return self.joules_so_far

    def close(self) -> None:
        self.closed = True


def test_joules_are_those_of_the_measured_frames(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    sensor = Steps()
    meter = power.Meter((sensor,), ("no other sensor",))
    monkeypatch.setattr(power, "open_meter", lambda *, gpu: meter)
    chosen = ("--size", "9x9", "-m", "bicubic-x4", "-m", "edge-x4", "--frames", "45")
    record = json.loads(run("bench", *chosen, "--json", "-").out)
    assert sensor.closed
    assert sensor.joules_so_far == 12  # two candidates, three turns, before and after
    assert [row["joules"] for row in record["rows"]] == [pytest.approx(3 / 45)] * 2
    assert record["power"]["sensor"] == "steps"
    assert record["power"]["note"].endswith("idle power included; no other sensor")
    shown = run("bench", *chosen).out
    assert "J a frame" in shown
    assert "0.0667" in shown


def test_the_process_that_tells_the_memory() -> None:
    """A larger frame needs more memory, whatever else this process holds."""
    used = []
    for side in (16, 1024):
        choice = {"model": "bicubic-x4", "threads": 1}
        assert BenchChoice(**choice).open().scale == 4  # type: ignore[arg-type]
        arguments = {"choice": choice, "source": None, "size": [side, side], "detect_every": 1}
        command = [sys.executable, "-m", "srsdk.cli.memory_probe", json.dumps(arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        used.append(int(done.stdout))
    # The result, OpenCV's, and sixteen times less for each of eight frames.
    result = 3 * 4096 * 4096
    assert 1.5 * result < used[1] - used[0] < 4 * result


@pytest.mark.parametrize(
    "options",
    [
        ("--size", "320"), ("--size", "0x4"), ("--frames", "0"), ("--warmup", "-1"),
        ("--model", "none"), ("none.mp4",), ("--json", "none/x.json"), ("--size", "3x3", "-f", "x"),
        ("--backend", "auto", "--backend", "none"), ("--model", "edge-x4"), ("--backend", "native"),
        ("--detect-every", "0"),
    ],
)  # fmt: skip
def test_bad_options(run: Run, tmp_path: Path, options: tuple[str, ...]) -> None:
    """`--model edge-x4` beside FAST's bicubic-x2: other scale; native knows no bicubic."""
    result = run("bench", *FAST, *options)
    assert result.code == 2
    assert result.error
    assert files(tmp_path) == []
