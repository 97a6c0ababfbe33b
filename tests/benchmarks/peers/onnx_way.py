"""The same weights in ONNX Runtime: the obvious way, and its graph alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy_way import Values, pack, unpack
from worker import Job, Program


def open(job: Job) -> Program:  # noqa: A001
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = job.threads
    model = Path(job.options["file"]).read_bytes()
    session = ort.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    versions = {"onnxruntime": ort.__version__}
    if job.options.get("alone"):
        return Program((("graph", _bound(session, np.load(job.frames)[0])),), versions)
    name = session.get_inputs()[0].name

    def graph(values: Values) -> Values:
        return session.run(None, {name: values})[0]

    return Program((("unpack", unpack), ("graph", graph), ("pack", pack)), versions)


def _bound(session: Any, frames: Any) -> Any:
    """The graph on bound buffers, nothing around it."""
    lr = unpack(frames)
    sr = session.run(None, {session.get_inputs()[0].name: lr})[0]
    binding = session.io_binding()
    for bind, node, array in (
        (binding.bind_input, session.get_inputs()[0], lr),
        (binding.bind_output, session.get_outputs()[0], sr),
    ):
        bind(node.name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def run(frames: Any, kept: Any = (lr, sr)) -> Any:
        session.run_with_iobinding(binding)
        return frames

    return run
