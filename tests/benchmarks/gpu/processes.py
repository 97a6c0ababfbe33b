"""Steps as processes of their own, and the environment that they run in."""

from __future__ import annotations

import json
import os
import signal
import site
import subprocess
import sys
import sysconfig
import venv
from importlib.util import find_spec
from pathlib import Path

from tests.benchmarks.gpu.machine import ROOT
from tests.benchmarks.gpu.report import COULD_NOT, FAILED, JsonObject, step


def run_module(
    python: Path, module: str, output: Path, *arguments: str, timeout: float
) -> JsonObject:
    """Run `python -m tests.benchmarks.gpu.MODULE`, which writes its record to `output`."""
    output.unlink(missing_ok=True)
    name = f"tests.benchmarks.gpu.{module}"
    log = output.with_suffix(".log")
    reason = run_logged([str(python), "-m", name, str(output), *arguments], log, timeout)
    if output.is_file():
        record: JsonObject = json.loads(output.read_text("utf-8"))
        if reason:  # it got so far, and was then ended, or crashed
            reasons = filter(None, (record["reason"], reason))
            record |= {"status": FAILED, "reason": "; ".join(reasons)}
        return record
    return step(FAILED, reason or f"it wrote nothing; see {log.name}")


def run_logged(command: list[str], log: Path, timeout: float) -> str:
    """Run a command in the repository with its output in a file; why it failed, or ""."""
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=sink,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            return f"took more than {timeout:.0f} s; see {log.name}"
        finally:
            _end(process)
    if status == 0:
        return ""
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    telling = [line for line in lines if "rror" in line] or lines or ["it said nothing"]
    return f"exit status {status}: {telling[-1].strip()[:300]}; see {log.name}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what still runs, with all that it started: compilers outlive the pip that called them."""
    if process.poll() is None:
        if os.name == "nt":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def overlay(directory: Path) -> Path:
    """A virtual environment that sees this Python's packages; the path of its Python.

    Its own packages come first, and an editable installation of srsdk here has no effect in it.
    """
    venv.EnvBuilder(clear=True, symlinks=os.name != "nt").create(directory)
    windows = os.name == "nt"
    python = directory / ("Scripts/python.exe" if windows else "bin/python")
    folders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    folders.update(site.getsitepackages())
    if site.ENABLE_USER_SITE:
        folders.add(site.getusersitepackages())
    own = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    # Lines of a .pth file are put on the path, and .pth files in those folders are not read.
    Path(own.stdout.strip(), "outer.pth").write_text("\n".join(sorted(folders)) + "\n")
    return python


def build(directory: Path, timeout: float) -> JsonObject:
    """Build srsdk with CUDA and install it into an environment of its own."""
    from shutil import which

    if not (which("nvcc") or os.environ.get("CUDACXX")):
        return step(COULD_NOT, "no nvcc: put it on PATH or set CUDACXX")
    if find_spec("pip") is None:
        return step(COULD_NOT, f"{sys.executable} has no pip")
    python = overlay(directory / "venv")
    isolated = any(find_spec(name) is None for name in ("scikit_build_core", "pybind11"))
    command = [
        sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps",
        *([] if isolated else ["--no-build-isolation"]), "--force-reinstall",
        f"--config-settings=build-dir={directory / 'build'}",
        "--config-settings=cmake.define.SRSDK_CUDA=ON", str(ROOT),
    ]  # fmt: skip
    reason = run_logged(command, directory / "build.log", timeout)
    if reason:
        return step(FAILED, reason)
    check = "from srsdk import _kernels, _kernels_cuda; assert _kernels.built_with_cuda()"
    reason = run_logged([str(python), "-c", check], directory / "import.log", timeout)
    if reason:
        return step(FAILED, reason)
    return step("passed", python=str(python), command=" ".join(command))
