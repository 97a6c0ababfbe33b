"""SRResNet, the report's baseline and the generator of all its GANs."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from srsdk.spec import Tail
from srtrain.models.base import Generator, icnr_


class ResidualBlock(nn.Module):
    """Convolution, batch norm, PReLU, convolution, batch norm, and the skip connection."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(features)
        self.act = nn.PReLU(features)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(features)
        nn.init.zeros_(self.bn2.weight)  # a block starts as the identity (Goyal et al., 2017)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, features, H, W)` to the same shape."""
        change: Tensor = self.bn2(self.conv2(self.act(self.bn1(self.conv1(x)))))
        return x + change


class SubPixel(nn.Module):
    """One sub-pixel stage: convolution to 4x the channels, pixel shuffle by 2, PReLU."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(features, 4 * features, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        self.act = nn.PReLU(features)
        icnr_(self.conv.weight, 2)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, features, H, W)` to `(N, features, 2H, 2W)`."""
        result: Tensor = self.act(self.shuffle(self.conv(x)))
        return result


class SRResNet(Generator):
    """Report, section on SRResNet: 8 residual blocks, sub-pixel stages, 9x9 first and last.

    `tail="image"` is the report's form: log2(scale) sub-pixel stages and a 9x9 convolution at high
    resolution. `tail="subpixel"` keeps the same trunk and ends in one 3x3 convolution to
    3*scale**2 channels at low resolution. It costs 2.5 times less to train at x4; `grow_tail` then
    turns it into the report's form without changing its output, which is how the shipped weights
    were started.

    Both start as bilinear upscaling (zero padding at the border): the first three features carry
    the input through the global skip connection, and the trunk starts at zero.
    """

    architecture = "srresnet"
    base = "none"

    def __init__(
        self, scale: int = 4, features: int = 64, blocks: int = 8, tail: Tail = "image"
    ) -> None:
        super().__init__()
        stages = int(math.log2(scale))
        if 2**stages != scale or stages < 1:
            raise ValueError(f"SRResNet: scale {scale} is not a power of two above 1")
        if 3 * (scale // 2) ** 2 > features:
            raise ValueError(f"SRResNet: {features} features are too few for x{scale}")
        self.scale, self.tail = scale, tail
        self.shuffle = 1 if tail == "image" else scale
        self.head = nn.Sequential(nn.Conv2d(3, features, 9, padding=4), nn.PReLU(features))
        self.trunk = nn.Sequential(*(ResidualBlock(features) for _ in range(blocks)))
        self.trunk_end = nn.Sequential(
            nn.Conv2d(features, features, 3, padding=1, bias=False), nn.BatchNorm2d(features)
        )
        self.stages = nn.Sequential()
        subpixel = nn.Conv2d(features, 3 * scale * scale, 3, padding=1)
        self._start_as_bilinear(subpixel)
        if tail == "image":
            self.stages.extend(SubPixel(features) for _ in range(stages))
            self.out = nn.Conv2d(features, 3, 9, padding=4)
            self._embed(subpixel)
        else:
            self.out = subpixel

    @property
    def halo(self) -> int:
        """4 (9x9) + 2 a block + 1 (trunk end) + the tail, in low-resolution pixels."""
        tail = 1.0
        if self.tail == "image":
            tail = sum(0.5**stage for stage in range(len(self.stages))) + 4 / self.scale
        return math.ceil(4 + 2 * len(self.trunk) + 1 + tail)

    def graph(self, lr: Tensor) -> Tensor:
        """The network without its last pixel shuffle and base."""
        first = self.head(lr)
        x = first + self.trunk_end(self.trunk(first))
        result: Tensor = self.out(self.stages(x))
        return result

    @torch.no_grad()
    def _start_as_bilinear(self, subpixel: nn.Conv2d) -> None:
        """Make trunk and tail bilinear upscaling of the input."""
        head, act = self.head[0], self.head[1]
        assert isinstance(head, nn.Conv2d)
        assert isinstance(act, nn.PReLU)
        head.weight[:3] = 0.0
        for channel in range(3):
            head.weight[channel, channel, 4, 4] = 1.0
        assert head.bias is not None
        head.bias.zero_()
        act.weight[:3] = 1.0
        nn.init.zeros_(self.trunk_end[1].weight)  # type: ignore[arg-type]
        weights = bilinear_taps(self.scale)
        subpixel.weight.zero_()
        for channel in range(3):
            for i in range(self.scale):
                for j in range(self.scale):
                    index = (channel * self.scale + i) * self.scale + j
                    subpixel.weight[index, channel] = torch.outer(weights[i], weights[j])
        assert subpixel.bias is not None
        subpixel.bias.zero_()

    @torch.no_grad()
    def _embed(self, subpixel: nn.Conv2d) -> None:
        """Make stages and last convolution compute `subpixel` and a shuffle by `scale`, exactly.

        Of each stage's features the first 3*R*R (R: what is left to shuffle after it) carry the
        values of their R*R sub-pixels unchanged through PReLU slopes of 1; the last convolution
        picks them up and ignores the other features, which stay as they were initialised and
        join in as soon as it learns to use them.
        """
        size = self.scale
        for number, stage in enumerate(self.stages):
            assert isinstance(stage, SubPixel)
            rest = size // 2
            for m in range(3 * rest * rest):
                channel, p, q = m // (rest * rest), m // rest % rest, m % rest
                for a in range(2):
                    for b in range(2):
                        source = (channel * size + a * rest + p) * size + b * rest + q
                        target = m * 4 + a * 2 + b
                        assert stage.conv.bias is not None
                        if number == 0:
                            stage.conv.weight[target] = subpixel.weight[source]
                            assert subpixel.bias is not None
                            stage.conv.bias[target] = subpixel.bias[source]
                        else:
                            stage.conv.weight[target] = 0.0
                            stage.conv.weight[target, source, 1, 1] = 1.0
                            stage.conv.bias[target] = 0.0
            stage.act.weight[: 3 * rest * rest] = 1.0
            size = rest
        self.out.weight.zero_()
        for channel in range(3):
            self.out.weight[channel, channel, 4, 4] = 1.0
        assert self.out.bias is not None
        self.out.bias.zero_()


def grow_tail(start: SRResNet, model: SRResNet) -> None:
    """Load a trained `tail="subpixel"` network into a `tail="image"` one; the output is the same.

    Raises:
        ValueError: The two differ in more than their tails.
    """
    if start.tail != "subpixel" or model.tail != "image" or start.scale != model.scale:
        raise ValueError("grow_tail: takes a sub-pixel SRResNet and an image SRResNet of one scale")
    state = {k: v for k, v in start.state_dict().items() if not k.startswith("out.")}
    keys = model.load_state_dict(state, strict=False)
    if keys.unexpected_keys or any(
        k.split(".")[0] not in ("stages", "out") for k in keys.missing_keys
    ):
        raise ValueError("grow_tail: the two networks have different trunks")
    model._embed(start.out)


def bilinear_taps(scale: int) -> Tensor:
    """`(scale, 3)` weights of the left, own and right pixel, half-pixel centres."""
    taps = torch.zeros(scale, 3)
    for i in range(scale):
        offset = (i + 0.5) / scale - 0.5
        taps[i, 1] = 1 - abs(offset)
        taps[i, 0 if offset < 0 else 2] = abs(offset)
    return taps
