"""The same weights in OpenVINO, NumPy around it."""

from __future__ import annotations

import numpy as np
import openvino as ov
from numpy_way import Values, pack, unpack
from worker import Job, Pixels, Program


def open(job: Job) -> Program:  # noqa: A001
    core = ov.Core()
    core.set_property("CPU", {"INFERENCE_NUM_THREADS": job.threads})
    requests: dict[tuple[int, ...], ov.InferRequest] = {}

    def graph(values: Values) -> Values:
        if values.shape not in requests:  # a fixed shape is what its documentation advises
            model = core.read_model(job.options["file"])
            model.reshape(list(values.shape))
            settings = {"PERFORMANCE_HINT": "LATENCY"}
            if job.options.get("precision") != "int8":  # else bfloat16, where the CPU has it
                settings["INFERENCE_PRECISION_HINT"] = "f32"
            compiled = core.compile_model(model, "CPU", settings)
            requests[values.shape] = compiled.create_infer_request()
        result = requests[values.shape].infer([values], share_inputs=True, share_outputs=True)
        return np.asarray(result[0])

    versions = {"openvino": ov.__version__}
    if job.options.get("alone"):
        lr = unpack(np.load(job.frames)[0])

        def alone(frames: Pixels) -> Pixels:
            graph(lr)
            return frames

        return Program((("graph", alone),), versions)
    return Program((("unpack", unpack), ("graph", graph), ("pack", pack)), versions)
