"""Losses and scores of grid and flicker; mixing generators, levelling a grid."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from srsdk.errors import InputError
from srtrain.checkpoint import Checkpoint
from srtrain.config import Recipe, recipe_from_dict
from srtrain.losses.grid import flicker_loss, grid_loss
from srtrain.models import build_generator
from srtrain.refine import interpolate, level_grid
from srtrain.spectra import grid_ratio

from .conftest import picture


def checkpoint(recipe: Recipe, seed: int) -> Checkpoint:
    torch.manual_seed(seed)
    state = build_generator(recipe.model).state_dict()
    return Checkpoint(recipe, 10, 1.0, state, state, {}, [])


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


def test_flicker_loss_is_of_the_change_alone() -> None:
    hr = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    assert flicker_loss(hr + 0.2, hr) == pytest.approx(0, abs=1e-6)
    sr = hr.clone()
    sr[2:] += 0.1
    assert flicker_loss(sr, hr) == pytest.approx(0.1, rel=1e-4)


def test_grid_ratio_is_one_without_a_grid_and_grows_with_it() -> None:
    hr = np.stack([np.asarray(picture(n, 64)) for n in range(12)])
    assert grid_ratio(hr, hr) == 1
    for period in (2, 4, 8):
        grid = np.zeros((64, 64, 1), np.uint8)
        grid[::period, ::period] = 3
        assert grid_ratio(np.clip(hr, 0, 252) + grid, np.clip(hr, 0, 252)) > 1.5


def test_a_mix_has_both_ends_and_refuses_strangers(recipe: Recipe) -> None:
    first, second = checkpoint(recipe, 1), checkpoint(recipe, 2)
    name = "convs.0.main.weight"
    for share, expected in ((0.0, first.ema[name]), (1.0, second.ema[name])):
        torch.testing.assert_close(interpolate(first, second, share).ema[name], expected)
    middle = interpolate(first, second, 0.25)
    torch.testing.assert_close(middle.ema[name], 0.75 * first.ema[name] + 0.25 * second.ema[name])
    assert "0.25" in middle.history[-1]["recipe"]
    with pytest.raises(InputError, match="0 to 1"):
        interpolate(first, second, 1.5)
    wide = dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, features=16))
    with pytest.raises(InputError, match="other networks"):
        interpolate(checkpoint(wide, 1), second, 0.5)


@pytest.mark.parametrize("architecture", ["edge", "srresnet"])
def test_levelling_takes_a_grid_out(architecture: str, tmp_path: Path) -> None:
    recipe = recipe_from_dict(
        {"name": "n-x4", "model": {"architecture": architecture, "features": 16, "blocks": 1}}
    )
    made = checkpoint(recipe, 3)
    key = "out.bias" if architecture == "edge" else "stages.0.conv.bias"
    made.ema[key] += 0.01 * torch.randn(made.ema[key].shape)
    faces = np.stack([np.asarray(picture(n, 16)) for n in range(6)])
    levelled = level_grid(made, faces, iterations=10)
    flat = torch.full((1, 3, 24, 24), 0.5)
    grids = []
    for one in (made, levelled):
        with torch.inference_mode():
            cell = one.build()(flat)[0, :, 48:52, 48:52]
        grids.append(float((cell - cell.mean(dim=(1, 2), keepdim=True)).abs().max()))
    assert grids[1] < 0.35 * grids[0]
    assert levelled.build().scale == 4
