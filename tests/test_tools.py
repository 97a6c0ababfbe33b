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


def test_contributing_names_files_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = re.findall(r"(?:sdk|train|export|kernels|tests)/[\w./*-]+", text)
    assert len(named) > 40
    for name in named:
        assert list(ROOT.glob(name.rstrip("./"))), name


def test_the_extras_of_the_readme_exist() -> None:
    """The table has all extras but those that only developers install."""
    readme = (ROOT / "README.md").read_text("utf-8")
    table = readme.partition("| extra | for |")[2].partition("\n\n")[0]
    named = {
        name for row in table.splitlines()[1:] for name in re.findall("`(.+?)`", row.split("|")[1])
    }
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    extras = project.partition("[project.optional-dependencies]")[2].partition("\n[project.")[0]
    offered = set(re.findall(r"^([\w-]+) = \[", extras, re.M))
    assert named == offered - {"test", "dev"}
