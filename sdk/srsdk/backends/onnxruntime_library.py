"""The one place that imports ONNX Runtime.

Two packages install it, `onnxruntime` and `onnxruntime-gpu`, and both write the same files. With
both installed, or after one of the two was uninstalled, Python imports a mixture. So srsdk requires
neither: the native backend runs every bundled model without ONNX Runtime, and a user who needs it
chooses one of the extras `cpu` and `gpu`.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from srsdk.errors import BackendUnavailableError

INSTALL = "pip install 'srsdk[cpu]', or 'srsdk[gpu]' for an NVIDIA GPU"
REINSTALL = f"pip uninstall onnxruntime onnxruntime-gpu, then {INSTALL}"

_PACKAGES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")


def load_onnxruntime() -> Any:
    """The module `onnxruntime`.

    Raises:
        BackendUnavailableError: It is not installed, or its installation is incomplete.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendUnavailableError(f"ONNX Runtime is missing ({error}): {INSTALL}") from error
    if not hasattr(onnxruntime, "InferenceSession"):
        raise BackendUnavailableError(f"ONNX Runtime is incomplete: {REINSTALL}")
    return onnxruntime


def is_installed() -> bool:
    """Whether there is an ONNX Runtime to import. Looks for it without importing it."""
    try:
        return find_spec("onnxruntime") is not None
    except ValueError:  # sys.modules has an entry for it that is no module
        return False


def packages() -> dict[str, str]:
    """Name and version of the installed packages that contain it; more than one is an error."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
