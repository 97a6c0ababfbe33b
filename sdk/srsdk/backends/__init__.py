"""Backends by name. A backend's module is imported when the backend is first opened."""

from __future__ import annotations

import logging
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast, get_args

from srsdk.errors import BackendUnavailableError, InputError, ModelFormatError
from srsdk.tensorrt.sidecar import is_engine
from srsdk.types import Backend, Color, ComputePrecision

log = logging.getLogger(__name__)

BACKENDS: dict[str, str] = {
    "onnxruntime": "srsdk.backends.onnxruntime",
    "native": "srsdk.backends.native",
    "cuda-native": "srsdk.backends.cuda_native",
    "tensorrt": "srsdk.backends.tensorrt",
    "onnxruntime-cuda": "srsdk.backends.onnxruntime_cuda",
    "torch": "srsdk.backends.torch",
    "bicubic": "srsdk.backends.bicubic",
}
"""Name of each backend and its module, whose `open` makes the backend."""


class _Opener(Protocol):
    def open(self, model: Path | str, *, threads: int, color: Color) -> Backend: ...


def open_backend(
    name: str,
    model: Path | str,
    *,
    threads: int = 0,
    color: Color = "bgr",
    precision: ComputePrecision = "auto",
) -> Backend:
    """Open a generator.

    Args:
        name: A key of `BACKENDS`, or "auto" for the one that suits the model, which is logged and
            named in the backend's `info`.
        model: Path of a model file, or "bicubic-xN".
        threads: CPU threads; 0 for all that this process may use.
        color: Channel order of the frames.
        precision: Arithmetic of the generator; "auto": int8 on the native backend where the model
            file proves that it suffices and the CPU is faster at it, else what the file says.

    Raises:
        InputError: There is no such precision.
        BackendUnavailableError: The backend is unknown, a package that it needs is missing, or it
            does not run the model in this precision.
        ModelNotFoundError: The file does not exist.
        ModelFormatError: The file is damaged, carries no `ModelSpec`, or is not for this backend.
    """
    if precision not in get_args(ComputePrecision):
        known = ", ".join(get_args(ComputePrecision))
        raise InputError(f"unknown precision {precision!r}; known: {known}")
    if name == "auto":
        name = _suitable(model)
        log.info("backend %s for %s", name, model)
    if name not in BACKENDS:
        known = ", ".join(["auto", *BACKENDS])
        raise BackendUnavailableError(f"unknown backend {name!r}; known: {known}")
    if isinstance(model, str) and name != "bicubic":
        raise ModelFormatError(f'{model} is no network: it runs in backend="bicubic" or "auto"')
    if isinstance(model, Path) and is_engine(model) and name != "tensorrt":
        raise ModelFormatError(f'{model} is an engine: it runs in backend="tensorrt" or "auto"')
    if name == "native":
        from srsdk.backends import native

        backend: Backend = native.open(model, threads=threads, color=color, precision=precision)
    else:
        module = cast("_Opener", import_module(BACKENDS[name]))
        backend = module.open(model, threads=threads, color=color)
    value_range = backend.info.spec.value_range
    if value_range != (0.0, 1.0):
        backend.close()
        raise ModelFormatError(f"{model}: value range {value_range} is not supported, only 0 to 1")
    if precision not in ("auto", backend.info.arithmetic):
        backend.close()
        raise BackendUnavailableError(
            f"{model} runs in {backend.info.arithmetic} on the backend {name!r}; "
            f'precision="{precision}" needs backend="native"'
        )
    return backend


def _suitable(model: Path | str) -> str:
    """What "auto" stands for: the fastest CPU backend that can run the model.

    The native one is, by 2 to 3 times on the bundled models, where its kernels have vectors;
    without vectors ONNX Runtime is faster, if it is installed. A GPU is never chosen, only asked
    for by name: whether its driver, libraries and memory suffice shows when it runs. An engine can
    run nowhere else.
    """
    if isinstance(model, str):
        return "bicubic"
    if is_engine(model):
        return "tensorrt"
    from srsdk import _kernels
    from srsdk.backends import native, onnxruntime_library

    fastest = _kernels.isa() != "portable" or not onnxruntime_library.is_installed()
    return "native" if fastest and native.can_run(model) else "onnxruntime"
