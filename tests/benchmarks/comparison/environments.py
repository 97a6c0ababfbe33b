"""Environments of the peers: each its own, so that one that cannot be installed stops no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parent.parent / "peers" / "requirements"


def interpreter(name: str, folder: Path, *, install: bool) -> Path | str:
    """Python of an environment, made on first use.

    Args:
        name: "main" for this one, or a file among the peers' requirements.
        folder: Where environments are made.
        install: Whether to make one that is not there.

    Returns:
        The interpreter, or in words why there is none.
    """
    if name == "main":
        return Path(sys.executable)
    home = folder / name
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = home / "installed"
    requirements = REQUIREMENTS / f"{name}.txt"
    wanted = requirements.read_text("utf-8")
    if done.is_file() and done.read_text("utf-8") == wanted:
        return python
    if not install:
        return f"its environment {name!r} is not installed (run without --no-install)"
    try:
        _run([sys.executable, "-m", "venv", str(home)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)])
    except (OSError, subprocess.SubprocessError) as error:
        return f"its environment {name!r} cannot be installed: {_reason(error)}"
    done.write_text(wanted, "utf-8")
    return python


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)


def _reason(error: Exception) -> str:
    lines = str(getattr(error, "stderr", None) or error).strip().splitlines()
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["no reason given"])[-1][:200]
