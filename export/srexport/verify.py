"""Comparing two ways to run one generator, on pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from srsdk.errors import SrsdkError

Pixels = NDArray[np.uint8]
Upscale = Callable[[Pixels], Pixels]
"""`(N, H, W, 3)` u8 RGB to `(N, scale*H, scale*W, 3)` u8 RGB."""


class ParityError(SrsdkError, ArithmeticError):
    """Two runtimes disagree about a generator's output."""


@dataclass(frozen=True)
class Parity:
    """How far two results are apart, in grey levels of u8.

    Attributes:
        largest: Largest difference of a value.
        mean: Mean difference.
        share_above_1: Share of values that differ by more than 1.
        psnr: PSNR between the two in dB; infinite where they are equal.
    """

    largest: int
    mean: float
    share_above_1: float
    psnr: float

    def check(self, what: str) -> None:
        """Raise `ParityError` where a value differs by more than one grey level."""
        if self.largest > 1:
            raise ParityError(
                f"{what}: results differ by up to {self.largest} grey levels "
                f"({self.share_above_1:.2%} of values by more than 1)"
            )


def compare(ours: Upscale, theirs: Upscale, frames: Pixels) -> Parity:
    """Run both on the same `(N, H, W, 3)` u8 frames."""
    a, b = ours(frames).astype(np.int32), theirs(frames).astype(np.int32)
    if a.shape != b.shape:
        raise ParityError(f"results have different shapes, {a.shape} and {b.shape}")
    error = np.abs(a - b)
    square = float(np.mean(error.astype(np.float64) ** 2))
    return Parity(
        largest=int(error.max()),
        mean=float(error.mean()),
        share_above_1=float(np.mean(error > 1)),
        psnr=float("inf") if square == 0 else float(10 * np.log10(255.0**2 / square)),
    )


def probe_frames(seed: int = 0) -> Pixels:
    """Four 45x39 frames that reach all of a generator: noise, stripes, a ramp, black and white."""
    random = np.random.default_rng(seed)
    height, width = 45, 39
    y, x = np.mgrid[:height, :width]
    noise = random.integers(0, 256, (height, width, 3))
    stripes = np.where((x + y) % 5 < 2, 230, 20)[:, :, None] * np.ones(3)
    ramp = np.stack([y * 255 / height, x * 255 / width, 255 - y * 255 / height], axis=2)
    squares = np.where((x // 8 + y // 8) % 2, 255, 0)[:, :, None] * np.ones(3)
    return np.stack([noise, stripes, ramp, squares]).astype(np.uint8)


def torch_upscale(checkpoint: Path) -> Upscale:
    """The generator of a checkpoint in PyTorch, as it was trained: nothing folded or rewritten."""
    import torch

    from srtrain.checkpoint import Checkpoint
    from srtrain.loop import to_pixels, to_tensor

    model = Checkpoint.load(checkpoint).build()

    def upscale(frames: Pixels) -> Pixels:
        with torch.inference_mode():
            return to_pixels(model(to_tensor(frames, torch.device("cpu"))))

    return upscale


def onnx_upscale(model: Path) -> Upscale:
    """The exported generator as the SDK runs it."""
    from srsdk.backends import open_backend

    return open_backend("onnxruntime", model, color="rgb").run
