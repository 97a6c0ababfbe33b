"""The contents of the sdist and the wheel, and that the wheel works when installed alone."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command: object, cwd: Path) -> str:
    result = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_sdist_to_wheel_to_a_fresh_environment(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--sdist", "--outdir", tmp_path, cwd=ROOT)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for needed in ("CMakeLists.txt", "kernels/bindings.cpp", "README.md", "LICENSE"):
        assert needed in names
    assert not any(name.startswith((".venv", "build/", ".ci", ".github")) for name in names)

    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", tmp_path, sdist, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for needed in (
        "srsdk/py.typed",
        "srsdk/_kernels.pyi",
        "srsdk/zoo/manifest.json",
        "srsdk/zoo/edge-x4.onnx",
        "srsdk/zoo/srresnet-x4.md",
        "srsdk/faces/blazeface.onnx",
        "srsdk/live/web/page/index.html",
        "srtrain/recipes/edge-x4.toml",
        "srexport/onnx.py",
    ):
        assert needed in names
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {
        "srsdk", "srtrain", "srexport",
    }  # fmt: skip

    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    clip, out = ROOT / "examples" / "portrait.mp4", tmp_path / "out.mp4"
    assert "edge-x4" in run(python.with_name("srsdk"), "models", cwd=tmp_path)
    run(python.with_name("srsdk"), "doctor", cwd=tmp_path)
    run(
        python.with_name("srsdk"),
        "enhance",
        clip,
        "-o",
        out,
        "--faces",
        "portrait-x4",
        cwd=tmp_path,
    )
    assert out.stat().st_size > 100_000
    installed = run(python, "-m", "pip", "list", "--format=freeze", cwd=tmp_path)
    for heavy in ("torch", "onnx", "onnxruntime", "onnxruntime-gpu"):
        assert f"{heavy}==" not in installed

    run(python, "-m", "pip", "install", "--quiet", f"{wheel}[cpu]", cwd=tmp_path)
    program = "from srsdk import Upscaler; print(Upscaler(backend='onnxruntime').info.frames.name)"
    assert run(python, "-c", program, cwd=tmp_path).strip() == "onnxruntime"
