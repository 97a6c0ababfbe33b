"""OpenCV's `dnn_superres`, which version 5 no longer has: luminance through the network, chroma
bicubic, all inside its own call."""

from __future__ import annotations

import cv2
from worker import Job, Pixels, Program


def open(job: Job) -> Program:  # noqa: A001
    cv2.setNumThreads(job.threads)
    network = cv2.dnn_superres.DnnSuperResImpl_create()
    network.readModel(job.options["file"])
    network.setModel(job.options["kind"], 4)

    def up(frames: Pixels) -> Pixels:
        if len(frames) != 1:
            raise ValueError("dnn_superres takes one image")
        return network.upsample(frames[0])[None]

    return Program((("call", up),), {"opencv": cv2.__version__})
