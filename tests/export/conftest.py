"""An untrained checkpoint, and a file that only looks like an engine."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from srtrain.checkpoint import Checkpoint
from srtrain.config import recipe_from_dict
from srtrain.models import build_generator
from tests.sdk.tensorrt.stand_in import make_engine


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = recipe_from_dict(
        {
            "name": "tiny-x4",
            "model": {"architecture": "edge", "features": 8, "blocks": 1},
            "data": {
                "train": ["train-*.tar"],
                "dev": ["dev-*.tar"],
                "hr_side": 64,
                "lr_patch": 12,
                "terms": "made up",
            },
            "loss": {"l1": 1.0},
            "run": {"steps": 2, "batch": 2, "learning_rate": 0.05, "ema": 0.1},
        }
    )
    torch.manual_seed(0)
    model = build_generator(recipe.model)
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.1)
    weights = model.state_dict()
    path = tmp_path_factory.mktemp("tiny") / "last.pt"
    Checkpoint(
        recipe,
        step=2,
        seconds=1.0,
        generator=weights,
        ema=weights,
        optimiser={},
        history=[],
        data="train-a-00 (4)",
        hardware="CPU",
        scores={"psnr_rgb/dev-a": 20.0},
    ).save(path)
    return path


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    return make_engine(tmp_path)
