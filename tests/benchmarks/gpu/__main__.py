"""`python -m tests.benchmarks.gpu DIRECTORY`: build, test and measure on this machine's GPU."""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from srsdk import zoo
from tests.benchmarks import gpu
from tests.benchmarks.gpu import machine, quick, report
from tests.benchmarks.gpu.processes import build, run_module
from tests.benchmarks.gpu.report import COULD_NOT, FAILED, PASSED, JsonObject, step
from tests.benchmarks.gpu.run_tests import FOLDERS, run_tests
from tests.benchmarks.gpu.runners import NAMES

STEPS = ("build", "tests", "kernels", "network", "engines", "plugin", "generators")
INPUTS = ("1*32x32", "4*32x32", "16*32x32", "1*320x180", "1*640x360", "1*1280x720")
NO_DRIVER = "no CUDA driver finds a GPU here"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="gpu-check",
        description="Build, test and measure srsdk on this machine's GPU.",
        epilog=(gpu.__doc__ or "").partition("DIRECTORY/report.json")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    models = [model.name for model in zoo.models()]
    parser.add_argument("directory", type=Path, help="where the report and the logs go")
    parser.add_argument("--only", nargs="+", choices=STEPS, help="these steps; others are kept")
    parser.add_argument("--quick", action="store_true", help="four minutes, srsdk as installed")
    parser.add_argument("--no-build", action="store_true", help="take srsdk as installed here")
    parser.add_argument("--cpu", action="store_true", help="also what needs no GPU, without one")
    parser.add_argument("--models", nargs="+", choices=models, default=models)
    parser.add_argument("--inputs", nargs="+", default=INPUTS, help="BATCH*WIDTHxHEIGHT")
    parser.add_argument("--runners", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--repeats", type=int, default=200, help="turns of each runner")
    parser.add_argument("--seconds", type=float, default=8, help="for each size, about")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for each process")
    options = parser.parse_args()
    if options.directory.exists() and not options.directory.is_dir():
        parser.error(f"{options.directory} is no folder")
    if options.quick:
        options.no_build = True
    for text in options.inputs:
        if not re.fullmatch(r"[1-9]\d*\*[1-9]\d*x[1-9]\d*", text):
            parser.error(f"--inputs {text}: expected BATCH*WIDTHxHEIGHT")
    return options


class Check:
    """The steps of one run, whose records lie in DIRECTORY/steps between runs."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.directory: Path = options.directory.resolve()
        self.kept = self.directory / "steps"
        self.kept.mkdir(parents=True, exist_ok=True)
        self.machine, self.commit = machine.describe(), machine.commit()
        self.limit: float = options.timeout
        self.gpu = bool(self.machine["device"])
        self.steps: dict[str, JsonObject] = {}
        self.cases = [(model, text) for model in options.models for text in options.inputs]
        self.ends = math.inf
        if options.quick:
            self.cases = list(quick.CASES)
            self.ends = time.monotonic() + quick.TOTAL
            options.runners, options.repeats = quick.RUNNERS, quick.REPEATS
            options.seconds = quick.SECONDS
            options.models = sorted({model for model, _ in quick.CASES})
            options.inputs = [text for _, text in quick.CASES]

    def run(self) -> int:
        """Run the steps, write the report; the exit status."""
        order = quick.STEPS if self.options.quick else STEPS
        wanted = self.options.only or order
        needs_no_gpu = ("build", "tests", "engines", "generators") if self.options.cpu else ()
        actions: dict[str, Callable[[], JsonObject]] = {
            "build": self._build,
            "tests": self._tests,
            "kernels": self._kernels,
            "network": lambda: self._module("network"),
            "engines": self._engines,
            "plugin": self._plugin,
            "generators": self._generators,
        }
        for name in order:
            file = self.kept / f"{name}.json"
            if name in wanted:
                print(f"{name} ...", end=" ", flush=True)
                started = time.monotonic()
                able = self.gpu or name in needs_no_gpu
                self.limit = quick.LIMITS[name] if self.options.quick else self.options.timeout
                record = self._tried(actions[name]) if able else step(COULD_NOT, NO_DRIVER)
                record |= {"seconds": time.monotonic() - started, "made": report.now()}
                file.write_text(json.dumps(record, indent=2), "utf-8")
                reason = f": {record['reason']}" if record["reason"] else ""
                print(f"{record['status']}{reason}", flush=True)
            if file.is_file() and (name in wanted or self.options.only):
                self.steps[name] = json.loads(file.read_text("utf-8"))
                whole = self._report()  # also for those who end this before its end
        missed = [f"missed: {bar['what']}" for bar in whole["bars"] if not bar["met"]]
        print("\n".join([*missed, f"{whole['verdict']}; see {self.directory / 'report.md'}"]))
        return 1 if whole["verdict"] == FAILED else 0

    def _report(self) -> JsonObject:
        options = {key: str(value) for key, value in vars(self.options).items()}
        whole = report.assemble(self.steps, self.machine, self.commit, options)
        report.write(whole, self.directory)
        return whole

    def _timeout(self) -> float:
        """Seconds that the next process may take."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no time left of {quick.TOTAL:.0f} s")
        return min(self.limit, left)

    def _tests(self) -> JsonObject:
        folders = quick.FOLDERS if self.options.quick else FOLDERS
        return run_tests(self._python(), self.directory, self._timeout(), folders)

    def _kernels(self) -> JsonObject:
        more = ["--repeats", str(quick.KERNEL_REPEATS)] if self.options.quick else []
        return self._module("kernels", *more)

    def _tried(self, action: Callable[[], JsonObject]) -> JsonObject:
        try:
            return action()
        except Exception as error:  # the report is written whatever happens
            return step(FAILED, f"{type(error).__name__}: {error}")

    def _build(self) -> JsonObject:
        if self.options.no_build:
            return step(COULD_NOT, "--no-build: srsdk as it is installed")
        return build(self.directory, self.options.timeout)

    def _python(self) -> Path:
        """What the build was installed into, else the Python that runs this."""
        record = self.kept / "build.json"
        if not self.options.no_build and record.is_file():
            made = json.loads(record.read_text("utf-8"))["result"].get("python")
            if made and Path(made).is_file():
                return Path(made)
        return Path(sys.executable)

    def _module(self, name: str, *more: str, suffix: str = "") -> JsonObject:
        output = self.kept / f"{name}{suffix}-run.json"
        return run_module(self._python(), name, output, *more, timeout=self._timeout())

    def _engines(self) -> JsonObject:
        more = [] if self.gpu else ["--no-engines"]
        return self._module(
            "engines", "--models", *self.options.models, "--inputs", *self.options.inputs, *more
        )

    def _plugin(self) -> JsonObject:
        # The one bundled generator with a sub-pixel block inside.
        return self._module("plugin", "--inputs", *self.options.inputs)

    def _generators(self) -> JsonObject:
        engines = self.kept / "engines.json"
        made = json.loads(engines.read_text("utf-8"))["result"] if engines.is_file() else {}
        result: dict[str, list[JsonObject]] = {"rows": [], "left_out": [], "failures": []}
        reasons: list[str] = []
        options = self.options
        # A process for each case, so that one that crashes takes no other with it; starting one
        # takes seconds, though, so `--quick` has one for all.
        for cases in [self.cases] if options.quick else [[case] for case in self.cases]:
            more = ["--cases", *(text for case in cases for text in case)]
            more += ["--runners", *options.runners, "--files", json.dumps(made.get("files", {}))]
            more += ["--repeats", str(options.repeats), "--seconds", str(options.seconds)]
            suffix = "" if options.quick else f"-{cases[0][0]}-{cases[0][1].replace('*', 'x')}"
            record = self._tried(partial(self._module, "generators", *more, suffix=suffix))
            for key, rows in result.items():
                rows += record["result"].get(key, [])
            if record["status"] == FAILED:
                reasons.append(f"{cases[0][0]} at {cases[0][1]}: {record['reason']}")
        if not reasons and not result["rows"]:
            return step(COULD_NOT, "nothing runs the generators", **result)
        return step(FAILED if reasons else PASSED, "; ".join(reasons), **result)


if __name__ == "__main__":
    sys.exit(Check(arguments()).run())
