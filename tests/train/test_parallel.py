"""Two processes on the CPU train the same network as one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from srsdk.errors import BackendUnavailableError
from srtrain.checkpoint import Checkpoint
from srtrain.config import load_recipe
from srtrain.loop import run
from srtrain.parallel import Alone, launch

RECIPE = """
[model]
architecture = "edge"
features = 16
blocks = 1

[data]
train = ["train-*.tar"]
dev = ["dev-*.tar"]
hr_side = 64
lr_patch = 8

[loss]
mse = 1.0
{loss}

[adversary]
features = 4
dense = 8
gradient_penalty = 0.0

[run]
steps = 4
batch = 4
learning_rate = 1e-4
precision = "fp32"
checkpoint_every = 2
evaluate_every = 2
"""


def write_recipe(path: Path, loss: str) -> Path:
    path.write_text(RECIPE.format(loss=loss))
    return path


@pytest.mark.parametrize("loss", ["wgan_gp = 1e-3", pytest.param("", marks=pytest.mark.slow)])
def test_two_processes_train_what_one_does(loss: str, data: Path, tmp_path: Path) -> None:
    """The recipes have no batch norm and no random penalty, so only rounding may differ."""
    pytest.importorskip("lightning_fabric")
    recipe = write_recipe(tmp_path / "r.toml", loss)
    one = run(load_recipe(recipe), data, tmp_path / "one")
    subprocess.run(
        [
            sys.executable, "-m", "srtrain.cli", "run", recipe, "--data", data,
            "--output", tmp_path / "two", "--processes", "2", "--threads", "1",
        ],
        check=True, timeout=240, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    two = Checkpoint.load(tmp_path / "two" / "last.pt")
    assert one.step == two.step == 4
    for name, value in one.generator.items():
        torch.testing.assert_close(two.generator[name], value, rtol=1e-3, atol=2e-5)
    assert two.scores["psnr_rgb/dev-a"] == pytest.approx(one.scores["psnr_rgb/dev-a"], abs=0.02)
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["last.pt"]


def test_alone_needs_no_fabric() -> None:
    group, device = launch(1, "cpu")
    assert isinstance(group, Alone)
    assert (device, group.rank, group.count, group.agree(0.5)) == ("cpu", 0, 1, 0.5)


def test_a_missing_fabric_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(BackendUnavailableError, match=r"srsdk\[train\]"):
        launch(2, "cpu")
