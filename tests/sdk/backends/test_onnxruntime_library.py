"""srsdk with one ONNX Runtime, with none, and with two that overwrite each other."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from srsdk.cli import checks

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[3]

WITHOUT = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            raise ImportError("No module named 'onnxruntime'")
sys.meta_path.insert(0, Block())
sys.modules["onnxruntime"] = None
import numpy
from srsdk import Upscaler
frame = numpy.zeros((20, 30, 3), "uint8")
"""


def run(program: str, *, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    if path is not None:
        program = f"import sys; sys.path.insert(0, {str(path)!r})\n" + program
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


def packages(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w-]", requirement)[0] for requirement in requirements}


def test_nobody_asks_for_two_of_them() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = {"": project["dependencies"], **project["optional-dependencies"]}
    asking = {
        extra: found
        for extra, requirements in extras.items()
        if (found := {name for name in packages(requirements) if name.startswith("onnxruntime")})
    }
    assert asking == {"cpu": {"onnxruntime"}, "gpu": {"onnxruntime-gpu"}}


def test_bundled_models_run_without_it() -> None:
    program = WITHOUT + (
        "for isa in ('', 'portable'):\n"
        "    from srsdk import _kernels\n"
        "    if isa: _kernels.set_isa(isa)\n"
        "    with Upscaler('edge-x4') as upscaler:\n"
        "        print(upscaler(frame).shape, upscaler.info.frames.name)\n"
    )
    done = run(program)
    assert done.stdout.splitlines() == ["(80, 120, 3) native"] * 2, done.stderr


def test_asking_for_it_says_how_to_install_it() -> None:
    done = run(WITHOUT + "Upscaler('edge-x4', backend='onnxruntime')")
    last = done.stderr.strip().splitlines()[-1]
    assert "BackendUnavailableError" in last
    assert "srsdk[cpu]" in last
    assert "srsdk[gpu]" in last


def test_half_of_it_is_told_apart(tmp_path: Path) -> None:
    """After one of two packages was uninstalled, a package without its library is left."""
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").touch()
    done = run(
        "from srsdk import Upscaler; Upscaler('edge-x4', backend='onnxruntime')", path=tmp_path
    )
    assert "pip uninstall onnxruntime onnxruntime-gpu" in done.stderr.strip().splitlines()[-1]
    found = run(
        "import numpy; from srsdk.faces import BlazeFaceDetector\n"
        "print(BlazeFaceDetector().detect(numpy.zeros((90, 120, 3), 'uint8')))",
        path=tmp_path,
    )
    assert found.stdout.strip() == "[]", found.stderr


def test_doctor_tells_of_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("onnxruntime", "onnxruntime_gpu"):
        info = tmp_path / f"{package}-1.30.dist-info"
        info.mkdir()
        name = package.replace("_", "-")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.30\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = next(check for check in checks.run_checks() if check.name == "onnxruntime")
    assert found.state == "broken"
    assert "onnxruntime and onnxruntime-gpu" in found.detail
    assert "pip uninstall" in found.remedy


def test_doctor_says_once_that_a_backend_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "srsdk.backends.onnxruntime", raising=False)
    backends = (c for c in checks.run_checks() if c.name.startswith("backend onnxruntime"))
    first, second = islice(backends, 2)  # torch's, which take seconds, come behind them
    assert (first.name, first.state) == ("backend onnxruntime", "off")
    assert (second.name, second.state) == ("backend onnxruntime-cuda", "off")
