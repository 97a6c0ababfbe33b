"""GAN recipes: resuming, growing, transfer, what stops them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from srsdk.errors import InputError
from srtrain.checkpoint import Checkpoint
from srtrain.config import Recipe, recipe_from_dict
from srtrain.loop import TrainingDivergedError, run
from srtrain.models import SRPGGAN
from srtrain.schedule import growth

from .test_losses import short_state


def gan(objective: str, architecture: str = "srresnet", **sections: dict[str, Any]) -> Recipe:
    tables: dict[str, Any] = {
        "name": f"tiny-{objective}",
        "model": {"architecture": architecture, "features": 16, "blocks": 1},
        "data": {
            "train": ["train-*.tar"], "dev": ["dev-*.tar"], "hr_side": 64, "lr_patch": 8,
        },
        "loss": {"mse": 1.0, objective: 1e-3},
        "adversary": {"features": 4, "dense": 8},
        "run": {"steps": 6, "batch": 2, "learning_rate": 1e-3, "checkpoint_every": 3},
    }  # fmt: skip
    for name, values in sections.items():
        tables.setdefault(name, {}).update(values)
    return recipe_from_dict(tables)


RECIPES = {
    "nsgan": gan("nsgan"),
    "minimax": gan("minimax"),
    "wgan_gp": gan("wgan_gp", adversary={"steps": 3, "beta1": 0.0, "norm": "layer"}),
    "srpggan": gan("wgan_gp", "srpggan", adversary={"minibatch_stddev": True, "equalised": True}),
}


class StopError(Exception):
    pass


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@pytest.mark.parametrize("name", RECIPES)
def test_resuming_a_gan_continues_bit_for_bit(name: str, data: Path, tmp_path: Path) -> None:
    seen: list[dict[str, float]] = []
    whole = run(RECIPES[name], data, tmp_path / "whole", on_step=lambda *a: seen.append(dict(a[2])))
    assert [set(losses) for losses in seen] == [{"critic", "content", "adversarial"}] * 6

    def stop(step: int, done: float, losses: object) -> None:
        if step == 5:  # the last checkpoint is from step 3
            raise StopError

    with pytest.raises(StopError):
        run(RECIPES[name], data, tmp_path / "parts", on_step=stop)
    middle = Checkpoint.load(tmp_path / "parts" / "last.pt")
    assert middle.step == 3
    # more threads must not change what is drawn
    threads = dataclasses.replace(
        RECIPES[name], data=dataclasses.replace(RECIPES[name].data, workers=2)
    )
    resumed = run(threads, data, tmp_path / "parts")
    for part in ("generator", "ema", "optimiser", "critic", "critic_optimiser", "scores"):
        assert same(getattr(whole, part), getattr(resumed, part)), part
        assert not same(getattr(middle, part), getattr(resumed, part)), part


def test_growing_passes_all_states_and_saves_them(data: Path, tmp_path: Path) -> None:
    recipe = gan("wgan_gp", "srpggan", run={"steps": 8, "checkpoint_every": 1})
    states = []

    def look(step: int, done: float, losses: object) -> None:
        if step > 1:  # the checkpoint is written behind this call
            states.append(Checkpoint.load(tmp_path / "last.pt").build())

    last = run(recipe, data, tmp_path, on_step=look).build()
    assert isinstance(last, SRPGGAN)
    assert last.grown
    seen = [(s.level, s.alpha) for s in states if isinstance(s, SRPGGAN)]
    assert seen == [(1, 1.0)] * 4 + [(2, 0.0), (2, 0.5), (2, 1.0)]
    critic = Checkpoint.load(tmp_path / "last.pt").critic
    assert critic is not None
    assert critic["_extra_state"] == {"level": 1, "alpha": 1.0}


def test_growth_schedule() -> None:
    assert growth(0.0, 3, 0.5) == (0, 1.0)
    assert growth(0.5, 3, 0.5) == (1, 1.0)
    assert growth(1 / 3 + 1 / 12, 3, 0.5) == (1, pytest.approx(0.5))
    assert growth(1.0, 3, 0.5) == (2, 1.0)
    assert growth(2.5, 2, 0.0) == (1, 1.0)
    assert growth(0.9, 1, 0.5) == (0, 1.0)


def test_x8_grows_through_three_resolutions(data: Path, tmp_path: Path) -> None:
    recipe = gan(
        "wgan_gp", "srpggan",
        model={"scale": 8, "features": 48}, data={"lr_patch": 4},
        run={"steps": 3, "evaluate_every": 1},
    )  # fmt: skip
    last = run(recipe, data, tmp_path).build()
    assert isinstance(last, SRPGGAN)
    assert last.grown
    assert last(torch.rand(1, 3, 4, 4)).shape == (1, 3, 32, 32)


def test_a_gan_starts_from_a_trained_srresnet(data: Path, tmp_path: Path) -> None:
    plain = gan("nsgan", loss={"nsgan": 0.0}, run={"learning_rate": 1e-2})
    start = run(plain, data, tmp_path / "start")
    where = str(tmp_path / "start" / "last.pt")
    for name, recipe in RECIPES.items():
        config = dataclasses.replace(
            recipe.run, start_from=where, steps=1, learning_rate=1e-12, freeze_norm_at=0.0
        )
        last = run(dataclasses.replace(recipe, run=config), data, tmp_path / name)
        assert [part["recipe"] for part in last.history] == [plain.name]
        for key, value in start.ema.items():
            if value.is_floating_point() and "running" not in key:
                torch.testing.assert_close(last.ema[key], value, atol=1e-6, rtol=0)


def test_starts_that_do_not_fit_are_refused(data: Path, tmp_path: Path) -> None:
    plain = gan("nsgan", loss={"nsgan": 0.0}, run={"steps": 1})
    run(plain, data, tmp_path / "start")
    where = str(tmp_path / "start" / "last.pt")
    for model in ({"features": 24}, {"architecture": "edge"}, {"blocks": 2}):
        recipe = gan("nsgan", model=model, run={"start_from": where})
        with pytest.raises(InputError, match=r"cannot start tiny-nsgan from .*last\.pt"):
            run(recipe, data, tmp_path / "other")


def test_critic_steps_and_their_norms_are_counted(data: Path, tmp_path: Path) -> None:
    recipe = gan("wgan_gp", adversary={"steps": 3}, run={"steps": 2})
    last = run(recipe, data, tmp_path)
    assert last.critic_optimiser is not None
    assert {float(s["step"]) for s in last.critic_optimiser["state"].values()} == {6.0}
    assert {float(s["step"]) for s in last.optimiser["state"].values()} == {2.0}


def test_gradients_of_the_generator_stay_out_of_the_critic(data: Path, tmp_path: Path) -> None:
    """With a critic that does not learn, training the generator leaves it as it was."""
    recipe = gan("wgan_gp", loss={"wgan_gp": 1e3}, adversary={"learning_rate": 1e-30})
    torch.manual_seed(recipe.run.seed)
    first = run(dataclasses.replace(recipe, run=dataclasses.replace(recipe.run, steps=1)), data,
                tmp_path / "a")  # fmt: skip
    last = run(recipe, data, tmp_path / "b")
    assert first.critic is not None
    assert last.critic is not None
    assert same(first.critic, last.critic)
    assert not same(first.generator, last.generator)


def test_the_mix_loss_trains(data: Path, tmp_path: Path) -> None:
    torch.save(short_state(), tmp_path / "vgg.pt")
    vgg = {"weights": str(tmp_path / "vgg.pt"), "layers": ["conv2_1"]}
    run(gan("wgan_gp", loss={"vgg": 1e-3}, vgg=vgg, run={"steps": 2}), data, tmp_path / "run")
    with pytest.raises(InputError, match=r"--set vgg\.weights"):
        run(gan("wgan_gp", loss={"vgg": 1e-3}), data, tmp_path / "none")


def test_divergence_names_the_loss_and_the_step(data: Path, tmp_path: Path) -> None:
    with pytest.raises(
        TrainingDivergedError, match=r"(critic|adversarial) loss is (nan|inf|-inf) at step \d"
    ):
        run(gan("wgan_gp", adversary={"learning_rate": 1e25}), data, tmp_path)


def test_weights_that_are_not_finite_never_replace_a_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = gan("nsgan", loss={"nsgan": 0.0})
    good = run(recipe, data, tmp_path)

    step = torch.optim.Adam.step

    def poison(self: torch.optim.Adam, closure: Any = None) -> Any:
        result = step(self, closure)
        with torch.no_grad():
            self.param_groups[0]["params"][0].fill_(float("nan"))
        return result

    monkeypatch.setattr(torch.optim.Adam, "step", poison)
    longer = dataclasses.replace(recipe, run=dataclasses.replace(recipe.run, steps=7))
    with pytest.raises(TrainingDivergedError, match=r"weight .* is not finite at step 7"):
        run(longer, data, tmp_path)
    assert same(Checkpoint.load(tmp_path / "last.pt").generator, good.generator)


def test_a_run_without_critic_is_not_resumed_with_one(data: Path, tmp_path: Path) -> None:
    run(gan("nsgan", loss={"nsgan": 0.0}, run={"steps": 1}), data, tmp_path)
    with pytest.raises(InputError, match="no critic"):
        run(gan("nsgan"), data, tmp_path)
    run(gan("nsgan", run={"steps": 1}), data, tmp_path / "gan")
    with pytest.raises(InputError, match="a critic"):
        run(gan("nsgan", loss={"nsgan": 0.0}), data, tmp_path / "gan")


@pytest.mark.parametrize("changes", [{"model": {"features": 24}}, {"adversary": {"features": 6}}])
def test_a_run_is_not_resumed_with_other_networks(
    changes: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    run(gan("nsgan", run={"steps": 1}), data, tmp_path)
    with pytest.raises(InputError, match="other networks; choose another --output"):
        run(gan("nsgan", **changes), data, tmp_path)


@pytest.mark.parametrize("name", ["nsgan", "srpggan"])
def test_bf16_trains(name: str, data: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(RECIPES[name].run, precision="bf16", steps=4)
    last = run(dataclasses.replace(RECIPES[name], run=config), data, tmp_path)
    assert all(v.dtype != torch.bfloat16 for v in last.generator.values() if hasattr(v, "dtype"))


def test_tensorboard_holds_scalars_and_pictures(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recipe = gan("wgan_gp", run={"steps": 2, "evaluate_every": 2})
    run(recipe, data, tmp_path, tensorboard=True)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {"loss/critic", "loss/content", "loss/adversarial", "psnr_rgb/dev-a"} <= set(
        tags["scalars"]
    )
    assert [event.step for event in events.Scalars("loss/content")] == [1, 2]
    assert tags["images"] == ["faces/dev-a"]


def test_a_checkpoint_of_the_plain_trainer_still_loads(tmp_path: Path) -> None:
    """What was written before there were critics."""
    old = {
        "name": "old", "model": {"architecture": "edge", "scale": 4, "features": 8, "blocks": 1,
        "tail": "image", "tail_kernel": 1, "expansion": 2},
        "data": {"train": ["x"], "dev": ["y"], "hr_side": 128, "lr_patch": 24, "views": 2,
        "zoom": 1.35, "face_size": 0, "terms": "t"}, "loss": {"l1": 1.0, "mse": 0.0},
        "run": {"steps": 10, "batch": 16, "learning_rate": 2e-3, "final_rate": 0.005,
        "warmup": 200, "ema": 0.999, "freeze_norm_at": 1.0, "seed": 0, "checkpoint_every": 5,
        "evaluate_every": 5, "start_from": ""},
    }  # fmt: skip
    from srtrain.models import build_generator

    weights = build_generator(recipe_from_dict(old).model).state_dict()
    torch.save(
        {"recipe": old, "step": 7, "seconds": 1.5, "generator": weights, "ema": weights,
         "optimiser": {}, "history": [], "data": "d", "hardware": "CPU", "scores": {"s": 1.0},
         "format": 1}, tmp_path / "old.pt",
    )  # fmt: skip
    saved = Checkpoint.load(tmp_path / "old.pt")
    assert (saved.step, saved.critic, saved.recipe.loss.l1) == (7, None, 1.0)
    assert saved.build().scale == 4
