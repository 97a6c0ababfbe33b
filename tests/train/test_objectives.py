"""Slow: each objective, for a few hundred steps, improves the generator on its start."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from srtrain.config import recipe_from_dict
from srtrain.loop import evaluate, load_dev, run
from srtrain.start import first_weights

from .test_losses import short_state

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

OBJECTIVES: dict[str, dict[str, Any]] = {
    "l1": {"loss": {"l1": 1.0}},
    "mse": {"loss": {"mse": 1.0}},
    "mix": {"loss": {"mse": 1.0, "vgg": 1e-6}},
    "nsgan": {"loss": {"mse": 1.0, "nsgan": 1e-4}},
    "minimax": {"loss": {"mse": 1.0, "minimax": 1e-4}},
    "wgan_gp": {"loss": {"mse": 1.0, "wgan_gp": 1e-4}, "adversary": {"steps": 3}},
    "srpggan": {
        "model": {"architecture": "srpggan"},
        "loss": {"mse": 1.0, "wgan_gp": 1e-4},
        "adversary": {"minibatch_stddev": True, "equalised": True},
    },
    "camera": {"loss": {"mse": 1.0}, "data": {"degradation": "camera", "workers": 2}},
    "bf16": {"loss": {"mse": 1.0}, "run": {"precision": "bf16"}},
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_training_improves_on_the_start(name: str, data: Path, tmp_path: Path) -> None:
    torch.save(short_state(), tmp_path / "vgg.pt")
    tables: dict[str, dict[str, Any]] = {
        "model": {"architecture": "srresnet", "features": 16, "blocks": 1},
        "data": {"train": ["train-*.tar"], "dev": ["dev-*.tar"], "hr_side": 64, "lr_patch": 8},
        "vgg": {"weights": str(tmp_path / "vgg.pt"), "layers": ["conv2_2"]},
        "adversary": {"features": 8, "dense": 32},
        "run": {
            "steps": 200, "batch": 8, "learning_rate": 5e-4, "final_rate": 0.05, "ema": 0.98,
            "freeze_norm_at": 0.7,
        },
    }  # fmt: skip
    for section, values in OBJECTIVES[name].items():
        tables[section] = {**tables.get(section, {}), **values}
    recipe = recipe_from_dict({"name": name, **tables})
    dev = load_dev(recipe, data)
    if name == "camera":  # judged on what it is trained for
        from srtrain.scoring import load_sets

        dev = load_sets(data, recipe.data.dev, 4, 64, camera=True)
    torch.manual_seed(recipe.run.seed)
    start = evaluate(first_weights(recipe)[0].eval(), dev)["dev-a"]
    trained = run(recipe, data, tmp_path / "run").build()
    end = evaluate(trained, dev)["dev-a"]
    assert end > start + 0.5, f"{start:.2f} dB to {end:.2f} dB"


def test_a_compiled_generator_trains_the_same(data: Path, tmp_path: Path) -> None:
    recipe = recipe_from_dict(
        {
            "name": "compiled",
            "model": {"architecture": "edge", "features": 8, "blocks": 1},
            "data": {"train": ["train-*.tar"], "dev": ["dev-*.tar"], "hr_side": 64, "lr_patch": 8},
            "loss": {"mse": 1.0},
            "run": {"steps": 5, "batch": 2, "learning_rate": 1e-4},
        }
    )
    plain = run(recipe, data, tmp_path / "plain")
    compiled = dataclasses.replace(recipe, run=dataclasses.replace(recipe.run, compile=True))
    fast = run(compiled, data, tmp_path / "fast")
    for name, value in plain.generator.items():
        torch.testing.assert_close(fast.generator[name], value, rtol=1e-3, atol=1e-5)
