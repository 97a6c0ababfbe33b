"""The critic of the WGAN-GP models, which can grow (report: SRWGAN-GP and SRPGGAN; PGGAN)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srtrain.models.conv import TwiceDifferentiableConv2d, convolve


class Critic(nn.Module):
    """Scores images without sigmoid or batch norm.

    Its layers are PGGAN's (Karras et al., 2018, table 2): a 1x1 convolution from RGB, then for each
    resolution two 3x3 convolutions and an average pooling, down to 4 to 7 pixels, then a
    convolution and two dense layers. PGGAN's minibatch standard deviation and equalised learning
    rate are options; so is pixel norm, which PGGAN has in its generator only: ours is SRResNet,
    whose batch norm folds into convolutions at export, as pixel norm would not.

    A critic with `levels` > 1 has an entry for each of the `levels` largest resolutions. Its state
    of growth is `level` (`levels` - 1 is the full resolution) and `alpha`, the weight of the new
    entry: at 0 the critic equals the smaller one on images reduced by 2, at 1 the grown one.

    Args:
        side: Side of the full images.
        features: Channels at the full resolution; they double with each halving, up to 8 times.
        dense: Units of the hidden dense layer.
        norm: "none", "layer", "instance" or "pixel" behind each 3x3 convolution but the first.
        minibatch_stddev: Append the mean standard deviation over the batch as a channel.
        equalised: Scale weights at run time by He's constant, so that Adam treats all alike.
        levels: Resolutions that the critic can start from.

    Raises:
        ValueError: `side` cannot be halved often enough.
    """

    def __init__(
        self,
        side: int,
        features: int = 64,
        dense: int = 512,
        norm: str = "none",
        minibatch_stddev: bool = False,
        equalised: bool = False,
        levels: int = 1,
    ) -> None:
        super().__init__()
        sides = [side]
        while sides[-1] > 7 and sides[-1] % 2 == 0:
            sides.append(sides[-1] // 2)
        if len(sides) <= levels or sides[-1] > 7 or sides[-1] < 4:
            raise ValueError(
                f"Critic: image side {side} cannot be halved down to 4..7 pixels "
                f"past its {levels} resolution(s)"
            )
        widths = [features * min(2**n, 8) for n in range(len(sides))]
        self.minibatch_stddev = minibatch_stddev
        # entries[n], blocks[n]: for images reduced n times
        self.entries = nn.ModuleList(_conv(3, widths[n], 1, equalised) for n in range(levels))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                _conv(widths[n], widths[n], 3, equalised),
                _norm(norm, widths[n]),
                nn.LeakyReLU(0.2),
                _conv(widths[n], widths[n + 1], 3, equalised),
                _norm(norm, widths[n + 1]),
                nn.LeakyReLU(0.2),
                nn.AvgPool2d(2),
            )
            for n in range(len(sides) - 1)
        )
        last = widths[-1]
        self.end = nn.Sequential(
            _conv(last + int(minibatch_stddev), last, 3, equalised),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            _linear(last * sides[-1] ** 2, dense, equalised),
            nn.LeakyReLU(0.2),
            _linear(dense, 1, equalised),
        )
        self.level, self.alpha = levels - 1, 1.0

    def set_growth(self, level: int, alpha: float) -> None:
        """Set the resolution (0 is the smallest) and the weight of its entry, 0 to 1."""
        if not 0 <= level < len(self.entries) or not 0 <= alpha <= 1:
            raise ValueError(f"Critic: no growth of level {level} and alpha {alpha}")
        self.level, self.alpha = level, float(alpha)

    def get_extra_state(self) -> dict[str, Any]:
        """Growth, as a part of the state dict."""
        return {"level": self.level, "alpha": self.alpha}

    def set_extra_state(self, state: Any) -> None:
        """The inverse of `get_extra_state`."""
        self.set_growth(state["level"], state["alpha"])

    def forward(self, images: Tensor) -> Tensor:
        """Map `(N, 3, S, S)` RGB in [0, 1] to `(N,)` scores; S is `side` at the full resolution."""
        first = len(self.entries) - 1 - self.level
        x = self.blocks[first](self._enter(first, images))
        if self.alpha < 1 and self.level > 0:
            small = self._enter(first + 1, F.avg_pool2d(images, 2))
            x = self.alpha * x + (1 - self.alpha) * small
        for block in self.blocks[first + 1 :]:
            x = block(x)
        if self.minibatch_stddev:
            x = torch.cat([x, _deviation(x)], dim=1)
        score: Tensor = self.end(x)
        return score[:, 0]

    def _enter(self, index: int, images: Tensor) -> Tensor:
        return F.leaky_relu(self.entries[index](images * 2 - 1), 0.2)


class PixelNorm(nn.Module):
    """Divide each pixel's features by their root mean square (PGGAN, section 4.2)."""

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


class EqualisedConv2d(TwiceDifferentiableConv2d):
    """Convolution whose weights, drawn from N(0, 1), are scaled as they are used."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve with the scaled weights."""
        gain = math.sqrt(2 / self.weight[0].numel())
        return convolve(x, self.weight * gain, self.bias)


class EqualisedLinear(nn.Linear):
    """Dense layer whose weights, drawn from N(0, 1), are scaled as they are used."""

    def forward(self, x: Tensor) -> Tensor:
        """Multiply by the scaled weights."""
        return F.linear(x, self.weight * math.sqrt(2 / self.weight[0].numel()), self.bias)


def _deviation(x: Tensor) -> Tensor:
    """PGGAN, section 3: the standard deviation over the batch, averaged over all features."""
    variance = x.float().var(dim=0, unbiased=False)
    deviation = (variance + 1e-8).sqrt().mean()
    return deviation.to(x.dtype).expand(len(x), 1, *x.shape[2:])


def _conv(inputs: int, outputs: int, kernel: int, equalised: bool) -> nn.Conv2d:
    kind = EqualisedConv2d if equalised else TwiceDifferentiableConv2d
    conv = kind(inputs, outputs, kernel, padding=kernel // 2)
    if equalised:
        nn.init.normal_(conv.weight)
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def _linear(inputs: int, outputs: int, equalised: bool) -> nn.Linear:
    linear = EqualisedLinear(inputs, outputs) if equalised else nn.Linear(inputs, outputs)
    if equalised:
        nn.init.normal_(linear.weight)
        nn.init.zeros_(linear.bias)
    return linear


def _norm(name: str, features: int) -> nn.Module:
    if name == "none":
        return nn.Identity()
    if name == "layer":
        return nn.GroupNorm(1, features)
    if name == "instance":
        return nn.InstanceNorm2d(features, affine=True)
    if name == "pixel":
        return PixelNorm()
    raise ValueError(f"Critic: unknown norm {name!r}; known: instance, layer, none, pixel")
