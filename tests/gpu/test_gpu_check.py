"""`make gpu-check` on a machine without a GPU; and its arithmetic, on results that are made up."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srsdk import zoo
from srsdk.backends import open_backend
from srsdk.cuda.driver import find_gpu
from srsdk.errors import BackendUnavailableError, CudaError
from tests.benchmarks.gpu import generators, report, runners
from tests.benchmarks.gpu.machine import ROOT
from tests.benchmarks.gpu.processes import overlay, run_logged
from tests.benchmarks.gpu.run_tests import read_junit, read_log
from tests.benchmarks.gpu.runners import Runner
from tests.sdk.cuda.device_on_host import HostGenerator, chain

STEPS = ["build", "tests", "kernels", "network", "engines", "plugin", "generators"]


def check(directory: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    """Exit status, report.json and report.md of a run."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.gpu", str(directory), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert (directory / "report.json").is_file(), done.stderr
    whole = json.loads((directory / "report.json").read_text())
    return done.returncode, whole, (directory / "report.md").read_text()


@pytest.mark.skipif(find_gpu() is not None, reason="there is a GPU")
def test_without_a_gpu_everything_is_reported(tmp_path: Path) -> None:
    code, whole, page = check(tmp_path / "out")
    assert code == 0
    assert whole["verdict"] == "nothing measured"
    assert list(whole["steps"]) == STEPS
    for step in whole["steps"].values():
        assert (step["status"], step["result"]) == ("could not run", {})
    reasons = {item["reason"] for item in whole["could_not_run"]}
    assert reasons == {"no CUDA driver finds a GPU here"}
    assert whole["machine"]["device"] == whole["machine"]["driver"] == ""
    assert "**nothing measured**" in page
    assert page.count("no CUDA driver finds a GPU here") == 2 * len(STEPS)


@pytest.mark.skipif(find_gpu() is not None, reason="there is a GPU")
def test_quick_has_its_own_steps(tmp_path: Path) -> None:
    code, whole, page = check(tmp_path / "out", "--quick")
    assert code == 0
    assert list(whole["steps"]) == ["network", "engines", "generators", "kernels", "tests"]
    assert "nothing measured" in page


@pytest.mark.skipif(find_gpu() is not None, reason="there is a GPU")
def test_what_a_processor_can_do(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    names = ["torch eager", "torch + CUDA graph", "srsdk onnxruntime", "srsdk native"]
    options = ["--models", "edge-x4", "--inputs", "3*17x16", "--repeats", "12"]
    code, whole, page = check(
        tmp_path, "--cpu", "--only", "kernels", "generators", "--runners", *names, *options
    )
    assert code == 0, page
    assert whole["verdict"] == "passed"
    result = whole["steps"]["generators"]["result"]
    assert [(row["runner"], row["batch"], row["width"]) for row in result["rows"]] == [
        (name, 3, 17) for name in names if "CUDA" not in name
    ]
    for row in result["rows"]:
        assert 10 <= row["runs"] <= 12
        assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]
        assert row["fps"] == pytest.approx(row["batch"] * 1000 / row["p50_ms"])
        assert row["clock"] == "host"
        assert row["largest_difference"] <= 1
    reasons = {item["what"]: item["reason"] for item in whole["could_not_run"]}
    assert reasons["kernels"] == "no CUDA driver finds a GPU here"
    assert reasons["edge-x4 in torch + CUDA graph, 3*17x16"] == "torch sees no GPU"
    assert whole["steps"]["kernels"]["status"] == "could not run"
    # One step again: the others are kept.
    made = whole["steps"]["generators"]["made"]
    _, again, _ = check(tmp_path, "--only", "tests")
    assert list(again["steps"]) == ["tests", "kernels", "generators"]
    assert again["steps"]["generators"]["made"] == made
    _, fresh, _ = check(tmp_path)
    assert fresh["steps"]["generators"]["result"] == {}


class Broken:
    """A runner that fails after some calls, or returns wrong pixels."""

    def __init__(self, fails: int, level: int = 0) -> None:
        self.calls, self.fails, self.level = 0, fails, level

    def turn(self) -> float:
        self.calls += 1
        if self.calls > self.fails:
            raise RuntimeError("illegal memory access\nmore of it")
        return 0.001

    def result(self) -> Any:
        return np.full((1, 4, 4, 3), self.level, np.uint8)


def test_a_stream_of_batches() -> None:
    """With two in flight, on the chain's stand-in for a device."""
    batch = generators.picture(2, 17, 16)
    opened = chain(HostGenerator(Path(zoo.find("edge-x4"))))
    runner = runners.streamed("srsdk host, stream", opened, batch)
    assert runner.turn() > 0
    np.testing.assert_array_equal(runner.result(), opened.run(batch))
    with pytest.raises(ImportError, match="no batches in flight"):
        runners.streamed("srsdk native, stream", open_backend("native", zoo.find("edge-x4")), batch)


def test_what_breaks_is_dropped_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {
        "torch eager": Broken(10**6),
        "torch.compile": Broken(2),  # while warming up
        "srsdk torch": Broken(20),  # in its turns
        "srsdk native": Broken(10**6, level=9),  # another picture
        "srsdk onnxruntime": BackendUnavailableError("not installed: pip install it"),
        "srsdk cuda": CudaError("the GPU has too little memory for it"),
    }

    def open_all(names: list[str], *_: object) -> Any:
        for name in names:
            found = made[name]
            if isinstance(found, Broken):
                found = Runner(name, "host", found.turn, found.result)
            yield name, found

    monkeypatch.setattr(generators, "open_all", open_all)
    race = generators.Race("edge-x4", "1*1x1", {})
    race.open(list(made))
    race.run(30, 60.0)
    record = race.record()
    assert record["status"] == "failed"
    result = record["result"]
    assert [row["runner"] for row in result["rows"]] == ["torch eager", "srsdk native"]
    assert [row["runs"] for row in result["rows"]] == [30, 30]
    assert [row["largest_difference"] for row in result["rows"]] == [0, 9]
    assert {row["runner"]: row["reason"] for row in result["left_out"]} == {
        "torch.compile": "RuntimeError: illegal memory access",
        "srsdk onnxruntime": "not installed: pip install it",
        "srsdk cuda": "CudaError: the GPU has too little memory for it",
    }
    assert {row["runner"]: row["reason"] for row in result["failures"]} == {
        "srsdk torch": "RuntimeError: illegal memory access",
        "srsdk native": "wrong pixels: 9 grey levels from torch eager",
    }
    empty = generators.Race("edge-x4", "1*1x1", {})
    empty.open([])
    empty.run(3, 1.0)
    assert empty.record()["status"] == "could not run"


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The build could not run; that is no failure."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDACXX", raising=False)
    code, whole, page = check(tmp_path / "out", "--cpu", "--only", "build")
    assert code == 0
    assert whole["steps"]["build"]["status"] == "could not run"
    assert whole["could_not_run"] == [
        {"what": "build", "reason": "no nvcc: put it on PATH or set CUDACXX"}
    ]
    assert "no nvcc" in page


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    for options in (["--models", "edge-x5"], ["--runners", "abacus"], ["--inputs", "32x32"]):
        command = [sys.executable, "-m", "tests.benchmarks.gpu", str(tmp_path / "out"), *options]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert options[1] in done.stderr
    assert not (tmp_path / "out").exists()


def kernel(name: str = "pack", **changes: Any) -> dict[str, Any]:
    times = {who: {"median": 1e-4, "min": 1e-4} for who in ("kernel", "copy", "torch")}
    row = {"kernel": name, "shape": "float16 48x720x1280", "bytes": 10**8, "seconds": times}
    row |= {"bytes_per_second": 1e12, "of_copy": 0.9, "bar_of_copy": 0.85}
    return {**row, "torch_over_kernel": 2.5, "bar_of_torch": 2.0, **changes}


def assembled(**steps: dict[str, Any]) -> dict[str, Any]:
    timed = {name: {**step, "seconds": 1.0, "made": "now"} for name, step in steps.items()}
    return report.assemble(timed, {"device": "Made-up GPU"}, "0000", {})


def test_bars() -> None:
    met = assembled(
        kernels=report.step("passed", rows=[kernel(), kernel("blend", bar_of_copy=None)])
    )
    assert met["verdict"] == "passed"
    assert [bar["met"] for bar in met["bars"]] == [True] * 3
    assert "missed" not in report.markdown(met)
    for change in ({"of_copy": 0.84}, {"torch_over_kernel": 1.9}):
        missed = assembled(kernels=report.step("passed", rows=[kernel(**change)]))
        assert missed["verdict"] == "failed"
        assert [bar["met"] for bar in missed["bars"]].count(False) == 1
        assert "missed**" in report.markdown(missed)
    # One that was not measured is not a bar that was missed.
    unknown = assembled(kernels=report.step("passed", rows=[kernel(torch_over_kernel=None)]))
    assert unknown["verdict"] == "passed"
    broken = {"kernel": "pack", "shape": "float32", "error": "OutOfMemoryError: a | b"}
    failed = assembled(kernels=report.step("failed", "OutOfMemoryError: a | b", rows=[broken]))
    assert failed["verdict"] == "failed"
    assert failed["bars"] == []
    assert "a \\| b" in report.markdown(failed)


def test_outcomes_of_tests(tmp_path: Path) -> None:
    source = (
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert 1 == 2\n"
        "@pytest.mark.parametrize('n', [1, 2])\n"
        "def test_skipped(n): pytest.skip('no GPU')\n"
        "@pytest.fixture\n"
        "def broken(): raise OSError('gone')\n"
        "def test_error(broken): pass\n"
    )
    (tmp_path / "test_it.py").write_text(source)

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=."]
    command += ["--junitxml=results.xml", "test_it.py"]
    subprocess.run(command, cwd=tmp_path, check=False, capture_output=True)
    failed = read_junit(tmp_path / "results.xml")
    assert failed["status"] == "failed"
    result = failed["result"]
    assert [result[name] for name in ("passed", "failed", "errors", "skipped")] == [1, 1, 1, 2]
    assert result["skips"] == [{"reason": "no GPU", "tests": 2}]
    assert [item["test"] for item in result["failures"]] == [
        "test_it.test_bad",
        "test_it.test_error",
    ]
    assert "assert 1 == 2" in result["failures"][0]["message"]
    for case, status in (
        ('<testcase name="a"><skipped message="no GPU"/></testcase>', "could not run"),
        ('<testcase name="a"/><testcase name="b"><skipped message="x"/></testcase>', "passed"),
    ):
        (tmp_path / "some.xml").write_text(
            f"<testsuites><testsuite>{case}</testsuite></testsuites>"
        )
        assert read_junit(tmp_path / "some.xml")["status"] == status
    assert read_junit(tmp_path / "some.xml", "exit status 3")["status"] == "failed"
    page = report.markdown(assembled(tests=failed))
    assert "1 passed, 1 failed, 1 errors, 2 skipped" in page
    assert "2 of the tests" in page


def test_outcomes_of_tests_that_were_cut_off(tmp_path: Path) -> None:
    """What pytest had printed by then."""
    (tmp_path / "tests.log").write_text(
        "collected 4 items\n"
        "tests/gpu/test_kernels.py::test_a[pack] PASSED   [ 25%]\n"
        "tests/gpu/test_kernels.py::test_a[b c] FAILED    [ 50%]\n"
        "tests/gpu/test_torch.py::test_b SKIPPED (torch sees no GPU) [ 75%]\n"
        "tests/gpu/test_torch.py::test_c "
    )
    result = read_log(tmp_path / "tests.log")
    assert [result[name] for name in ("passed", "failed", "errors", "skipped")] == [1, 1, 0, 1]
    assert [item["test"] for item in result["failures"]] == [
        "tests/gpu/test_kernels.py::test_a[b c]"
    ]


def test_the_environment_of_the_build(tmp_path: Path) -> None:
    """It sees the packages that are installed here; those installed into it come first."""
    python = overlay(tmp_path / "venv")
    own = next((tmp_path / "venv").glob("**/outer.pth")).parent
    (own / "numpy.py").write_text("__version__ = 'mine'")
    code = "import numpy, typer; print(numpy.__version__, typer.__name__)"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["mine", "typer"]
    # An editable installation here has no say there.
    code = "import importlib.util; print(importlib.util.find_spec('srsdk'))"
    (own / "srsdk.py").write_text("")
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    assert str(own) in done.stdout


def test_why_a_process_failed(tmp_path: Path) -> None:
    def run(code: str, timeout: float = 60) -> str:
        return run_logged([sys.executable, "-c", code], tmp_path / "it.log", timeout)

    assert run("print('fine')") == ""
    assert "ValueError: no | yes" in run("raise ValueError('no | yes')")
    assert "exit status 3: it said nothing" in run("raise SystemExit(3)")
    assert "exit status -11" in run("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    # What a process started ends with it: a child that would write a file later never does.
    late = tmp_path / "late"
    child = f"import time; time.sleep(1.5); open({str(late)!r}, 'w')"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    assert "took more than 1 s" in run(code, timeout=1)
    time.sleep(2)
    assert not late.exists()
