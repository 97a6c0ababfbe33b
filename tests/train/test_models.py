"""Generators: what they compute, against references written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from srsdk.errors import InputError
from srtrain.models import Edge, Generator, RepConv, SRResNet
from srtrain.models.base import icnr_
from srtrain.models.srresnet import grow_tail


def randomise(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give every parameter and statistic a value, so that nothing is hidden by a zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            spread = 0.3 / max(parameter[0].numel(), 1) ** 0.5 if parameter.dim() > 1 else 0.3
            parameter.add_(torch.randn(parameter.shape, generator=generator) * spread)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.add_(
                    torch.randn(module.num_features, generator=generator) * 0.1
                )
                module.running_var.mul_(torch.rand(module.num_features, generator=generator) + 0.5)
    return model.eval()


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("tail", ["image", "subpixel"])
def test_srresnet_starts_as_bilinear_upscaling(scale: int, tail: str) -> None:
    lr = torch.rand(1, 3, 14, 11)
    sr = SRResNet(scale, 64, 2, tail).eval()(lr)  # type: ignore[arg-type]
    expected = F.interpolate(lr, scale_factor=scale, mode="bilinear")
    inside = slice(scale, -scale)  # the network pads with zeros, bilinear repeats the edge
    torch.testing.assert_close(sr[..., inside, inside], expected[..., inside, inside])


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_growing_the_tail_keeps_the_output(scale: int) -> None:
    start = SRResNet(scale, 64, 2, "subpixel")
    randomise(start)
    model = SRResNet(scale, 64, 2, "image").eval()
    grow_tail(start, model)
    lr = torch.rand(2, 3, 9, 12)
    torch.testing.assert_close(model(lr), start(lr), rtol=1e-5, atol=1e-5)
    assert model.graph(lr).shape == (2, 3, 9 * scale, 12 * scale)


@pytest.mark.parametrize(
    ("layers", "deeper", "wider"), [(2, 2, 8), (2, 3, 8), (5, 8, 12), (1, 7, 8), (2, 2, 16)]
)
def test_a_deepened_or_widened_edge_keeps_the_output_and_learns(
    layers: int, deeper: int, wider: int
) -> None:
    start = Edge(4, 8, layers, 1)
    randomise(start)
    model = Edge(4, wider, deeper, 1)
    model.start_from(start)
    lr = torch.rand(2, 3, 9, 12)
    torch.testing.assert_close(model(lr), start(lr), rtol=1e-5, atol=1e-5)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):  # channels that are new reach the output after a step
        optimiser.zero_grad()
        model(lr).square().mean().backward()
        optimiser.step()
    for conv in model.convs:
        assert isinstance(conv, RepConv)
        assert conv.main.weight.grad is not None
        every = conv.main.weight.grad.flatten(1).abs().amax(dim=1)
        assert every[:8].max() > 0
        assert len(every) == 8 or every[8:].max() > 0


@pytest.mark.parametrize(
    ("start", "problem"),
    [(Edge(4, 8, 3, 1), "more layers"), (Edge(4, 16, 1, 1), "wider"), (Edge(2, 8, 1, 1), "tail")],
)
def test_an_edge_that_does_not_fit_is_no_start(start: Edge, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        Edge(4, 8, 2, 1).start_from(start)


def test_the_grown_features_learn() -> None:
    """Features that carry nothing at the start must still receive gradients within two steps."""
    start = SRResNet(4, 64, 1, "subpixel")
    model = SRResNet(4, 64, 1, "image")
    grow_tail(start, model)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        F.mse_loss(model(torch.rand(2, 3, 8, 8)), torch.rand(2, 3, 32, 32)).backward()
        optimiser.step()
    gradient = model.get_parameter("stages.0.conv.weight").grad
    assert gradient is not None
    assert (gradient.abs().amax(dim=(1, 2, 3)) > 0).float().mean() > 0.9


def test_grow_tail_refuses_another_trunk() -> None:
    with pytest.raises(ValueError, match="trunk"):
        grow_tail(SRResNet(4, 64, 2, "subpixel"), SRResNet(4, 64, 3, "image"))


@pytest.mark.parametrize(("scale", "features"), [(3, 64), (1, 64), (8, 32)])
def test_srresnet_refuses_what_it_cannot_build(scale: int, features: int) -> None:
    with pytest.raises(ValueError, match="SRResNet"):
        SRResNet(scale, features)


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 16), (16, 16)])
def test_repconv_is_the_sum_of_its_branches(inputs: int, outputs: int) -> None:
    conv = randomise(RepConv(inputs, outputs, expansion=2))
    assert isinstance(conv, RepConv)
    x = torch.randn(2, inputs, 7, 9)
    expected = conv.main(x)
    wide = F.conv2d(x, conv.expand[:, :, None, None])
    expected = expected + F.conv2d(wide, conv.squeeze, padding=1)
    expected = expected + F.conv2d(x, conv.point[:, :, None, None])
    if inputs == outputs:
        expected = expected + x
    torch.testing.assert_close(conv(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_edge_starts_as_its_base(scale: int) -> None:
    lr = torch.rand(1, 3, 6, 5)
    torch.testing.assert_close(
        Edge(scale)(lr), F.interpolate(lr, scale_factor=scale, mode="bilinear")
    )


@pytest.mark.parametrize(
    "model",
    [
        Edge(4, 8, 3),
        Edge(2, 8, 2, tail_kernel=1),
        SRResNet(4, 16, 1),
        SRResNet(2, 16, 2),
        SRResNet(4, 16, 2, "subpixel"),
    ],
    ids=lambda model: f"{type(model).__name__}-x{model.scale}-{model.shuffle}",
)
def test_halo_is_the_reach_of_an_input_pixel(model: Generator) -> None:
    """Change one pixel: nothing beyond the halo moves, and something at the halo does."""
    randomise(model)
    side, centre, scale = 2 * model.halo + 7, model.halo + 3, model.scale
    lr = torch.rand(1, 3, side, side, dtype=torch.float64)
    changed = lr.clone()
    changed[:, :, centre, centre] += 1.0
    model = model.double()
    difference = (model(changed) - model(lr)).abs().amax(dim=1)[0]
    blocks = difference.unfold(0, scale, scale).unfold(1, scale, scale).amax(dim=(2, 3)).detach()
    rows = np.flatnonzero(blocks.numpy().max(axis=1) > 1e-14)
    reach = max(centre - rows.min(), rows.max() - centre)
    assert reach == model.halo


def test_icnr_starts_without_checkerboard() -> None:
    conv = nn.Conv2d(8, 12, 3, padding=1)
    icnr_(conv.weight, 2)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    image = F.pixel_shuffle(conv(torch.rand(1, 8, 5, 5)), 2)
    blocks = image.unfold(2, 2, 2).unfold(3, 2, 2)
    assert torch.equal(blocks.amax(dim=(4, 5)), blocks.amin(dim=(4, 5)))
