"""The tools that judge the sources are the same wherever they run."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PINNED = dict(re.findall(r"^([\w-]+)==([\w.]+)$", (ROOT / "constraints.txt").read_text(), re.M))


def test_pre_commit_takes_the_versions_of_make_lint() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    asked = dict(re.findall(r"\"([\w-]+)==([\w.]+)\"", hooks))
    assert {"ruff", "clang-format"} <= set(asked)
    assert asked == {name: PINNED[name] for name in asked}


def test_workflows_install_nothing_unpinned() -> None:
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        for line in workflow.read_text("utf-8").splitlines():
            if "pip install" in line:
                assert "--constraint constraints.txt" in line
            if "uses:" in line:
                assert re.search(r"uses: [\w/-]+@v\d+$", line), line
