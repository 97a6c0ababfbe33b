"""ONNX Runtime on the CPU, with the native kernels before and after the graph.

Frames go through `unpack` straight into the graph's input buffer, and the graph's output through
`pack` straight into the caller's frame. Both buffers are bound to the session, so a size that was
seen before needs no new memory and no further copies.
"""

from __future__ import annotations

import logging
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srsdk import _kernels
from srsdk.backends.onnxruntime_library import load_onnxruntime
from srsdk.backends.pool import WorkspacePool
from srsdk.cpu import usable_cores
from srsdk.errors import ModelFormatError, ModelNotFoundError
from srsdk.spec import ModelSpec
from srsdk.tensorrt.plugin import PLUGIN, plugin_refusal
from srsdk.types import BackendInfo, Pixels, ProfiledBackend, Size

log = logging.getLogger(__name__)

ort = load_onnxruntime()

_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class _BoundBuffers:
    """The graph's input and output buffers for one size, bound to the session."""

    def __init__(self, session: Any, spec: ModelSpec, size: Size, dtype: Any) -> None:
        count, height, width = size
        factor = spec.graph_scale
        self.input: NDArray[Any] = np.empty((count, 3, height, width), dtype)
        self.output: NDArray[Any] = np.empty(
            (count, spec.out_channels, factor * height, factor * width), dtype
        )
        # Keeps the session alive until a run ends, even if another thread closes the backend.
        self._session, self._binding = session, session.io_binding()
        for bind, node, array in (
            (self._binding.bind_input, session.get_inputs()[0], self.input),
            (self._binding.bind_output, session.get_outputs()[0], self.output),
        ):
            bind(node.name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def run(self) -> None:
        """Run the graph from `input` to `output`."""
        self._session.run_with_iobinding(self._binding)


class OnnxRuntimeBackend(ProfiledBackend):
    """Runs an ONNX model that `srsdk-export` wrote."""

    def __init__(self, path: Path, *, threads: int = 0, color: str = "bgr") -> None:
        if not path.is_file():
            raise ModelNotFoundError(f"there is no model file {path}")
        self._threads = threads or usable_cores()
        session = _open_session(path, self._threads)
        metadata = session.get_modelmeta().custom_metadata_map
        spec = ModelSpec.from_metadata(metadata, source=str(path))
        dtype = check_graph(session, spec, path)
        self._swap_rb = color != spec.channel_order
        self._info = BackendInfo("onnxruntime", "cpu", ort.__version__, self._threads, spec)
        self._pool = WorkspacePool(lambda size: _BoundBuffers(session, spec, size, dtype))

    @property
    def info(self) -> BackendInfo:
        return self._info

    def run(self, batch: Pixels, out: Pixels | None = None) -> Pixels:
        return self._run(batch, out)[0]

    def profile(self, batch: Pixels, out: Pixels | None = None) -> dict[str, float]:
        """The seconds of "unpack", "graph" and "pack"."""
        return self._run(batch, out)[1]

    def _run(self, batch: Pixels, out: Pixels | None) -> tuple[Pixels, dict[str, float]]:
        spec = self._info.spec
        count, height, width, _ = batch.shape
        if out is None:
            out = np.empty((count, height * spec.scale, width * spec.scale, 3), np.uint8)
        with self._pool.workspace((count, height, width)) as buffers:
            began = perf_counter()
            _kernels.unpack_into(buffers.input, batch, swap_rb=self._swap_rb, threads=self._threads)
            unpacked = perf_counter()
            buffers.run()
            ran = perf_counter()
            for values, image, target in zip(buffers.output, batch, out, strict=True):
                _kernels.pack_into(
                    target,
                    values,
                    spec.shuffle,
                    lr=None if spec.base == "none" else image,
                    base=spec.base,
                    scale=spec.scale,
                    swap_rb=self._swap_rb,
                    threads=self._threads,
                )
            packed = perf_counter()
        return out, {"unpack": unpacked - began, "graph": ran - unpacked, "pack": packed - ran}

    def close(self) -> None:
        self._pool.close()


def open(model: Path | str, *, threads: int, color: str) -> OnnxRuntimeBackend:  # noqa: A001
    """Open the backend; called by `open_backend`."""
    return OnnxRuntimeBackend(Path(model), threads=threads, color=color)


def _open_session(path: Path, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Its threads would go on spinning after the graph, on the cores that pack wants then.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no other common base
        if PLUGIN in str(error):
            raise plugin_refusal(path) from error
        reason = str(error).splitlines()[0]
        raise ModelFormatError(f"{path} is not a model ONNX Runtime can load: {reason}") from error


def check_graph(session: Any, spec: ModelSpec, path: Path) -> Any:
    """The graph's element type; raises unless its input and output match the spec."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelFormatError(f"{path}: expected one input and one output")
    if inputs[0].type not in _DTYPES or outputs[0].type != inputs[0].type:
        raise ModelFormatError(f"{path}: input {inputs[0].type} and output {outputs[0].type}")
    for node, channels in ((inputs[0], 3), (outputs[0], spec.out_channels)):
        if len(node.shape) != 4 or node.shape[1] != channels:
            raise ModelFormatError(
                f"{path}: {node.name} is {node.shape}, but its spec says {channels} channels"
            )
    return _DTYPES[inputs[0].type]
