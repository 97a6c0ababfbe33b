"""`Edge`: the real-time generator, all of it at low resolution.

A plain chain of 3x3 convolutions and ReLUs (which runtimes fuse into the convolution, unlike PReLU)
that ends in one convolution to 3*scale**2 channels: the correction to a bilinear upscale. While
it trains, each convolution is a sum of parallel linear branches; `RepConv.fold` adds them up into
the one kernel that is exported (as in Zhang et al., "Edge-oriented Convolution Block for Real-time
Super Resolution on Mobile Devices", 2021).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srsdk.errors import InputError
from srtrain.models.base import Generator


class RepConv(nn.Module):
    """A k x k convolution, trained as k x k + (1x1 expansion, then k x k) + 1x1 + identity.

    The branches are linear, so their sum is one convolution. `forward` folds first and convolves
    once: the same function and the same gradients as running each branch, at the cost of one.
    The expansion has no bias, so that zero padding commutes with it.

    Attributes:
        expansion: Width of the expansion branch over the input's; 0 for a plain convolution.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, expansion: int = 2) -> None:
        super().__init__()
        self.kernel, self.expansion = kernel, expansion
        self.main = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        self.identity = inputs == outputs and expansion > 0
        if expansion:
            wide = max(inputs, outputs) * expansion
            self.expand = nn.Parameter(torch.empty(wide, inputs))
            self.squeeze = nn.Parameter(torch.empty(outputs, wide, kernel, kernel))
            self.point = nn.Parameter(torch.zeros(outputs, inputs))
            nn.init.kaiming_normal_(self.expand)
            nn.init.kaiming_normal_(self.squeeze)
            with torch.no_grad():
                self.squeeze.mul_(0.1)  # at the start the plain branch leads

    def fold(self) -> tuple[Tensor, Tensor]:
        """The one kernel `(outputs, inputs, k, k)` and bias `(outputs,)` that equal the sum."""
        assert self.main.bias is not None
        weight = self.main.weight
        if self.expansion:
            centre: Tensor = self.point
            if self.identity:
                centre = centre + torch.eye(len(centre), device=centre.device, dtype=centre.dtype)
            weight = weight + torch.einsum("owhk,wi->oihk", self.squeeze, self.expand)
            margin = self.kernel // 2
            weight = weight + F.pad(centre[:, :, None, None], (margin,) * 4)
        return weight, self.main.bias

    @torch.no_grad()
    def become(self, weight: Tensor, bias: Tensor) -> None:
        """Let the branches add up to a kernel `(outputs, inputs, k, k)` and a bias `(outputs,)`."""
        assert self.main.bias is not None
        self.main.weight.zero_()
        branches, _ = self.fold()
        self.main.weight.copy_(weight - branches)
        self.main.bias.copy_(bias)

    @torch.no_grad()
    def become_identity(self) -> None:
        """Let the branches add up to the identity (as many outputs as inputs)."""
        weight = torch.zeros_like(self.main.weight)
        nn.init.dirac_(weight)
        self.become(weight, weight.new_zeros(len(weight)))

    @torch.no_grad()
    def widen(self, trained: RepConv) -> None:
        """Take over a convolution of fewer channels: the first outputs do not change.

        Further outputs begin at random. Further inputs count for them alone.
        """
        weight, bias = trained.fold()
        outputs, inputs = weight.shape[:2]
        wide = torch.empty_like(self.main.weight)
        nn.init.kaiming_normal_(wide)
        wide[:outputs] = 0
        wide[:outputs, :inputs] = weight
        self.become(wide, F.pad(bias, (0, len(wide) - outputs)))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, inputs, H, W)` to `(N, outputs, H, W)`."""
        weight, bias = self.fold()
        return F.conv2d(x, weight, bias, padding=self.kernel // 2)


class Edge(Generator):
    """Chain of `layers` hidden 3x3 convolutions of `features` channels over a bilinear base.

    Args:
        scale: Upscaling factor.
        features: Width of the hidden layers.
        layers: Hidden convolutions between the first and the last.
        tail_kernel: Size of the last convolution, 1 or 3.
        expansion: See `RepConv`.
    """

    architecture = "edge"
    base = "bilinear"

    def __init__(
        self,
        scale: int = 4,
        features: int = 16,
        layers: int = 4,
        tail_kernel: int = 3,
        expansion: int = 2,
    ) -> None:
        super().__init__()
        self.scale = self.shuffle = scale
        widths = [3] + [features] * (layers + 1)
        self.convs = nn.ModuleList(RepConv(a, b, expansion=expansion) for a, b in pairwise(widths))
        self.out = nn.Conv2d(features, 3 * scale * scale, tail_kernel, padding=tail_kernel // 2)
        nn.init.zeros_(self.out.weight)  # starts as its base
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    @torch.no_grad()
    def start_from(self, trained: Edge) -> None:
        """Take over a trained network, as deep and wide or less, without changing its output.

        The layers it lacks are spread between its own and begin as the identity, which the ReLU
        before them leaves alone. The channels it lacks begin at random, and count for nothing.

        Raises:
            InputError: The two differ in scale or tail, or `trained` is the deeper or wider one.
        """
        missing = len(self.convs) - len(trained.convs)
        if missing < 0:
            raise InputError("Edge: the starting network has more layers")
        old = len(trained.convs)
        after = [1 + number * old // missing for number in range(missing)] if missing else []
        source = iter(trained.convs)
        taken = 0
        try:
            self._take_tail(trained.out)
            for conv in self.convs:
                assert isinstance(conv, RepConv)
                if after and after[0] == taken:
                    after.pop(0)
                    conv.become_identity()
                    continue
                old_conv = next(source)
                assert isinstance(old_conv, RepConv)
                if conv.main.weight.shape == old_conv.main.weight.shape:
                    conv.load_state_dict(old_conv.state_dict())
                else:
                    conv.widen(old_conv)
                taken += 1
        except RuntimeError as error:
            raise InputError("Edge: the starting network is wider, or has another tail") from error

    def _take_tail(self, trained: nn.Conv2d) -> None:
        state = trained.state_dict()
        missing = self.out.in_channels - trained.in_channels
        if missing > 0:
            state["weight"] = F.pad(state["weight"], (0, 0, 0, 0, 0, missing))
        self.out.load_state_dict(state)

    @property
    def halo(self) -> int:
        """One pixel a 3x3 convolution, and at least the base's one."""
        return max(len(self.convs) + self.out.kernel_size[0] // 2, 1)

    def graph(self, lr: Tensor) -> Tensor:
        """The network without its last pixel shuffle and base."""
        x = lr
        for conv in self.convs:
            x = F.relu(conv(x))
        result: Tensor = self.out(x)
        return result
