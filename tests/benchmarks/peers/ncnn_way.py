"""A network in ncnn, NumPy around it: our weights converted, or Real-ESRGAN as published."""

from __future__ import annotations

import ncnn
import numpy as np
from numpy_way import Values, pack, unpack
from worker import Job, Program


def open(job: Job) -> Program:  # noqa: A001
    net = ncnn.Net()
    net.opt.num_threads = job.threads
    for load, file in ((net.load_param, "param"), (net.load_model, "bin")):
        if load(job.options[file]):
            raise RuntimeError(f"ncnn cannot load {job.options[file].rpartition('/')[2]}")
    source, result = job.options["input"], job.options["output"]

    def one(values: Values) -> Values:
        extractor = net.create_extractor()
        extractor.input(source, ncnn.Mat(values))
        code, found = extractor.extract(result)
        if code:
            raise RuntimeError(f"ncnn failed with code {code}")
        return np.array(found)

    def graph(values: Values) -> Values:
        return np.stack([one(image) for image in values])  # ncnn has no batches

    versions = {"ncnn": ncnn.__version__}
    return Program((("unpack", unpack), ("graph", graph), ("pack", pack)), versions)
