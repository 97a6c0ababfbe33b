"""The loss against flicker; mixing generators, training a grid out of one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from srsdk.errors import InputError
from srtrain.checkpoint import Checkpoint
from srtrain.config import Recipe, overridden, recipe_from_dict
from srtrain.loop import run
from srtrain.losses.grid import flicker_loss
from srtrain.models import build_generator
from srtrain.refine import interpolate, without_grid


def checkpoint(recipe: Recipe, seed: int) -> Checkpoint:
    torch.manual_seed(seed)
    state = build_generator(recipe.model).state_dict()
    return Checkpoint(recipe, 10, 1.0, state, state, {}, [])


def test_flicker_loss_is_of_the_change_alone() -> None:
    hr = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    assert flicker_loss(hr + 0.2, hr) == pytest.approx(0, abs=1e-6)
    sr = hr.clone()
    sr[2:] += 0.1
    assert flicker_loss(sr, hr) == pytest.approx(0.1, rel=1e-4)


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
def test_a_grid_is_trained_out_and_the_picture_stays(
    architecture: str, data: Path, tmp_path: Path
) -> None:
    recipe = recipe_from_dict(
        {
            "name": "n-x4",
            "model": {"architecture": architecture, "features": 16, "blocks": 1},
            "data": {"train": ["train-b-*.tar"], "dev": ["dev-a-*.tar"]},
        }
    )
    made = checkpoint(recipe, 3)
    key = "out.bias" if architecture == "edge" else "stages.0.conv.bias"
    made.ema[key] += 0.02 * torch.randn(made.ema[key].shape)
    path = tmp_path / "gridded.pt"
    made.save(path)
    config = ["data.clips=16", "data.workers=1", "data.lr_patch=12", "run.batch=4"]
    without = overridden(without_grid(path, steps=60, rate=4e-3), config)
    last = run(without, data, tmp_path / "run")
    flat = torch.full((1, 3, 24, 24), 0.5)
    before, after = (one.build()(flat)[0].detach() for one in (made, last))
    cells = [image[:, 48:52, 48:52] for image in (before, after)]
    grids = [float((cell - cell.mean(dim=(1, 2), keepdim=True)).abs().max()) for cell in cells]
    assert grids[1] < 0.5 * grids[0]
    assert (after - before).abs().mean() < grids[0]
