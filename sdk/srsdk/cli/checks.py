"""The checks of `srsdk doctor`: each part is used, not looked up."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import srsdk
from srsdk.cpu import usable_cores
from srsdk.errors import BackendUnavailableError
from srsdk.files import sha256_of

CheckState = Literal["ok", "off", "broken"]

_REINSTALL = "pip install --force-reinstall srsdk"
_FEATURES = ("avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "asimd", "asimddp")


@dataclass(frozen=True)
class Check:
    """One line of the doctor's list.

    Attributes:
        name: What was tried.
        state: "ok"; "off" for something optional that is not there; "broken" for what srsdk
            cannot do without.
        detail: Version, or what went wrong.
        remedy: What to do about it, empty where nothing needs to be done.
    """

    name: str
    state: CheckState
    detail: str
    remedy: str = ""


def run_checks() -> Iterator[Check]:
    """All checks, in the order of the list."""
    yield Check("srsdk", "ok", f"{srsdk.__version__} in {Path(srsdk.__file__).parent}")
    yield Check("python", "ok", f"{platform.python_version()} on {platform.platform()}")
    yield Check("processor", "ok", processor())
    yield _graphics()
    for module, package in (
        ("numpy", "numpy"),
        ("cv2", "opencv-python"),
        ("av", "av"),
    ):
        yield _imported(module, package)
    yield _onnxruntime()
    yield _tried("kernels", _kernels, _REINSTALL, "broken")
    yield _tried("encoder", _encoder, "pip install --force-reinstall av", "broken")
    yield from _models()
    yield from _backends()
    yield _tried("detector blazeface", _blazeface, _REINSTALL, "broken")
    yield _tried("detector yunet", _yunet, "pip install --upgrade opencv-python", "off")
    for package, extra in (
        ("torch", "train"),
        ("onnx", "export"),
        ("tensorrt", "tensorrt"),
        ("tensorrt-rtx-cu13", "tensorrt-rtx"),
        ("aiortc", "web"),
        ("pyvirtualcam", "virtual-camera"),
    ):
        yield _optional(package, extra)


def processor() -> str:
    """Model, cores that this process may use, and the vector instructions that matter here."""
    name, flags = platform.processor() or platform.machine(), set[str]()
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            elif key.strip() in ("flags", "Features"):
                flags.update(value.split())
    except OSError:
        pass  # only Linux has it
    features = " ".join(feature for feature in _FEATURES if feature in flags)
    return f"{name}, {usable_cores()} cores{', ' if features else ''}{features}"


def _graphics() -> Check:
    command = shutil.which("nvidia-smi")
    if command is None:
        return Check("gpu", "off", "no NVIDIA driver found; srsdk works on the processor")
    query = [command, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Check("gpu", "off", f"nvidia-smi failed: {_line(error)}", "reinstall the driver")
    return Check("gpu", "ok", "; ".join(done.stdout.strip().splitlines()))


def _imported(module: str, package: str) -> Check:
    remedy = f"pip install --force-reinstall {package}"
    return _tried(module, lambda: str(import_module(module).__version__), remedy, "broken")


def _onnxruntime() -> Check:
    """At most one of the packages that contain it, and that one whole."""
    from srsdk.backends import onnxruntime_library as library

    packages = library.packages()
    if len(packages) > 1:
        both = " and ".join(packages)
        detail = f"{both} are both installed, and overwrite each other's files"
        return Check("onnxruntime", "broken", detail, library.REINSTALL)
    if not library.is_installed():
        detail = "not installed; the native backend runs all bundled models"
        return Check("onnxruntime", "off", detail, f"{library.INSTALL}, if you need it")
    try:
        found = str(library.load_onnxruntime().__version__)
    except BackendUnavailableError as error:
        return Check("onnxruntime", "broken", _line(error), library.REINSTALL)
    return Check("onnxruntime", "ok", " ".join([found, *packages]))


def _optional(package: str, extra: str) -> Check:
    """Installed or not; not imported, since that would take seconds and gigabytes."""
    try:
        return Check(package, "ok", version(package))
    except PackageNotFoundError:
        return Check(
            package, "off", "not installed", f"pip install 'srsdk[{extra}]' if you need it"
        )


def _tried(name: str, attempt: Callable[[], str], remedy: str, otherwise: CheckState) -> Check:
    try:
        return Check(name, "ok", attempt())
    except Exception as error:  # whatever a broken installation may raise
        return Check(name, otherwise, _line(error), remedy)


def _kernels() -> str:
    import numpy as np

    from srsdk import _kernels

    frame = np.arange(3 * 8 * 10, dtype=np.uint8).reshape(8, 10, 3)
    quarters = frame.reshape(4, 2, 5, 2, 3).transpose(4, 1, 3, 0, 2).reshape(12, 4, 5)
    if not np.array_equal(_kernels.pack(quarters / np.float32(255), 2), frame):
        raise RuntimeError("pack gives wrong pixels on this processor")
    cuda = "with CUDA" if _kernels.built_with_cuda() else "without CUDA"
    return f"{_kernels.isa()}, built {cuda}"


def _encoder() -> str:
    import av
    from av.codec import Codec

    Codec("libx264", "w")
    return f"libx264 in FFmpeg {av.ffmpeg_version_info}"


def _models() -> Iterator[Check]:
    from srsdk import zoo

    try:
        known = zoo.models()
    except (OSError, ValueError) as error:
        yield Check(
            "models", "broken", f"the list of models is missing: {_line(error)}", _REINSTALL
        )
        return
    for model in known:
        name = f"model {model.name}"
        try:
            actual = sha256_of(model.path)
        except OSError as error:
            yield Check(name, "broken", _line(error), _REINSTALL)
            continue
        if actual != model.sha256:
            yield Check(name, "broken", f"{model.path} was changed", _REINSTALL)
        else:
            yield Check(name, "ok", model.summary)


def _backends() -> Iterator[Check]:
    """Each backend upscales a small picture."""
    from srsdk import zoo
    from srsdk.backends import BACKENDS

    try:
        bundled = [model.name for model in zoo.models()]
    except (OSError, ValueError):
        bundled = []
    for backend in BACKENDS:
        name = f"backend {backend}"
        required: CheckState = "broken" if backend in ("native", "bicubic") else "off"
        if backend == "bicubic":
            yield _tried(name, lambda: _upscaled("bicubic", "bicubic-x4"), _REINSTALL, required)
        elif not bundled:
            yield Check(name, required, "not tried, for want of a bundled model", _REINSTALL)
        elif reason := _unavailable(backend, bundled[0]):
            yield Check(name, required, reason, "" if required == "off" else _REINSTALL)
        else:
            # Building an engine takes minutes: one is enough.
            for model in bundled[:1] if backend == "tensorrt" else bundled:
                yield _tried(
                    f"{name}, {model}",
                    lambda backend=backend, model=model: _upscaled(backend, model),  # type: ignore[misc]
                    "" if required == "off" else _REINSTALL,  # the message names it
                    required,
                )


def _unavailable(backend: str, model: str) -> str:
    """Why a backend runs nothing here; empty where it does run."""
    from srsdk.upscaler import Upscaler

    try:
        Upscaler(model, backend=backend).close()
    except BackendUnavailableError as error:
        return _line(error)
    except Exception:
        return ""  # it concerns this model alone, or shows with each model
    return ""


def _upscaled(backend: str, model: str) -> str:
    """Upscale a smooth picture; whatever the model, the result must look like the picture."""
    import cv2
    import numpy as np

    from srsdk.upscaler import Upscaler

    y, x = np.mgrid[0:24, 0:32].astype(np.float32)
    lr = np.stack([4 * x + 60, 5 * y + 60, 200 - 3 * x], axis=-1).astype(np.uint8)
    with Upscaler(model, backend=backend) as upscaler:
        sr = upscaler(lr)
        info = upscaler.info.frames
    size = (lr.shape[1] * upscaler.scale, lr.shape[0] * upscaler.scale)
    expected = cv2.resize(lr, size, interpolation=cv2.INTER_CUBIC)
    off = float(np.abs(sr.astype(np.float32) - expected).mean())
    if off > 12:
        raise RuntimeError(f"{model} gives wrong pixels, {off:.0f} grey levels off")
    return f"{info.version} on {info.device}"


def _blazeface() -> str:
    import numpy as np

    from srsdk.faces import BlazeFaceDetector

    BlazeFaceDetector().detect(np.full((120, 160, 3), 128, np.uint8))
    return "bundled"


def _yunet() -> str:
    import cv2

    if not hasattr(cv2, "FaceDetectorYN"):
        raise RuntimeError(f"OpenCV {cv2.__version__} has no FaceDetectorYN")
    return "OpenCV can load it; give --detector FILE.onnx"


def _line(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0]
    return text or type(error).__name__
