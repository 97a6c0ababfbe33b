"""Interpolation by OpenCV."""

from __future__ import annotations

import cv2
from worker import Job, Pixels, Program


def open(job: Job) -> Program:  # noqa: A001
    cv2.setNumThreads(job.threads)
    kind = {"bicubic": cv2.INTER_CUBIC, "lanczos": cv2.INTER_LANCZOS4}[job.options["kind"]]

    def up(frames: Pixels) -> Pixels:
        (frame,) = frames
        height, width, _ = frame.shape
        return cv2.resize(frame, (4 * width, 4 * height), interpolation=kind)[None]

    return Program((("call", up),), {"opencv": cv2.__version__})
