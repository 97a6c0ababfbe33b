"""Growing: exact at both ends, saved in the checkpoint, never exported half way."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from typer.testing import CliRunner

from srexport.cli import app
from srexport.source import fold
from srsdk.errors import InputError
from srtrain.config import recipe_from_dict
from srtrain.ema import Ema
from srtrain.loop import run
from srtrain.models import SRPGGAN, SRResNet
from tests.train.test_models import randomise


def grown(scale: int, blocks: int = 1) -> SRPGGAN:
    model = SRPGGAN(scale, 64 if scale == 8 else 16, blocks)
    randomise(model)
    return model


@pytest.mark.parametrize(("scale", "level"), [(4, 2), (8, 2), (8, 3)])
def test_fading_is_exact_at_both_ends(scale: int, level: int) -> None:
    model, lr = grown(scale), torch.rand(2, 3, 7, 6)
    with torch.no_grad():
        model.set_growth(level - 1, 1.0)
        small = model(lr)
        model.set_growth(level, 0.0)
        at_0 = model(lr)
        assert torch.equal(at_0, F.interpolate(small, scale_factor=2, mode="nearest"))
        model.set_growth(level, 1.0)
        at_1 = model(lr)
        assert at_1.shape == (2, 3, 7 * 2**level, 6 * 2**level)
        model.set_growth(level, 0.25)
        torch.testing.assert_close(model(lr), 0.25 * at_1 + 0.75 * at_0)


@pytest.mark.parametrize("scale", [4, 8])
def test_the_grown_network_is_an_srresnet(scale: int) -> None:
    model, lr = grown(scale), torch.rand(1, 3, 6, 5)
    plain = SRResNet(scale, 64 if scale == 8 else 16, 1).eval()
    names = plain.state_dict().keys()
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if k in names})
    with torch.no_grad():
        assert torch.equal(model(lr), plain(lr))


@pytest.mark.parametrize("level", [1, 2, 3])
def test_every_level_starts_as_a_smooth_enlargement(level: int) -> None:
    model = SRPGGAN(8, 64, 1).eval()
    model.set_growth(level, 1.0)
    y = torch.linspace(0, 1, 12)[:, None].expand(12, 12)
    lr = torch.stack([y, y.T, (y + y.T) / 2])[None]
    sr = model(lr)
    expected = F.interpolate(lr, scale_factor=2**level, mode="bilinear")
    inside = slice(2 * 2**level, -2 * 2**level)
    torch.testing.assert_close(
        sr[..., inside, inside], expected[..., inside, inside], atol=2e-3, rtol=0
    )


def test_layers_in_use_are_trainable_while_fading() -> None:
    model = grown(8)
    model.set_growth(2, 0.5)
    model(torch.rand(1, 3, 5, 5)).sum().backward()
    idle = {n.split(".")[0] + "." + n.split(".")[1] for n, p in model.named_parameters()
            if p.grad is None}  # fmt: skip
    assert idle == {"stages.2", "out.weight", "out.bias"}


def test_growth_is_part_of_the_state_and_of_copies() -> None:
    model = grown(4)
    model.set_growth(2, 0.5)
    other = SRPGGAN(4, 16, 1)
    other.load_state_dict(model.state_dict())
    assert (other.level, other.alpha, other.grown) == (2, 0.5, False)
    assert copy.deepcopy(model).alpha == 0.5
    ema = Ema(model, 0.5)
    ema.update(model, 3)  # state that is no tensor is left alone
    for level, alpha in ((0, 1.0), (3, 1.0), (1, -0.1)):
        with pytest.raises(ValueError, match="growth"):
            model.set_growth(level, alpha)


def test_export_refuses_a_growing_network() -> None:
    model = grown(4)
    assert len(fold(model)) > 0
    for level, alpha in ((1, 1.0), (2, 0.99)):
        model.set_growth(level, alpha)
        with pytest.raises(InputError, match="still growing"):
            fold(model)


def test_starting_from_an_srresnet_of_the_same_scale() -> None:
    start = SRResNet(4, 16, 2)
    randomise(start)
    model = SRPGGAN(4, 16, 2).eval()
    model.start_from(start)
    lr = torch.rand(1, 3, 6, 6)
    with torch.no_grad():
        assert torch.equal(model(lr), start(lr))


def test_starting_from_a_smaller_srresnet() -> None:
    start = SRResNet(4, 64, 1).eval()
    model = SRPGGAN(8, 64, 1).eval()
    with torch.no_grad():
        start.out.weight.add_(torch.randn_like(start.out.weight) * 1e-4)
        model.start_from(start)
        lr = torch.rand(1, 3, 12, 12)
        model.set_growth(2, 1.0)
        assert torch.equal(model(lr), start(lr))
        model.set_growth(3, 1.0)
        expected = F.interpolate(start(lr), scale_factor=2, mode="bilinear")
        inside = slice(16, -16)
        torch.testing.assert_close(
            model(lr)[..., inside, inside], expected[..., inside, inside], atol=0.05, rtol=0
        )


def test_starts_that_do_not_fit() -> None:
    for start in (SRResNet(8, 64, 1), SRResNet(4, 16, 1, "subpixel")):
        with pytest.raises(InputError, match="starts from"):
            SRPGGAN(4, 16, 1).start_from(start)
    with pytest.raises(InputError, match="width"):
        SRPGGAN(4, 16, 1).start_from(SRResNet(4, 32, 1))
    with pytest.raises(InputError, match="blocks"):
        SRPGGAN(4, 16, 2).start_from(SRResNet(4, 16, 1))


def test_a_trained_network_is_exported_and_a_growing_one_is_not(data: Path, tmp_path: Path) -> None:
    recipe = recipe_from_dict(
        {
            "name": "tiny-srpggan",
            "model": {"architecture": "srpggan", "features": 16, "blocks": 1},
            "data": {"train": ["train-*.tar"], "dev": ["dev-*.tar"], "hr_side": 64, "lr_patch": 8},
            "loss": {"mse": 1.0, "wgan_gp": 1e-3},
            "adversary": {"features": 2, "dense": 4},
            "run": {"steps": 2, "batch": 2},
        }
    )
    saved = run(recipe, data, tmp_path)
    target = tmp_path / "m.onnx"
    command = ["onnx", str(tmp_path / "last.pt"), "-o", str(target), "--zoo"]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    card = target.with_suffix(".md").read_text()
    assert "srpggan, x4" in card
    assert "1 mse + 0.001 wgan_gp" in card
    growing = saved.build()
    assert isinstance(growing, SRPGGAN)
    growing.set_growth(2, 0.5)
    dataclasses.replace(saved, ema=growing.state_dict()).save(tmp_path / "last.pt")
    target.unlink()
    with pytest.raises(InputError, match="still growing"):
        CliRunner().invoke(app, command, catch_exceptions=False)
    assert not target.exists()
