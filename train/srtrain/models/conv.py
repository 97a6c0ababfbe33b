"""A convolution whose gradient can be differentiated again at the cost of a convolution.

The gradient penalty of WGAN-GP differentiates the critic twice. For the second derivative by the
weights PyTorch's own convolution convolves whole feature maps with each other, kernels as large
as the image, for which cuDNN has nothing fast: a step of SRWGAN-GP took a second on an H200. Here
all derivatives are the three operations that every training uses: convolution, its gradient by the
input and its gradient by the weight, each the derivative of another (as in Karras et al.,
StyleGAN2-ADA's `conv2d_gradfix`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

__all__ = ["TwiceDifferentiableConv2d", "convolve"]


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """3x3 or 1x1 convolution that keeps the size: stride 1, zero padding."""
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight = x.to(dtype), weight.to(dtype)
    result = _convolution(x, weight)
    return result if bias is None else result + bias.to(result.dtype)[:, None, None]


class TwiceDifferentiableConv2d(nn.Conv2d):
    """`nn.Conv2d` of stride 1 and zero padding that keeps the size; see above."""

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, inputs, H, W)` to `(N, outputs, H, W)`."""
        return convolve(x, self.weight, self.bias)


def _gradient(gradient: Tensor, x: Tensor, weight: Tensor, by_input: bool) -> Tensor:
    padding = weight.shape[-1] // 2
    mask = [by_input, not by_input, False]
    gradients = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, [1, 1], [padding] * 2, [1, 1], False, [0, 0], 1, mask
    )
    result: Tensor = gradients[0] if by_input else gradients[1]
    return result


class _Convolution(Function):
    """conv(x, w)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return nn.functional.conv2d(x, weight, padding=weight.shape[-1] // 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        by_x, by_weight = ctx.needs_input_grad
        return (
            _input_gradient(gradient, weight, x) if by_x else None,
            _weight_gradient(gradient, x, weight) if by_weight else None,
        )


class _InputGradient(Function):
    """The gradient of <g, conv(x, w)> by x: linear in g and w. `x` gives the shape."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, weight: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(gradient, weight)
        return _gradient(gradient, x, weight, by_input=True)

    @staticmethod
    def backward(ctx: Any, second: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        gradient, weight = ctx.saved_tensors
        by_gradient, by_weight, _ = ctx.needs_input_grad
        return (
            _convolution(second, weight) if by_gradient else None,
            _weight_gradient(gradient, second, weight) if by_weight else None,
            None,
        )


class _WeightGradient(Function):
    """The gradient of <g, conv(x, w)> by w: linear in g and x. `weight` gives the shape."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(gradient, x)
        return _gradient(gradient, x, weight, by_input=False)

    @staticmethod
    def backward(ctx: Any, second: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        gradient, x = ctx.saved_tensors
        by_gradient, by_x, _ = ctx.needs_input_grad
        return (
            _convolution(x, second) if by_gradient else None,
            _input_gradient(gradient, second, x) if by_x else None,
            None,
        )


_convolution: Callable[[Tensor, Tensor], Tensor] = _Convolution.apply
_input_gradient: Callable[[Tensor, Tensor, Tensor], Tensor] = _InputGradient.apply
_weight_gradient: Callable[[Tensor, Tensor, Tensor], Tensor] = _WeightGradient.apply
