"""Super resolution of human portraits in live video.

    from srsdk import Upscaler

    with Upscaler("edge-x4") as upscaler:
        large = upscaler(frame)  # uint8 (H, W, 3) BGR -> (4H, 4W, 3)

Names are loaded on first use, so that importing one part costs only that part.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from srsdk.errors import (
    BackendUnavailableError,
    ClosedError,
    DetectorError,
    EngineBuildError,
    EngineMismatchError,
    InputError,
    ModelFormatError,
    ModelNotFoundError,
    SrsdkError,
    VideoError,
)
from srsdk.spec import ModelSpec

if TYPE_CHECKING:
    from srsdk.upscaler import Upscaler

__version__ = "0.1.0"

__all__ = [
    "BackendUnavailableError",
    "ClosedError",
    "DetectorError",
    "EngineBuildError",
    "EngineMismatchError",
    "InputError",
    "ModelFormatError",
    "ModelNotFoundError",
    "ModelSpec",
    "SrsdkError",
    "Upscaler",
    "VideoError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Load `Upscaler` when it is first asked for."""
    if name == "Upscaler":
        return import_module("srsdk.upscaler").Upscaler
    raise AttributeError(f"module 'srsdk' has no attribute {name!r}")
