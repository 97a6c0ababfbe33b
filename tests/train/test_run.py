"""Running recipes: resuming, budgets, errors."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from srsdk.errors import InputError
from srtrain.checkpoint import Checkpoint
from srtrain.config import Recipe, load_recipe
from srtrain.ema import Ema
from srtrain.loop import TrainingDivergedError, evaluate, load_dev, run
from srtrain.models import SRResNet


def changed(recipe: Recipe, **values: object) -> Recipe:
    return dataclasses.replace(recipe, run=dataclasses.replace(recipe.run, **values))  # type: ignore[arg-type]


def test_resuming_continues_bit_for_bit(recipe: Recipe, data: Path, tmp_path: Path) -> None:
    whole = run(recipe, data, tmp_path / "whole")

    class StopError(Exception):
        pass

    def stop(step: int, done: float, loss: float) -> None:
        if step == 5:  # the last checkpoint is from step 3
            raise StopError

    with pytest.raises(StopError):
        run(recipe, data, tmp_path / "parts", on_step=stop)
    assert Checkpoint.load(tmp_path / "parts" / "last.pt").step == 3
    resumed = run(recipe, data, tmp_path / "parts")
    assert resumed.step == whole.step == 8
    for name, value in whole.generator.items():
        assert torch.equal(value, resumed.generator[name]), name
    for name, value in whole.ema.items():
        assert torch.equal(value, resumed.ema[name]), name
    assert resumed.scores == whole.scores


def test_training_improves_on_the_start(recipe: Recipe, data: Path, tmp_path: Path) -> None:
    before = run(changed(recipe, steps=1, learning_rate=1e-9), data, tmp_path / "a").scores
    after = run(
        changed(recipe, steps=300, learning_rate=4e-3, ema=0.9), data, tmp_path / "b"
    ).scores
    assert {"psnr_rgb/dev-a", "ssim/dev-a", "spectrum/dev-a", "grid/dev-a"} <= set(after)
    assert after["psnr_rgb/dev-a"] > before["psnr_rgb/dev-a"] + 0.2


def test_a_budget_ends_the_run_and_its_schedule(recipe: Recipe, data: Path, tmp_path: Path) -> None:
    seen: list[float] = []
    last = run(
        changed(recipe, steps=10**9),
        data,
        tmp_path,
        budget=1.0,
        on_step=lambda step, done, loss: seen.append(done),
    )
    assert seen[-1] >= 1
    assert seen == sorted(seen)
    assert last.seconds == pytest.approx(1.0, abs=2.0)
    assert Checkpoint.load(tmp_path / "last.pt").step == last.step


def test_the_second_stage_starts_from_the_first(recipe: Recipe, data: Path, tmp_path: Path) -> None:
    model = dataclasses.replace(
        recipe.model, architecture="srresnet", features=16, blocks=1, tail="subpixel"
    )
    first = dataclasses.replace(recipe, model=model)
    start = run(first, data, tmp_path / "start")
    second = dataclasses.replace(
        changed(
            recipe, steps=1, learning_rate=1e-12, start_from=str(tmp_path / "start" / "last.pt")
        ),
        name="second",
        model=dataclasses.replace(model, tail="image"),
    )
    grown = run(second, data, tmp_path / "grown")
    assert isinstance(grown.build(), SRResNet)
    assert grown.scores["psnr_rgb/dev-a"] == pytest.approx(start.scores["psnr_rgb/dev-a"], abs=0.1)
    assert [part["recipe"] for part in grown.history] == [recipe.name]
    assert grown.history[0]["steps"] == 8


def test_frozen_norm_keeps_its_statistics(recipe: Recipe, data: Path, tmp_path: Path) -> None:
    model = dataclasses.replace(recipe.model, architecture="srresnet", features=16, blocks=1)
    frozen = dataclasses.replace(changed(recipe, freeze_norm_at=0.0), model=model)
    state = run(frozen, data, tmp_path).generator
    means = [value for name, value in state.items() if name.endswith("running_mean")]
    assert means
    assert all(torch.equal(mean, torch.zeros_like(mean)) for mean in means)


def test_divergence_stops_and_says_where(recipe: Recipe, data: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingDivergedError, match="step"):
        run(changed(recipe, learning_rate=1e30), data, tmp_path)


def test_evaluation_is_of_rounded_pixels(recipe: Recipe, data: Path) -> None:
    class Nearest(torch.nn.Conv2d):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            return lr.repeat_interleave(4, 2).repeat_interleave(4, 3) + 0.4 / 255

    dev = load_dev(recipe, data)
    from srtrain.metrics import mean_psnr

    expected = mean_psnr(lambda lr: lr.repeat(4, axis=1).repeat(4, axis=2), dev["dev-a"])
    assert evaluate(Nearest(3, 3, 1), dev)["dev-a"] == pytest.approx(expected)


def test_ema_trails_and_copies_counters() -> None:
    source = torch.nn.BatchNorm2d(2)
    ema = Ema(source, 0.5)
    with torch.no_grad():
        source.weight.fill_(3.0)
    assert source.num_batches_tracked is not None
    source.num_batches_tracked.fill_(7)
    ema.update(source, 1000)
    torch.testing.assert_close(ema.module.weight.data, torch.full((2,), 2.0))
    assert int(ema.module.num_batches_tracked) == 7  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 not a zip"])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a checkpoint"):
        Checkpoint.load(path)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "x.pt")
    with pytest.raises(InputError, match="not a checkpoint"):
        Checkpoint.load(tmp_path / "x.pt")
    with pytest.raises(InputError, match="cannot read"):
        Checkpoint.load(tmp_path / "missing.pt")


def test_overrides_and_their_errors(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text("[run]\nsteps = 5\n[loss]\nl1 = 1\n")
    recipe = load_recipe(path, ["run.batch=3", "model.tail=subpixel", "data.train=['a','b']"])
    assert (recipe.name, recipe.run.batch, recipe.model.tail) == ("r", 3, "subpixel")
    assert recipe.data.train == ("a", "b")
    assert recipe.loss.l1 == 1.0
    for override, message in (
        ("run.stepz=3", "run.steps"),
        ("run.steps=many", "run.steps is 'many', expected int"),
        ("model.tail=tails", "expected one of 'image', 'subpixel'"),
        ("run.steps", "section.key=value"),
        ("modle.scale=2", "did you mean 'model'"),
    ):
        with pytest.raises(InputError, match=message):
            load_recipe(path, [override])
    with pytest.raises(InputError, match="cannot read"):
        load_recipe(tmp_path / "none.toml")
    path.write_text("= not toml")
    with pytest.raises(InputError, match="not TOML"):
        load_recipe(path)
