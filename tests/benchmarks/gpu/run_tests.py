"""The step `tests`: what pytest says of everything marked `gpu`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from tests.benchmarks.gpu.processes import run_logged
from tests.benchmarks.gpu.report import COULD_NOT, FAILED, PASSED, JsonObject, step

FOLDERS = ("tests/gpu", "tests/export")


def run_tests(
    python: Path, directory: Path, timeout: float, folders: Sequence[str] = FOLDERS
) -> JsonObject:
    """Run them; the outcomes come from pytest's JUnit file, tests.xml, or from its log."""
    results = directory / "tests.xml"
    results.unlink(missing_ok=True)
    command = [str(python), "-m", "pytest", "-m", "gpu", "-v", f"--junitxml={results}"]
    # Without pytest's cache: the repository is left as it is.
    command += ["-p", "no:cacheprovider", *folders]
    reason = run_logged(command, directory / "tests.log", timeout)
    if not results.is_file():
        reason = reason or "pytest wrote no results; see tests.log"
        return step(FAILED, reason, **read_log(directory / "tests.log"))
    return read_junit(results, reason)


def read_log(log: Path) -> JsonObject:
    """What the log of a run that was cut off says: outcomes, and which tests failed."""
    counts: Counter[str] = Counter()
    failures: list[JsonObject] = []
    for line in log.read_text("utf-8", "replace").splitlines():
        found = re.match(r"(tests/\S+::.+?) (PASSED|FAILED|ERROR|SKIPPED)", line)
        if found:
            counts[found[2]] += 1
            if found[2] in ("FAILED", "ERROR"):
                failures.append({"test": found[1], "message": "see tests.log"})
    names = {"passed": "PASSED", "failed": "FAILED", "errors": "ERROR", "skipped": "SKIPPED"}
    counted = {name: counts[word] for name, word in names.items()}
    return {**counted, "failures": failures, "skips": []}


def read_junit(results: Path, reason: str = "") -> JsonObject:
    """What a JUnit file says, as a step; `reason`: why pytest's exit status was not 0."""
    counts: Counter[str] = Counter()
    failures: list[JsonObject] = []
    skips: Counter[str] = Counter()
    for case in ElementTree.parse(results).iter("testcase"):
        outcome, message = "passed", ""
        for kind, name in (("failure", "failed"), ("error", "errors"), ("skipped", "skipped")):
            found = case.find(kind)
            if found is not None:
                outcome, message = name, (found.get("message") or kind)
                break
        counts[outcome] += 1
        first = (message.strip().splitlines() or [""])[0]
        if outcome == "skipped":
            skips[first] += 1
        elif outcome != "passed":
            name = f"{case.get('classname', '')}.{case.get('name', '')}"
            failures.append({"test": name, "message": first[:300]})
    result: JsonObject = {
        **{name: counts[name] for name in ("passed", "failed", "errors", "skipped")},
        "failures": failures,
        "skips": [{"reason": text, "tests": count} for text, count in skips.most_common()],
    }
    if failures:
        return step(FAILED, f"{len(failures)} tests failed; see tests.log", **result)
    if reason:
        return step(FAILED, reason, **result)
    if not counts["passed"]:
        return step(COULD_NOT, "every test was skipped", **result)
    return step(PASSED, **result)
