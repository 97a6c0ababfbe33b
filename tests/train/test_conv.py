"""The critic's convolution against PyTorch's own, up to second derivatives."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from srtrain.models.conv import TwiceDifferentiableConv2d, convolve


@pytest.mark.parametrize("kernel", [1, 3])
def test_convolution_and_its_derivatives(kernel: int) -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 6, 5, generator=random, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 3, kernel, kernel, generator=random, dtype=torch.float64)
    bias = torch.randn(4, generator=random, dtype=torch.float64)
    torch.testing.assert_close(
        convolve(x, weight, bias), F.conv2d(x, weight, bias, padding=kernel // 2)
    )
    weight.requires_grad_()
    assert torch.autograd.gradcheck(convolve, (x, weight))
    assert torch.autograd.gradgradcheck(convolve, (x, weight))


def test_a_gradient_penalty_trains_the_weights_as_with_pytorchs_convolution() -> None:
    torch.manual_seed(1)
    ours = torch.nn.Sequential(
        TwiceDifferentiableConv2d(3, 4, 3, padding=1), torch.nn.LeakyReLU(0.2),
        TwiceDifferentiableConv2d(4, 1, 3, padding=1),
    )  # fmt: skip
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.LeakyReLU(0.2),
        torch.nn.Conv2d(4, 1, 3, padding=1),
    )  # fmt: skip
    theirs.load_state_dict(ours.state_dict())
    x = torch.rand(2, 3, 8, 8)
    for network in (ours, theirs):
        image = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(network(image).sum(), image, create_graph=True)
        (gradient.flatten(1).norm(dim=1) - 1).square().mean().backward()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        if b.grad is not None:
            torch.testing.assert_close(a.grad, b.grad)
