"""SRPGGAN's generator: an SRResNet that grows while it trains (report, section on SRPGGAN)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srsdk.errors import InputError
from srtrain.models.srresnet import SRResNet, SubPixel, bilinear_taps


class SRPGGAN(SRResNet):
    """SRResNet with an image output behind each of its sub-pixel stages.

    Growing is a state: `level` stages are in use (1: x2), and where `alpha` < 1 the newest of them
    is still fading in: the image is alpha times its own plus (1 - alpha) times the smaller
    network's, enlarged by nearest neighbour (PGGAN, figure 2). At alpha 0 that is the smaller
    network enlarged, at 1 the grown one, both exactly. All layers in use stay trainable. Fully
    grown it is an SRResNet, and is exported as one.

    The outputs of the smaller networks (`outs`) begin as the mean of the sub-pixels that the stages
    carry at the start, so every level starts as a smooth enlargement of its input.

    Args:
        scale: Scale of the fully grown network.
        features: Channels of the hidden layers.
        blocks: Residual blocks.
    """

    architecture = "srpggan"

    def __init__(self, scale: int = 4, features: int = 64, blocks: int = 8) -> None:
        super().__init__(scale, features, blocks, "image")
        self.outs = nn.ModuleList()
        for level in range(1, len(self.stages)):
            out = nn.Conv2d(features, 3, 9, padding=4)
            _mean_of_subpixels(out, (scale >> level) ** 2)
            self.outs.append(out)
        self.level, self.alpha = len(self.stages), 1.0

    @property
    def levels(self) -> int:
        """Levels of the fully grown network."""
        return len(self.stages)

    @property
    def grown(self) -> bool:
        """Whether all layers are in use and none is fading in."""
        return self.level == self.levels and self.alpha == 1

    def set_growth(self, level: int, alpha: float) -> None:
        """Use `level` stages (1 to `levels`), the newest with weight `alpha` (0 to 1)."""
        if not 1 <= level <= self.levels or not 0 <= alpha <= 1:
            raise ValueError(f"SRPGGAN: no growth of level {level} and alpha {alpha}")
        self.level, self.alpha = level, float(alpha)

    def get_extra_state(self) -> dict[str, Any]:
        """Growth, as a part of the state dict."""
        return {"level": self.level, "alpha": self.alpha}

    def set_extra_state(self, state: Any) -> None:
        """The inverse of `get_extra_state`."""
        self.set_growth(state["level"], state["alpha"])

    def graph(self, lr: Tensor) -> Tensor:
        """Images `(N, 3, H * 2**level, W * 2**level)` of the network as far as it has grown."""
        first = self.head(lr)
        x = first + self.trunk_end(self.trunk(first))
        for number in range(self.level - 1):
            x = self.stages[number](x)
        image: Tensor = self._output(self.level)(self.stages[self.level - 1](x))
        if self.alpha < 1 and self.level > 1:
            small = F.interpolate(self._output(self.level - 1)(x), scale_factor=2, mode="nearest")
            image = self.alpha * image + (1 - self.alpha) * small
        return image

    def _output(self, level: int) -> nn.Conv2d:
        out = self.out if level == self.levels else self.outs[level - 1]
        assert isinstance(out, nn.Conv2d)
        return out

    @torch.no_grad()
    def start_from(self, trained: SRResNet) -> None:
        """Take over a trained SRResNet of this scale or a smaller one.

        A smaller one's output becomes that of its level, and the stages behind it begin as smooth
        enlargements of its first three features, which in our SRResNets carry the image.

        Raises:
            InputError: The two differ in features or blocks, or `trained` is larger, or its tail
                is not that of the report's form.
        """
        if trained.tail != "image" or trained.scale > self.scale:
            raise InputError(
                f"an SRPGGAN x{self.scale} starts from an SRResNet with tail 'image' of the same "
                f"or a smaller scale, not from tail {trained.tail!r}, x{trained.scale}"
            )
        level = len(trained.stages)
        state = {k: v for k, v in trained.state_dict().items() if not k.startswith("out.")}
        try:
            self.load_state_dict(state, strict=False)
        except RuntimeError as error:
            raise InputError("SRPGGAN: the starting SRResNet has another width") from error
        if len(trained.trunk) != len(self.trunk):
            raise InputError("SRPGGAN: the starting SRResNet has another number of blocks")
        self._output(level).load_state_dict(trained.out.state_dict())
        for number in range(level, self.levels):
            stage = self.stages[number]
            assert isinstance(stage, SubPixel)
            _enlarge_image(stage)
            _mean_of_subpixels(self._output(number + 1), 1)


@torch.no_grad()
def _mean_of_subpixels(out: nn.Conv2d, count: int) -> None:
    """Make each colour the mean of its `count` sub-pixels among the features."""
    assert out.bias is not None
    out.bias.zero_()
    out.weight.zero_()
    for channel in range(3):
        out.weight[channel, channel * count : (channel + 1) * count, 4, 4] = 1 / count


def _enlarge_image(stage: SubPixel) -> None:
    """Make the first three features the bilinear enlargement of the first three it gets."""
    taps = bilinear_taps(2)
    assert stage.conv.bias is not None
    stage.conv.weight[:12] = 0.0
    stage.conv.bias[:12] = 0.0
    for channel in range(3):
        for i in range(2):
            for j in range(2):
                index = (channel * 2 + i) * 2 + j
                stage.conv.weight[index, channel] = torch.outer(taps[i], taps[j])
    stage.act.weight[:3] = 1.0
