"""A trained checkpoint, however little."""

from __future__ import annotations

from pathlib import Path

import pytest

from srtrain.config import recipe_from_dict
from srtrain.loop import run
from tests.train.conftest import write_shard


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiny")
    write_shard(root / "train-a-00.tar", 0, 4)
    write_shard(root / "dev-a-00.tar", 200, 2)
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
    run(recipe, root, root / "run")
    return root / "run" / "last.pt"
