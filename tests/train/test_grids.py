"""The grid of sub-pixels: its loss, its score, and that no shipped generator leaves one."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from srsdk import Upscaler, zoo
from srtrain.degrade import Pixels, clean
from srtrain.grids import grid_ratio
from srtrain.losses.grid import grid_loss

CLIP = Path(__file__).parents[2] / "examples" / "portrait.mp4"


def test_grid_loss_sees_a_grid_in_smooth_areas_and_no_blur() -> None:
    flat = torch.full((2, 3, 64, 64), 0.5)
    pattern = torch.zeros(4, 4)
    pattern[1, 2] = 4 / 255
    gridded = flat + pattern.repeat(16, 16)
    assert grid_loss(flat, flat, 4) == 0
    assert grid_loss(flat + 0.1, flat, 4) == pytest.approx(0, abs=1e-6)  # a tint is no grid
    deviation = pattern - pattern.mean()
    expected = float(deviation.abs().mean())  # but for a rim of two pixels
    assert float(grid_loss(gridded, flat, 4)) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("scale", [2, 3, 8])
def test_grid_loss_knows_every_scale(scale: int) -> None:
    flat = torch.full((1, 3, 20 * scale, 20 * scale), 0.5)
    pattern = torch.zeros(scale, scale)
    pattern[0, 0] = 4 / 255
    expected = float((pattern - pattern.mean()).abs().mean())
    gridded = flat + pattern.repeat(20, 20)
    assert float(grid_loss(gridded, flat, scale)) == pytest.approx(expected, rel=0.03)


def test_grid_loss_sees_a_grid_that_changes_its_sign_from_slope_to_slope() -> None:
    """A generator drew it on defocused faces: over the whole picture it averages to nothing."""
    slope = torch.linspace(-0.3, 0.3, 64)
    hr = (0.5 + slope.abs()).expand(1, 3, 64, 64)
    pattern = torch.zeros(4, 4)
    pattern[1, 2] = 8 / 255
    pattern -= pattern.mean()
    signed = pattern.repeat(16, 16) * slope.sign()
    assert float(grid_loss(hr + signed, hr, 4)) > 0.7 * float(pattern.abs().mean())
    ramp = hr + 0.2 * slope
    assert float(grid_loss(ramp, hr, 4)) < 0.02 * float((ramp - hr).abs().mean())


def test_grid_ratio_is_what_the_pattern_says() -> None:
    """On a plain picture the pattern's variance, over a quarter of a grey level."""
    hr = np.full((2, 96, 96, 3), 100, np.uint8)
    pattern = np.zeros((4, 4), np.uint8)
    pattern[2, 1] = 3
    sr = hr + np.tile(pattern, (24, 24))[None, :, :, None]
    expected = (pattern.var() + 0.0625) / 0.0625
    assert grid_ratio(sr, hr, 4) == pytest.approx(expected, rel=0.03)
    assert grid_ratio(hr, hr, 4) == 1


def faces(scale: int, defocus: float) -> Pixels:
    """Frames of the example's talking head, reduced until their own pixels are sharp."""
    with av.open(str(CLIP)) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)][::60]
    side = 32 * scale
    cut = [frame[: min(frame.shape[:2]), : min(frame.shape[:2])] for frame in frames]
    small = [cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA) for frame in cut]
    return np.stack([cv2.GaussianBlur(f, (0, 0), defocus) if defocus else f for f in small])


@pytest.mark.parametrize("model", [model.name for model in zoo.models()])
def test_no_shipped_generator_leaves_a_grid(model: str) -> None:
    """None on what it was made for, and hardly any out of focus.

    There an eye begins to see dots at about 4.
    """
    with Upscaler(model, color="rgb", precision="fp32") as upscaler:
        scale = upscaler.scale
        assert ratio(upscaler, faces(scale, 0)) <= 1.1
        assert ratio(upscaler, faces(scale, scale)) <= 3


def ratio(upscaler: Upscaler, hr: Pixels) -> float:
    sr = np.stack([upscaler(clean(face, upscaler.scale)) for face in hr])
    return grid_ratio(sr, hr, upscaler.scale)
