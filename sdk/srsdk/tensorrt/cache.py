"""Engines that are built from models on first use, and the folder that they are kept in."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from srsdk import onnxfile
from srsdk.errors import (
    EngineMismatchError,
    InputError,
    ModelFormatError,
    ModelNotFoundError,
    SrsdkError,
)
from srsdk.files import sha256_of
from srsdk.spec import ModelSpec
from srsdk.tensorrt.building import Options, build_engine
from srsdk.tensorrt.flavour import Flavour, find_flavour
from srsdk.tensorrt.machine import check_engine
from srsdk.tensorrt.profiles import Profile, profiles
from srsdk.tensorrt.progress import OnProgress

log = logging.getLogger(__name__)

_ANY_SIZE = "1*1x1:1*640x360:1*1408x1408"
"""Profile for frames of any other size. Larger frames go through in tiles, which fit into it with
their margins."""

_FORMAT = 1  # part of the key: increasing it makes all cached engines unused


def cache_folder() -> Path:
    """The folder for files that srsdk can make again.

    The environment variable SRSDK_CACHE names it; otherwise it is `srsdk` in the cache folder of
    the operating system (on Linux XDG_CACHE_HOME or ~/.cache).
    """
    own = os.environ.get("SRSDK_CACHE")
    if own:
        return Path(own).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "srsdk"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/srsdk"
    shared = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says that relative paths are ignored.
    return (Path(shared) if Path(shared).is_absolute() else Path.home() / ".cache") / "srsdk"


def cached_engine(
    model: Path,
    library: str = "auto",
    *,
    on_progress: OnProgress = lambda share, phase: None,
) -> Path:
    """The engine of a model for this machine; builds it on first use.

    A new engine is built whenever the model's bytes, the version of TensorRT, the GPU, its driver
    or the profiles change. Several processes may build the same engine at once.

    Args:
        model: ONNX file of `srsdk-export`.
        library: "tensorrt", "tensorrt_rtx", or "auto": what is installed.
        on_progress: Called while an engine is built, with the share that is done, 0 to 1, and the
            name of the phase.

    Returns:
        The engine, with its sidecar beside it.

    Raises:
        BackendUnavailableError: TensorRT is not installed, or has no GPU to build on.
        ModelFormatError: The model cannot be built.
        InputError: The cache cannot be written.
    """
    spec = onnxfile.read_spec(model)
    flavour = find_flavour(library)
    sizes = _profiles(spec)
    folder = cache_folder() / "engines" / f"{spec.name}-{engine_key(model, flavour, sizes)}"
    engine = folder / f"{spec.name}.engine"
    problem = _problem(engine, model, flavour)
    if problem is not None:
        log.info("%s; building an engine with %s", problem, flavour.title)
        _build(model, engine, sizes, flavour, on_progress)
    return engine


def engine_key(model: Path, flavour: Flavour, sizes: tuple[Profile, ...]) -> str:
    """Hash of all facts that an engine depends on: 16 hexadecimal digits."""
    machine = flavour.machine()
    facts = {
        "format": _FORMAT,
        "model": sha256_of(model),  # includes its precision
        "flavour": flavour.name,
        "version": flavour.version,
        "platform": machine.platform,
        "device": flavour.device.name if flavour.device else "",
        "capability": machine.compute_capability,
        "driver": machine.driver,
        "profiles": [str(profile) for profile in sizes],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _problem(engine: Path, model: Path, flavour: Flavour) -> SrsdkError | None:
    """The reason why an engine cannot be used; None if it can."""
    try:
        check_engine(engine, flavour.machine(), model)
    except (EngineMismatchError, ModelFormatError, ModelNotFoundError) as error:
        return error
    return None


def _profiles(spec: ModelSpec) -> tuple[Profile, ...]:
    usual = profiles([], spec)
    return usual if spec.face_size else usual + profiles([_ANY_SIZE], spec)


def _build(
    model: Path,
    engine: Path,
    sizes: tuple[Profile, ...],
    flavour: Flavour,
    on_progress: OnProgress,
) -> None:
    folder = engine.parent
    shapes = " ".join(f"--shapes {profile.name}" for profile in sizes)
    command = f"srsdk-export engine {model} -o {engine.name} {shapes} --library {flavour.name}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Engine and sidecar appear together, when their folder is renamed.
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise InputError(
            f"engines cannot be kept in {folder.parent} ({error}); name another folder with the "
            "environment variable SRSDK_CACHE"
        ) from error
    try:
        build_engine(
            model,
            made / engine.name,
            sizes,
            flavour,
            Options(),
            command=command,
            on_progress=on_progress,
        )
        _put(made, folder, lambda: _problem(engine, model, flavour) is None)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _put(made: Path, folder: Path, is_good: Callable[[], bool]) -> None:
    """Rename a finished folder, unless another process has put a good one there."""
    for _ in range(8):
        try:
            made.rename(folder)
        except OSError:
            if is_good():  # another process finished first
                return
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
            with contextlib.suppress(OSError):  # another process removed the damaged one
                folder.rename(old / folder.name)
            shutil.rmtree(old, ignore_errors=True)
        else:
            return
    raise InputError(f"{folder} cannot be replaced; remove it")
