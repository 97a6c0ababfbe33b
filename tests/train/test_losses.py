"""Losses, against values and gradients worked out by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srsdk.errors import InputError
from srtrain.config import LossConfig, Recipe, VggConfig, recipe_from_dict
from srtrain.losses import (
    ContentLoss,
    Minimax,
    NonSaturating,
    Objective,
    VggFeatures,
    VggLoss,
    WassersteinGP,
    build_content,
    build_objective,
    gradient_penalty,
    load_vgg,
)
from srtrain.losses.content import at_phases
from srtrain.losses.vgg import LAYERS

RANDOM = torch.Generator()


class Scores(nn.Module):
    """A critic that returns an image's mean as its score."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1).mean(dim=1)


def constant(*values: float) -> Tensor:
    return torch.tensor(values)[:, None, None, None].expand(-1, 3, 4, 4)


def test_nsgan_is_binary_cross_entropy() -> None:
    real, fake = constant(2.0, -1.0, 30.0), constant(0.5, -3.0, 90.0)
    one, zero = torch.ones(3), torch.zeros(3)
    logits = F.binary_cross_entropy_with_logits
    expected = logits(Scores()(real), one) + logits(Scores()(fake), zero)
    for objective in (Minimax(), NonSaturating()):
        got = objective.critic_loss(Scores(), real, fake, RANDOM)
        torch.testing.assert_close(got, expected)
    torch.testing.assert_close(
        NonSaturating().generator_loss(Scores(), fake), logits(Scores()(fake), one)
    )
    by_hand = np.mean([np.log(1 - 1 / (1 + np.exp(-x))) for x in (0.5, -3.0)])
    got = Minimax().generator_loss(Scores(), constant(0.5, -3.0))
    assert got.item() == pytest.approx(by_hand)


def test_only_the_non_saturating_form_pushes_where_the_discriminator_wins() -> None:
    slopes = {}
    for objective in (Minimax(), NonSaturating()):
        fake = constant(-20.0).clone().requires_grad_()
        objective.generator_loss(Scores(), fake).backward()
        assert fake.grad is not None
        slopes[type(objective)] = fake.grad.sum().item()
    assert slopes[NonSaturating] == pytest.approx(-1.0, abs=1e-3)
    assert -1e-6 < slopes[Minimax] < 0


class Quadratic(nn.Module):
    """C(x) = w/2 sum(x^2): its gradient is w x, so the penalty is known."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, images: Tensor) -> Tensor:
        return self.weight * images.square().flatten(1).sum(dim=1) / 2


def test_gradient_penalty_by_hand() -> None:
    real, fake = torch.rand(5, 3, 6, 7), torch.rand(5, 3, 6, 7)
    share = torch.tensor([0.0, 0.25, 0.5, 0.9, 1.0])
    critic = Quadratic(0.7)
    penalty = gradient_penalty(critic, real, fake, share)
    terms, slopes = [], []
    for r, f, s in zip(real.numpy(), fake.numpy(), share.numpy(), strict=True):
        length = np.sqrt(np.sum((s * r + (1 - s) * f).astype(np.float64) ** 2))
        terms.append((0.7 * length - 1) ** 2)
        slopes.append(2 * (0.7 * length - 1) * length)
    assert penalty.item() == pytest.approx(np.mean(terms), rel=1e-5)
    penalty.backward()  # the penalty must reach the critic's weights
    assert critic.weight.grad is not None
    assert critic.weight.grad.item() == pytest.approx(np.mean(slopes), rel=1e-5)


def test_gradient_penalty_is_float32_under_autocast() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.LeakyReLU(), nn.Flatten(), nn.Linear(8 * 36, 1), nn.Flatten(0)
    )
    real, fake, share = torch.rand(4, 3, 8, 8), torch.rand(4, 3, 8, 8), torch.rand(4)
    expected = gradient_penalty(critic, real, fake, share)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert critic(real).dtype == torch.bfloat16
        got = gradient_penalty(critic, real, fake.bfloat16().float(), share)
        same = gradient_penalty(critic, real, fake, share)
    assert got.dtype == torch.float32
    assert torch.equal(same, expected)


def test_wgan_gp_losses_by_hand() -> None:
    real, fake = constant(1.0, 3.0), constant(0.5, -1.0)
    # the mean of 48 values has the gradient 1/48 everywhere: norm 1/sqrt(48)
    penalty = (1 / np.sqrt(48) - 1) ** 2
    loss = WassersteinGP().critic_loss(Scores(), real, fake, RANDOM)
    assert loss.item() == pytest.approx(-0.25 - 2.0 + 10 * penalty, rel=1e-5)
    drifting = WassersteinGP(penalty=0.0, drift=0.1).critic_loss(Scores(), real, fake, RANDOM)
    assert drifting.item() == pytest.approx(-0.25 - 2.0 + 0.1 * 5.0)
    assert WassersteinGP().generator_loss(Scores(), fake).item() == pytest.approx(0.25)


def test_wgan_gp_draws_from_the_generator_it_is_given() -> None:
    real, fake = torch.rand(4, 3, 8, 8), torch.rand(4, 3, 8, 8)

    def loss(seed: int) -> float:
        random = torch.Generator().manual_seed(seed)
        return WassersteinGP().critic_loss(Quadratic(0.3), real, fake, random).item()

    assert loss(1) == loss(1) != loss(2)


def vgg19_state(widths: tuple[int, ...] = (4, 5, 6, 7, 8)) -> dict[str, Tensor]:
    """A torchvision-style state dict with thin layers, at the indices that torchvision has."""
    random = torch.Generator().manual_seed(3)
    state: dict[str, Tensor] = {}
    index, inputs = 0, 3
    for width, count in zip(widths, (2, 2, 4, 4, 4), strict=True):
        for _ in range(count):
            weight = torch.randn(width, inputs, 3, 3, generator=random) / (inputs * 9) ** 0.5
            state[f"features.{index}.weight"] = weight
            state[f"features.{index}.bias"] = torch.randn(width, generator=random) * 0.1
            inputs, index = width, index + 2
        index += 1
    state["classifier.0.weight"] = torch.zeros(2, 2)
    state["classifier.0.bias"] = torch.zeros(2)
    return state


def torchvision_features(state: dict[str, Tensor]) -> nn.Sequential:
    """`vgg19().features` with these weights, built from torchvision's published configuration."""
    layers: list[nn.Module] = []
    for entry in (4, 4, "M", 5, 5, "M", 6, 6, 6, 6, "M", 7, 7, 7, 7, "M", 8, 8, 8, 8, "M"):
        if entry == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            weight = state[f"features.{len(layers)}.weight"]
            layers += [nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1), nn.ReLU()]
    network = nn.Sequential(*layers)
    network.load_state_dict({k[9:]: v for k, v in state.items() if k.startswith("features.")})
    return network


def short_state() -> dict[str, Tensor]:
    """The shorter normalised form, thin: a plain Sequential up to conv3_1."""
    random = torch.Generator().manual_seed(4)
    state = {
        "0.weight": torch.eye(3).flip(0)[:, :, None, None] * 255,
        "0.bias": -torch.tensor([103.939, 116.779, 123.68]),
    }
    inputs = 3
    for index, width in ((2, 4), (5, 4), (9, 5), (12, 5), (16, 6)):
        state[f"{index}.weight"] = torch.randn(width, inputs, 3, 3, generator=random) * 0.1
        state[f"{index}.bias"] = torch.randn(width, generator=random)
        inputs = width
    return state


def test_vgg_features_are_torchvisions() -> None:
    state = vgg19_state()
    images = torch.rand(2, 3, 40, 33)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (images - mean[:, None, None]) / std[:, None, None]
    # behind the ReLU: index of the convolution + 1
    index = {"conv1_1": 1, "conv2_2": 8, "conv3_1": 11, "conv4_4": 26, "conv5_4": 35}
    expected = {}
    for number, layer in enumerate(torchvision_features(state)):
        x = layer(x)
        for name, wanted in index.items():
            if number == wanted:
                expected[name] = x
    got = VggFeatures(state, list(index))(images)
    assert list(got) == list(index)
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value)


def test_vgg_sees_images_of_imagenets_statistics_as_standard() -> None:
    """An image drawn with ImageNet's mean and deviation must come in as mean 0, deviation 1."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    noise = torch.randn(1, 3, 200, 200, generator=torch.Generator().manual_seed(0))
    x = VggFeatures(vgg19_state(), ["conv1_1"]).normalise(
        noise * std[:, None, None] + mean[:, None, None]
    )
    torch.testing.assert_close(x.mean(dim=(0, 2, 3)), torch.zeros(3), atol=0.02, rtol=0)
    torch.testing.assert_close(x.std(dim=(0, 2, 3)), torch.ones(3), atol=0.02, rtol=0)


def test_the_short_vgg_is_its_sequential() -> None:
    state, images = short_state(), torch.rand(2, 3, 18, 21)
    layers: list[nn.Module] = [nn.Conv2d(3, 3, 1)]
    for index, pool in ((2, False), (5, True), (9, False), (12, True), (16, False)):
        weight = state[f"{index}.weight"]
        conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3)
        layers += [nn.ReflectionPad2d(1), conv, nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if pool else []
    network = nn.Sequential(*layers)
    network.load_state_dict(state)
    got = VggFeatures(state, ["conv3_1", "conv1_2"])(images)
    assert list(got) == ["conv1_2", "conv3_1"]
    torch.testing.assert_close(got["conv3_1"], network(images))
    black = VggFeatures(state, ["conv1_1"]).normalise(torch.zeros(1, 3, 1, 1))
    assert black.flatten().tolist() == pytest.approx([-103.939, -116.779, -123.68])
    red = VggFeatures(state, ["conv1_1"]).normalise(constant(1.0) * torch.eye(3)[0, :, None, None])
    assert red[0, :, 0, 0].tolist() == pytest.approx([-103.939, -116.779, 255 - 123.68], rel=1e-5)


def test_vgg_loss_is_the_mean_squared_difference_and_trains_only_the_image() -> None:
    features = VggFeatures(short_state(), ["conv1_2", "conv3_1"])
    sr, hr = torch.rand(1, 3, 16, 16, requires_grad=True), torch.rand(1, 3, 16, 16)
    loss = VggLoss(features)(sr, hr)
    a, b = features(sr), features(hr)
    expected = sum(((a[name] - b[name]) ** 2).mean() for name in a) / 2
    torch.testing.assert_close(loss, torch.as_tensor(expected))
    loss.backward()
    assert sr.grad is not None
    assert sr.grad.abs().max() > 0
    assert all(not p.requires_grad and p.grad is None for p in features.parameters())


def test_vgg_files_and_their_errors(tmp_path: Path) -> None:
    path = tmp_path / "vgg.pt"
    torch.save(short_state(), path)
    assert load_vgg(path, ["conv2_1"]).layers == ("conv2_1",)
    with pytest.raises(InputError, match=r"no layer 'conv5_4'.*conv1_1 to conv3_1"):
        load_vgg(path, ["conv5_4"])
    with pytest.raises(InputError, match=r"vgg\.layers is empty"):
        load_vgg(path, [])
    with pytest.raises(InputError, match="cannot read"):
        load_vgg(tmp_path / "none.pt", ["conv1_1"])
    for content in ({"a": torch.zeros(2)}, [1, 2], {"0.weight": "text"}):
        torch.save(content, path)
        with pytest.raises(InputError, match="not a state dict of VGG19"):
            load_vgg(path, ["conv1_1"])
    path.write_bytes(b"text")
    with pytest.raises(InputError, match="not a state dict of VGG19"):
        load_vgg(path, ["conv1_1"])
    assert len(LAYERS) == 16


def test_mix_is_the_weighted_sum() -> None:
    vgg = VggLoss(VggFeatures(short_state(), ["conv2_2"]))
    sr, hr = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    mix = ContentLoss(LossConfig(l1=0.5, mse=1.0, vgg=0.1), vgg)(sr, hr)
    parts = 0.5 * (sr - hr).abs().mean() + ((sr - hr) ** 2).mean() + 0.1 * vgg(sr, hr)
    torch.testing.assert_close(mix, parts)
    with pytest.raises(InputError, match=r"vgg\.weights"):
        ContentLoss(LossConfig(vgg=1.0))
    with pytest.raises(InputError, match=r"\[loss\]"):
        ContentLoss(LossConfig(nsgan=1.0))


def recipe_with(**loss: float) -> Recipe:
    return recipe_from_dict({"name": "r", "loss": {"mse": 1.0, **loss}})


@pytest.mark.parametrize(
    ("name", "kind"), [("nsgan", NonSaturating), ("minimax", Minimax), ("wgan_gp", WassersteinGP)]
)
def test_recipes_name_their_objective_by_its_weight(name: str, kind: type[Objective]) -> None:
    built = build_objective(recipe_with(**{name: 0.25}))
    assert built is not None
    assert type(built[0]) is kind
    assert built[1] == 0.25


def test_recipes_with_no_or_several_objectives() -> None:
    assert build_objective(recipe_with()) is None
    with pytest.raises(InputError, match="more than one"):
        build_objective(recipe_with(nsgan=1.0, wgan_gp=1.0))


def test_a_growing_network_has_pixels_first_and_the_mix_at_the_end(tmp_path: Path) -> None:
    torch.save(short_state(), tmp_path / "vgg.pt")
    recipe = dataclasses.replace(
        recipe_with(vgg=0.5), vgg=VggConfig(str(tmp_path / "vgg.pt"), ("conv1_1",))
    )
    early, late = build_content(recipe)
    assert early is late
    model = dataclasses.replace(recipe.model, architecture="srpggan")
    early, late = build_content(dataclasses.replace(recipe, model=model))
    sr, hr = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(early(sr, hr), F.mse_loss(sr, hr))
    assert late(sr, hr) > early(sr, hr)
    with pytest.raises(InputError, match=r"--set vgg\.weights"):
        build_content(recipe_with(vgg=1.0))


def test_the_real_short_vgg(real_data: Path) -> None:
    features = load_vgg(real_data / "weights" / "vgg_normalised_conv3_1.pth", ["conv3_1"])
    images = torch.rand(1, 3, 32, 32)
    x = features(images)["conv3_1"]
    assert x.shape == (1, 256, 8, 8)
    assert 0.1 < x.mean() < 10  # "normalised activations"


def test_a_grid_at_the_pools_period_costs_the_same_at_every_phase() -> None:
    """Images of a batch are compared at different offsets, so no phase of a grid is cheaper."""
    torch.manual_seed(0)
    vgg = VggLoss(VggFeatures(short_state(), ["conv3_1"]))
    loss = ContentLoss(LossConfig(vgg=1.0), vgg)
    hr = torch.rand(1, 3, 67, 67).repeat(16, 1, 1, 1)

    def cost(phase: int, each: bool) -> float:
        sr = hr.clone()
        sr[:, :, phase::4, phase::4] += 0.1
        return float(loss(sr, hr) if each else vgg(sr, hr))

    plain, phased = ([cost(phase, each) for phase in range(4)] for each in (False, True))
    assert max(phased) / min(phased) < 1 + 0.5 * (max(plain) / min(plain) - 1)


def test_offsets_cut_both_images_alike() -> None:
    hr = torch.rand(5, 3, 32, 40)
    sr, same = at_phases(hr, hr)
    assert sr.shape == (5, 3, 29, 37)
    assert torch.equal(sr, same)
    assert torch.equal(sr[0], hr[0, :, :29, :37])
    assert torch.equal(sr[1], hr[1, :, 1:30, 1:38])
    offsets = {(n % 4, (n + n // 4) % 4) for n in range(16)}
    assert len(offsets) == 16
    small = torch.rand(2, 3, 16, 16)
    assert at_phases(small, small)[0] is small
