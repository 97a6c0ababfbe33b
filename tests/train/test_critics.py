"""Discriminator and critic."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from srsdk.errors import InputError
from srtrain.config import Recipe, recipe_from_dict
from srtrain.models import Critic, Discriminator, build_adversary
from srtrain.models.critic import EqualisedConv2d, EqualisedLinear, PixelNorm

NORMS = ["none", "layer", "instance", "pixel"]


def test_discriminator_is_srgans() -> None:
    model = Discriminator(32, 8, 16)
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convs] == [8, 8, 16, 16, 32, 32, 64, 64]
    assert [c.stride[0] for c in convs] == [1, 2] * 4
    assert sum(isinstance(m, nn.BatchNorm2d) for m in model.modules()) == 7
    assert not any(isinstance(m, nn.Sigmoid) for m in model.modules())
    assert model(torch.rand(3, 3, 32, 32)).shape == (3,)
    with pytest.raises(ValueError, match="multiple of 16"):
        Discriminator(40)


@pytest.mark.parametrize("norm", NORMS)
def test_a_sample_of_the_critic_is_scored_alone(norm: str) -> None:
    """No norm may mix samples, since the gradient penalty is taken for each sample."""
    torch.manual_seed(0)
    critic = Critic(32, 4, 8, norm)
    images = torch.rand(3, 3, 32, 32)
    alone = torch.cat([critic(image[None]) for image in images])
    torch.testing.assert_close(critic(images), alone, rtol=1e-4, atol=1e-5)
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in critic.modules())


def test_minibatch_deviation_sees_the_others() -> None:
    torch.manual_seed(0)
    critic = Critic(16, 4, 8, minibatch_stddev=True)
    images = torch.rand(2, 3, 16, 16)
    critic.get_parameter("end.0.weight").data.mul_(100)
    assert not torch.allclose(critic(images)[:1], critic(images[:1]))
    seen: list[torch.Tensor] = []
    critic.end.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    critic(images)
    features, added = seen[0][:, :-1], seen[0][:, -1:]
    expected = (features.var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
    torch.testing.assert_close(added, expected.expand_as(added))
    critic(images).sum().backward()  # equal samples have no infinite slope
    critic(images[:1].repeat(2, 1, 1, 1)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in critic.end.parameters())


def test_equalised_layers_are_hes_initialisation_at_run_time() -> None:
    torch.manual_seed(0)
    critic = Critic(16, 16, 64, equalised=True)
    convs = [m for m in critic.modules() if isinstance(m, EqualisedConv2d | EqualisedLinear)]
    assert len(convs) == 8
    for layer in convs[1:-1]:
        assert layer.weight.std().item() == pytest.approx(1.0, abs=0.1)
    layer = convs[1]
    x = torch.randn(1, layer.weight.shape[1], 8, 8)
    by_hand = F.conv2d(x, layer.weight * (2 / (9 * 16)) ** 0.5, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), by_hand)


def test_pixel_norm_leaves_unit_length() -> None:
    x = PixelNorm()(torch.randn(2, 5, 3, 3) * 7)
    torch.testing.assert_close(x.square().mean(dim=1), torch.ones(2, 3, 3))


@pytest.mark.parametrize("levels", [2, 3])
def test_fading_of_the_critic_is_exact_at_both_ends(levels: int) -> None:
    torch.manual_seed(0)
    critic = Critic(32, 4, 8, levels=levels)
    images = torch.rand(2, 3, 32, 32)
    critic.set_growth(levels - 1, 0.0)
    grown_at_0 = critic(images)
    critic.set_growth(levels - 2, 1.0)
    assert torch.equal(grown_at_0, critic(F.avg_pool2d(images, 2)))
    critic.set_growth(levels - 1, 1.0)
    whole = critic(images)
    plain = Critic(32, 4, 8)
    plain.load_state_dict(
        {k: v for k, v in critic.state_dict().items() if k in plain.state_dict() and k[0] != "_"},
        strict=False,
    )
    assert torch.equal(whole, plain(images))
    critic.set_growth(levels - 1, 0.5)
    assert not torch.equal(critic(images), whole)


def test_growth_of_the_critic_is_part_of_its_state() -> None:
    critic = Critic(32, 4, 8, levels=2)
    critic.set_growth(1, 0.25)
    copy = Critic(32, 4, 8, levels=2)
    copy.load_state_dict(critic.state_dict())
    assert (copy.level, copy.alpha) == (1, 0.25)
    for level, alpha in ((2, 1.0), (-1, 1.0), (0, 1.5)):
        with pytest.raises(ValueError, match="growth"):
            critic.set_growth(level, alpha)


@pytest.mark.parametrize(("side", "levels"), [(9, 1), (34, 1), (8, 2), (2, 1)])
def test_critic_refuses_what_it_cannot_halve(side: int, levels: int) -> None:
    with pytest.raises(ValueError, match="halved"):
        Critic(side, 4, levels=levels)


def test_recipes_build_their_adversary() -> None:
    def recipe(loss: str, architecture: str = "srresnet", patch: int = 8, **grow: int) -> Recipe:
        return recipe_from_dict(
            {
                "name": "r",
                "model": {"architecture": architecture},
                "data": {"lr_patch": patch},
                "loss": {"mse": 1.0, loss: 1.0},
                "adversary": {"features": 4, "dense": 8},
                "grow": grow,
            }
        )

    assert isinstance(build_adversary(recipe("nsgan")), Discriminator)
    assert isinstance(build_adversary(recipe("minimax")), Discriminator)
    critic = build_adversary(recipe("wgan_gp", "srpggan"))
    assert isinstance(critic, Critic)
    assert len(critic.entries) == 2
    assert len(build_adversary(recipe("wgan_gp")).entries) == 1  # type: ignore[arg-type]
    with pytest.raises(InputError, match="cannot grow"):
        build_adversary(recipe("nsgan", "srpggan"))
    with pytest.raises(InputError, match=r"grow\.start is 3"):
        build_adversary(recipe("wgan_gp", "srpggan", start=3))
    with pytest.raises(InputError, match=r"lr_patch \* model\.scale"):
        build_adversary(recipe("nsgan", patch=9))
    bad = recipe("wgan_gp")
    bad = dataclasses.replace(bad, adversary=dataclasses.replace(bad.adversary, norm="batch"))
    with pytest.raises(InputError, match="unknown norm"):
        build_adversary(bad)
