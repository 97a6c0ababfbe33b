"""`make bench`, on frames so small that it takes seconds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the comparison needs the extra export")

from srsdk import zoo
from srsdk.cli import record
from tests.benchmarks.comparison import arithmetic, picture, plain
from tests.benchmarks.comparison.account import account
from tests.benchmarks.comparison.bars import Bar, bars
from tests.benchmarks.comparison.environments import interpreter
from tests.benchmarks.comparison.progress import Progress, RowProgress
from tests.benchmarks.comparison.workers import Worker, WorkerError

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TINY = ["--size", "16x12", "--faces", "4", "--threads", "1", "--video-rounds", "0"]
TINY += ["--no-install", "--no-profile"]
ONLY = ["edge-x4/native", "edge-x4/obvious", "frame/bicubic", "ceiling/copy", "frame/fsrcnn"]


def run(output: Path, *more: str) -> dict[str, Any]:
    only = [word for name in ONLY for word in ("--only", name)]
    environment = {key: value for key, value in os.environ.items() if key != "SRSDK_DATA"}
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.run",
        *TINY,
        *only,
        "--output",
        str(output),
        *more,
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((output / "bench.json").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("bench")
    return folder, run(folder, "--rounds", "1"), run(folder, "--rounds", "2", "--resume")


def documented(text: str) -> list[set[str]]:
    """The first columns of all tables."""
    tables = re.split(r"\n\n", text)
    columns = [[line.split("|")[1] for line in t.splitlines() if "| `" in line[:4]] for t in tables]
    return [set(re.findall(r"`(\w+)`", " ".join(names))) for names in columns if names]


def test_the_file_has_the_documented_keys(ran: Any) -> None:
    _, found, _ = ran
    ours = documented((HERE / "SCHEMA.md").read_text("utf-8"))
    shared = documented(record.__doc__ or "")
    assert set(found) == shared[0] | ours[0]
    for row in found["rows"]:
        assert set(row) == (shared[1] | ours[1]) - {"joules"}
    for bar in found["bars"]:
        assert set(bar) == ours[2]


def test_rows_are_measured_and_agree(ran: Any) -> None:
    _, found, _ = ran
    rows = {row["name"]: row for row in found["rows"]}
    assert set(rows) == {
        "ceiling/copy",
        "frame/edge-x4/native",
        "frame/edge-x4/obvious",
        "frame/bicubic",
    }
    precision = rows["frame/edge-x4/native"]["precision"]  # int8 where the CPU is fast at it
    assert rows["frame/edge-x4/native"]["difference"] <= {"fp32": 1, "int8": 64}[precision]
    assert rows["frame/bicubic"]["difference"] is None
    assert rows["frame/edge-x4/native"]["fps"] > 0
    assert rows["ceiling/copy"]["fps"] is None
    assert set(rows["frame/edge-x4/obvious"]["stages"]) == {"unpack", "graph", "pack"}
    assert "total" in rows["frame/edge-x4/native"]["stages"]
    for row in rows.values():
        assert 10e6 < row["peak_memory"] < 2e9
        assert row["total"]["min"] <= row["total"]["p50"] <= row["total"]["p99"]


def test_what_is_missing_is_named(ran: Any) -> None:
    folder, found, _ = ran
    (skipped,) = found["skipped"]
    assert skipped["name"] == "frame/fsrcnn"
    assert "SRSDK_DATA" in skipped["reason"]
    text = (folder / "bench.md").read_text("utf-8")
    assert "- `frame/fsrcnn`: SRSDK_DATA" in text
    assert str(folder) not in text + json.dumps(found)


def test_a_run_goes_on_where_it_was_cut(ran: Any) -> None:
    _, first, second = ran
    for before, after in zip(first["rows"], second["rows"], strict=True):
        assert before["name"] == after["name"]
        assert before["total"]["calls"] < after["total"]["calls"]


def test_a_model_that_changed_is_measured_anew(tmp_path: Path) -> None:
    file = tmp_path / "progress.json"
    Progress({"models": 1}, {"row": RowProgress([1.0])}).save(file)
    assert Progress.load_or_new(file, {"models": 1}).rows["row"].seconds == [1.0]
    assert Progress.load_or_new(file, {"models": 2}).rows == {}


def made_up(seconds: dict[str, float], psnr: dict[str, float]) -> Progress:
    """A run of rows with these seconds a call and PSNRs."""
    settings = {"size": [320, 180], "threads": 2, "faces": None}
    rows = {
        name: RowProgress([value] * 3, psnr={"set": psnr[name]} if name in psnr else {})
        for name, value in seconds.items()
    }
    if "ceiling/matrix-product" in rows:
        rows["ceiling/matrix-product"].facts = {"flop": 2e9}
    chosen = {"edge-x4": "native", "srresnet-x4": "native"}
    return Progress(settings, rows, chosen=chosen)


def judged(progress: Progress) -> dict[str, Bar]:
    return {f"{bar.number} {bar.text}": bar for bar in bars(account(progress, None))}


def find(found: dict[str, Bar], *words: str) -> Bar:
    (bar,) = (bar for text, bar in found.items() if all(word in text for word in words))
    return bar


def test_bars_are_judged() -> None:
    seconds = {
        "ceiling/matrix-product": 0.01,  # 200 GFLOP/s
        "frame/edge-x4/native": 0.02,
        "frame/edge-x4/obvious": 0.05,
        "frame/edge-x4/onnxruntime": 0.023,
        "frame/edge-x4/graph-alone": 0.0199,
        "frame/realesrgan": 0.19,
    }
    found = judged(made_up(seconds, {"frame/edge-x4/native": 30.0, "frame/realesrgan": 29.0}))
    obvious = find(found, "1 ", "obvious")
    assert (obvious.measured, obvious.met) == (pytest.approx(2.5), True)
    assert obvious.verdict == "met (25% to spare)"
    fps = find(found, "1 ", "frames per second")
    assert (fps.measured, fps.met, fps.verdict) == (pytest.approx(50), False, "missed (17% short)")
    assert find(found, "3 ", "times the speed of Real-ESRGAN").met is False
    assert find(found, "3 ", "dB above Real-ESRGAN").met is True
    cost = find(found, "5 ", "edge-x4, ONNX")
    assert cost.measured == pytest.approx(0.156, abs=0.001)
    assert cost.met is False
    assert find(found, "2 ", "faces off").met is None
    assert "not measured" in find(found, "3 ", "times the speed of ESPCN").verdict


def test_the_best_of_the_others_is_the_bar() -> None:
    seconds = {
        "frame/edge-x4/native": 0.010,
        "frame/edge-x4/onnxruntime-int8-graph": 0.03,
        "frame/edge-x4/openvino-int8-graph": 0.014,
        "frame/edge-m-x4/native": 0.04,
        "frame/span": 0.05,
        "frame/disp": 0.03,
    }
    psnr = {
        "frame/edge-x4/native": 30.0,
        "frame/edge-m-x4/native": 31.0,
        "frame/span": 30.9,
        "frame/disp": 30.5,
    }
    found = judged(made_up(seconds, psnr))
    int8 = find(found, "6 ", "int8")
    assert (int8.measured, int8.met) == (pytest.approx(1.4), False)
    assert "OpenVINO" in int8.note
    span, disp = find(found, "7 ", "SPAN"), find(found, "7 ", "DISP")
    assert (span.measured, span.met) == (pytest.approx(0.1), True)
    assert (disp.measured, disp.met) == (pytest.approx(-0.5), False)  # edge-m-x4 is slower
    assert find(found, "7 ", "PDS").met is None


def test_a_slow_machine_is_not_held_against_the_frames_per_second() -> None:
    progress = made_up({"ceiling/matrix-product": 0.04, "frame/edge-x4/native": 0.02}, {})
    bar = find(judged(progress), "1 ", "frames per second")
    assert bar.met is None
    assert "50 GFLOP/s" in bar.verdict


def test_networks_alone_have_no_fps() -> None:
    found = account(made_up({"frame/edge-x4/graph-alone": 0.01}, {}), None)
    assert found.entries["frame/edge-x4/graph-alone"].fps is None


def test_the_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    image = pytest.importorskip("PIL.Image")
    names = ["edge-x4/native", "edge-x4/obvious", "edge-x4/ncnn", "bicubic", "realesrgan"]
    seconds = {f"frame/{name}": 0.01 * (n + 1) for n, name in enumerate(names)}
    file = tmp_path / "bench.png"
    assert picture.draw(account(made_up(seconds, {}), None), file)  # says why there is none
    assert not file.exists()
    assert picture.draw(account(made_up(seconds, dict.fromkeys(seconds, 28.0)), None), file) == ""
    assert image.open(file).size[0] > 1000


def test_arithmetic_of_the_report_and_of_the_file() -> None:
    edge = arithmetic.of_model("edge-x4")
    assert edge.report == edge.exported > 10_000
    srresnet = arithmetic.of_model("srresnet-x4")
    trunk = 81 * 3 * 64 + 9 * 64 * 64 * 17 + 9 * 64 * 256 + 4 * 9 * 64 * 256
    assert srresnet.report == trunk + 16 * 81 * 64 * 3
    assert srresnet.exported == trunk + 4 * 25 * 256 * 12


@pytest.mark.parametrize("model", ["edge-x4", "srresnet-x4"])
def test_ncnn_files_count_what_they_hold(model: str, tmp_path: Path) -> None:
    file = tmp_path / "plain.onnx"
    plain.write_plain(Path(zoo.find(model)), file)
    param, weights = tmp_path / "a.param", tmp_path / "a.bin"
    ends = plain.write_ncnn(file, param, weights)
    magic, counts, *layers = param.read_text("ascii").splitlines()
    assert magic == "7767517"
    made: list[str] = []
    read: list[str] = []
    for layer in layers:
        _, _, inputs, outputs, *rest = layer.split()
        read += rest[: int(inputs)]
        made += rest[int(inputs) : int(inputs) + int(outputs)]
    assert counts.split() == [str(len(layers)), str(len(made))]
    assert len(set(made)) == len(made)
    assert len(set(read)) == len(read), "a blob that two layers read needs a Split"
    assert [name for name in made if name not in read and "Split" not in name] == [ends["output"]]
    assert weights.stat().st_size > 40_000


def job(folder: Path, program: str) -> dict[str, Any]:
    frames = folder / "frames.npy"
    np.save(frames, np.zeros((1, 1, 4, 4, 3), np.uint8))
    options = {"kind": "bicubic"}
    return {"program": program, "frames": str(frames), "threads": 1, "options": options}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_stands_still_between_questions(tmp_path: Path) -> None:
    worker = Worker(Path(sys.executable), job(tmp_path, "opencv_way"), tmp_path, "a")
    try:
        for _ in range(2):
            assert len(worker.ask("time", untimed=0, calls=3)["seconds"]) == 3
            time.sleep(0.1)
            state = Path(f"/proc/{worker.pid}/stat").read_text("ascii").rpartition(")")[2].split()
            assert state[0] == "T"
        with pytest.raises(WorkerError, match=r"missing\.npy"):
            worker.ask("upscale", source="missing.npy", target="x.npy", batch=1)
    finally:
        worker.close()


def test_environments_are_made_only_when_asked(tmp_path: Path) -> None:
    assert interpreter("main", tmp_path, install=False) == Path(sys.executable)
    assert "--no-install" in str(interpreter("ncnn", tmp_path, install=False))
    assert not list(tmp_path.iterdir())


def test_a_row_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="No module named 'no_such_program'"):
        Worker(Path(sys.executable), job(tmp_path, "no_such_program"), tmp_path, "a")
    (tmp_path / "frames.npy").unlink()
    broken = job(tmp_path, "opencv_way") | {"frames": str(tmp_path / "none.npy")}
    with pytest.raises(WorkerError, match=r"none\.npy"):
        Worker(Path(sys.executable), broken, tmp_path, "a")
