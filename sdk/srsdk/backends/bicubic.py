"""Bicubic interpolation behind the same interface: the baseline to compare with."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np

from srsdk.errors import ModelNotFoundError
from srsdk.spec import ModelSpec
from srsdk.types import Backend, BackendInfo, Pixels


class BicubicBackend(Backend):
    """OpenCV's bicubic enlargement of each image."""

    def __init__(self, scale: int) -> None:
        spec = ModelSpec(f"bicubic-x{scale}", "bicubic", scale, tail="image", base="none", halo=2)
        self._info = BackendInfo("bicubic", "cpu", cv2.__version__, cv2.getNumThreads(), spec)

    @property
    def info(self) -> BackendInfo:
        return self._info

    def run(self, batch: Pixels, out: Pixels | None = None) -> Pixels:
        scale = self._info.spec.scale
        count, height, width, _ = batch.shape
        size = (width * scale, height * scale)
        if out is None:
            out = np.empty((count, size[1], size[0], 3), np.uint8)
        for image, target in zip(batch, out, strict=True):
            source = np.ascontiguousarray(image)
            target[...] = cv2.resize(source, size, interpolation=cv2.INTER_CUBIC)
        return out

    def close(self) -> None:
        pass


def open(model: Path | str, *, threads: int, color: str) -> BicubicBackend:  # noqa: A001
    """Make the backend for "bicubic-xN"; raises `ModelNotFoundError` for another name."""
    match = re.fullmatch(r"bicubic-x([1-9])", str(model))
    if match is None:
        raise ModelNotFoundError(f"the bicubic backend knows bicubic-x1 to bicubic-x9, not {model}")
    return BicubicBackend(int(match[1]))
