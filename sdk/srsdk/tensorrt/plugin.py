"""The TensorRT plugin of `kernels/plugin`: its names, finding its library, loading it."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srsdk.errors import BackendUnavailableError, ModelFormatError

if TYPE_CHECKING:
    from srsdk.tensorrt.flavour import Flavour

PLUGIN = "SrsdkPixelShufflePReLU"
"""Name of the plugin, and of its operator in ONNX files."""

NAMESPACE = "srsdk"
"""Namespace of the plugin, and domain of its operator."""

VERSION = "1"

LIBRARY = "libsrsdk_plugin.so"

VARIABLE = "SRSDK_PLUGIN"
"""Environment variable with the path of the library, if it is not in the package."""


def find_plugin() -> Path:
    """Path of the plugin's library.

    Raises:
        BackendUnavailableError: srsdk was built without the plugin, and `SRSDK_PLUGIN` is not set.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not Path(named).is_file():
            raise BackendUnavailableError(f"{VARIABLE} is {named}: there is no such library")
        return Path(named)
    from srsdk import _kernels

    # An editable installation keeps compiled files in another folder than Python files.
    for folder in (Path(__file__).parents[1], Path(_kernels.__file__).parent):
        if (folder / LIBRARY).is_file():
            return folder / LIBRARY
    raise BackendUnavailableError(
        f"the model needs the TensorRT plugin {PLUGIN}, and srsdk was built without it: build it "
        "with nvcc and -DTENSORRT_INCLUDE_DIR (kernels/plugin/README.md), or export the model "
        "again without --plugin"
    )


def load_plugin(trt: Any) -> None:
    """Register the plugin, once; call this before building or loading an engine that needs it.

    Args:
        trt: The module `tensorrt` or `tensorrt_rtx`.

    Raises:
        BackendUnavailableError: There is no library, or it does not load.
    """
    registry = trt.get_plugin_registry()
    if _registered(registry):
        return
    library = find_plugin()
    registry.load_library(str(library))
    if not _registered(registry):
        raise BackendUnavailableError(
            f"TensorRT {trt.__version__} does not load {library}; build srsdk again on this machine"
        )


def prepare_builder(flavour: Flavour) -> None:
    """Make a TensorRT ready to build a model with the plugin.

    Raises:
        BackendUnavailableError: There is no library, or TensorRT-RTX could not use it.
    """
    load_plugin(flavour.trt)
    if flavour.name != "tensorrt_rtx":
        return
    # Its ONNX parser opens the library by this name, which the wheel does not have, before it adds
    # a plugin; where that fails it ends the process (1.7.1).
    try:
        ctypes.CDLL("libtensorrt_rtx.so")
    except OSError as error:
        raise BackendUnavailableError(
            f"{flavour.title} adds plugins only where it finds libtensorrt_rtx.so, which its wheel "
            "lacks: make a link of that name to the wheel's libtensorrt_rtx.so.1, and set "
            "LD_LIBRARY_PATH to the link's folder"
        ) from error


def plugin_refusal(source: object) -> ModelFormatError:
    """The error of runtimes other than TensorRT for a model that needs the plugin."""
    return ModelFormatError(
        f"{source} was exported with --plugin, for TensorRT only: run it with "
        'backend="tensorrt", or export it again without --plugin'
    )


def _registered(registry: Any) -> bool:
    return any(
        (creator.name, creator.plugin_namespace) == (PLUGIN, NAMESPACE)
        for creator in registry.all_creators
    )
