"""Any generator as a function on pixels: a checkpoint, or an ONNX file as the SDK runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from srsdk.errors import InputError
from srtrain.checkpoint import Checkpoint
from srtrain.degrade import Pixels, bicubic
from srtrain.images import reduce, to_pixels, to_tensor
from srtrain.models import SRPGGAN


@dataclass(frozen=True)
class Candidate:
    """A generator to judge, or to learn from.

    Attributes:
        name: What to call it.
        scale: Upscaling factor.
        upscale: `(N, H, W, 3)` u8 RGB to `(N, scale*H, scale*W, 3)` u8 RGB.
        network: The generator where it is one of torch, of scale `scale * shrink`.
        shrink: Box average behind the network.
    """

    name: str
    scale: int
    upscale: Callable[[Pixels], Pixels]
    network: nn.Module | None = None
    shrink: int = 1

    def reduced(self, scale: int) -> Candidate:
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

        return Candidate(self.name, scale, upscale, self.network, factor)

    @torch.no_grad()
    def tensors(self, lr: Pixels | Tensor, device: torch.device) -> Tensor:
        """As `upscale`, but `(N, 3, scale*H, scale*W)` in [0, 1], without leaving the device."""
        if self.network is None:
            pixels = lr.cpu().numpy() if isinstance(lr, Tensor) else lr
            return to_tensor(self.upscale(pixels), device)
        sr: Tensor = self.network(to_tensor(lr, device))
        return reduce(sr.float().clamp(0, 1), self.shrink)


def open_candidate(path: Path, device: str = "cpu") -> Candidate:
    """Open a checkpoint (`.pt`) or an ONNX file with a `ModelSpec`.

    Raises:
        InputError: It is neither, or a network that is still growing.
        ModelFormatError: The ONNX file is damaged or carries no spec.
    """
    if path.suffix == ".onnx":
        from srsdk.backends import open_backend

        backend = open_backend("auto", path, color="rgb")
        spec = backend.info.spec
        return Candidate(spec.name, spec.scale, backend.run)
    saved = Checkpoint.load(path)
    model = saved.build().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if isinstance(model, SRPGGAN) and not model.grown:
        raise InputError(f"{path} is still growing; run its recipe to the end")

    return network_candidate(saved.recipe.name, model, model.scale)


def network_candidate(name: str, model: nn.Module, scale: int) -> Candidate:
    """A network as it is, on the device that it is on."""
    device = next(model.parameters()).device

    def upscale(lr: Pixels) -> Pixels:
        with torch.inference_mode():
            return to_pixels(model(to_tensor(lr, device)))

    return Candidate(name, scale, upscale, model)


def bicubic_candidate(scale: int) -> Candidate:
    """The baseline: Pillow's bicubic."""
    return Candidate("bicubic", scale, lambda lr: np.stack([bicubic(one, scale) for one in lr]))
