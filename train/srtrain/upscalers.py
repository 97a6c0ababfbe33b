"""Any generator as a function on pixels: a checkpoint, or an ONNX file as the SDK runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from srsdk.errors import InputError
from srtrain.checkpoint import Checkpoint
from srtrain.degrade import Pixels, bicubic
from srtrain.images import to_pixels, to_tensor
from srtrain.models import SRPGGAN


@dataclass(frozen=True)
class Upscaler:
    """A generator to judge, or to learn from.

    Attributes:
        name: What to call it.
        scale: Upscaling factor.
        upscale: `(N, H, W, 3)` u8 RGB to `(N, scale*H, scale*W, 3)` u8 RGB.
    """

    name: str
    scale: int
    upscale: Callable[[Pixels], Pixels]

    def reduced(self, scale: int) -> Upscaler:
        """The same at a smaller scale: its output in box averages.

        Raises:
            InputError: Its scale is not a multiple of `scale`.
        """
        if self.scale == scale:
            return self
        if self.scale % scale:
            raise InputError(f"{self.name} has scale {self.scale}, not a multiple of {scale}")
        factor = self.scale // scale

        def upscale(lr: Pixels) -> Pixels:
            sr = self.upscale(lr)
            n, height, width, _ = sr.shape
            boxes = sr.reshape(n, height // factor, factor, width // factor, factor, 3)
            means: Pixels = np.rint(boxes.mean(axis=(2, 4), dtype=np.float32)).astype(np.uint8)
            return means

        return Upscaler(self.name, scale, upscale)


def open_upscaler(path: Path, device: str = "cpu") -> Upscaler:
    """Open a checkpoint (`.pt`) or an ONNX file with a `ModelSpec`.

    Raises:
        InputError: It is neither, or a network that is still growing.
        ModelFormatError: The ONNX file is damaged or carries no spec.
    """
    if path.suffix == ".onnx":
        from srsdk.backends import open_backend

        backend = open_backend("auto", path, color="rgb")
        spec = backend.info.spec
        return Upscaler(spec.name, spec.scale, backend.run)
    saved = Checkpoint.load(path)
    model = saved.build().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if isinstance(model, SRPGGAN) and not model.grown:
        raise InputError(f"{path} is still growing; run its recipe to the end")

    return network_upscaler(saved.recipe.name, model, model.scale)


def network_upscaler(name: str, model: nn.Module, scale: int) -> Upscaler:
    """A network as it is, on the device that it is on."""
    device = next(model.parameters()).device

    def upscale(lr: Pixels) -> Pixels:
        with torch.inference_mode():
            return to_pixels(model(to_tensor(lr, device)))

    return Upscaler(name, scale, upscale)


def bicubic_upscaler(scale: int) -> Upscaler:
    """The baseline: Pillow's bicubic."""
    return Upscaler("bicubic", scale, lambda lr: np.stack([bicubic(one, scale) for one in lr]))
