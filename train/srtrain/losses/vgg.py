"""Perceptual loss: distance of VGG19 feature maps (report: "VGG loss"; SRGAN, section 2.2.1)."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srsdk.errors import InputError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_CONVS_IN_BLOCK = (2, 2, 4, 4, 4)  # VGG19; Simonyan and Zisserman, 2014, configuration E
LAYERS = tuple(
    f"conv{block}_{n}"
    for block, count in enumerate(_CONVS_IN_BLOCK, start=1)
    for n in range(1, count + 1)
)
"""Names of the convolutions in order; a layer's features are taken behind its ReLU."""


class VggFeatures(nn.Module):
    """The features of a frozen VGG19 up to the deepest of the wanted layers.

    Two kinds of state dict are understood, told apart by their first key:

    - torchvision's `vgg19` (`features.0.weight`, ...): zero padding; images are brought to
      ImageNet's mean and standard deviation first.
    - the shorter normalised one, a plain `nn.Sequential` with reflection padding whose layer 0 is a
      1x1 convolution that turns RGB in [0, 1] into mean-free BGR * 255 (`0.weight`, `2.weight`,
      `5.weight`, ...).

    Attributes:
        layers: Wanted layers, in the network's order.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, state: Mapping[str, Tensor], layers: Sequence[str]) -> None:
        super().__init__()
        weights = [(key, state[key]) for key in state if key.endswith(".weight")]
        torchvision = any(key.startswith("features.") for key in state)
        if torchvision:
            weights = [(key, weight) for key, weight in weights if key.startswith("features.")]
        weights.sort(key=lambda item: int(item[0].split(".")[-2]))
        self.first: nn.Conv2d | None = None
        if not torchvision:
            key, weight = weights.pop(0)
            self.first = _conv(weight, state[key[: -len("weight")] + "bias"])
        self.padding = "zeros" if torchvision else "reflect"
        known = LAYERS[: len(weights)]
        for name in layers:
            if name not in known:
                raise InputError(
                    f"this VGG19 has no layer {name!r}; it has {known[0]} to {known[-1]} "
                    "(vgg.layers)"
                )
        self.layers = tuple(name for name in known if name in set(layers))
        depth = known.index(self.layers[-1]) + 1
        self.convs = nn.ModuleList(
            _conv(weight, state[key[: -len("weight")] + "bias"]) for key, weight in weights[:depth]
        )
        scale = torchvision
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN if scale else (0.0,) * 3))
        self.register_buffer("std", torch.tensor(IMAGENET_STD if scale else (1.0,) * 3))
        self.requires_grad_(False)
        self.eval()

    def normalise(self, images: Tensor) -> Tensor:
        """What the first convolution of the ImageNet network sees of RGB in [0, 1]."""
        x = (images - self.mean[:, None, None]) / self.std[:, None, None]
        return x if self.first is None else self.first(x)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Features by layer name.

        Args:
            images: `(N, 3, H, W)` RGB in [0, 1], at least 16 pixels a side for all of VGG19.
        """
        x = self.normalise(images)
        features = {}
        for name, conv in zip(LAYERS, self.convs, strict=False):
            if name != "conv1_1" and name.endswith("_1"):
                x = F.max_pool2d(x, 2)
            if self.padding == "reflect":
                x = F.pad(x, (1, 1, 1, 1), mode="reflect")
                x = F.relu(F.conv2d(x, conv.weight, conv.bias))  # type: ignore[arg-type]
            else:
                x = F.relu(conv(x))
            if name in self.layers:
                features[name] = x
        return features


class VggLoss(nn.Module):
    """Mean squared difference of feature maps, averaged over the layers."""

    def __init__(self, features: VggFeatures) -> None:
        super().__init__()
        self.features = features

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Scalar loss of `(N, 3, H, W)` images in [0, 1]."""
        with torch.no_grad():
            wanted = self.features(hr)
        made = self.features(sr)
        terms = [F.mse_loss(made[name].float(), wanted[name].float()) for name in wanted]
        return torch.stack(terms).mean()


def load_vgg(path: Path, layers: Sequence[str]) -> VggFeatures:
    """Read VGG19 weights.

    Args:
        path: State dict of torchvision's `vgg19`, or the shorter normalised one.
        layers: Names out of `LAYERS`.

    Raises:
        InputError: The file is missing or something else, or lacks one of the layers.
    """
    if not layers:
        raise InputError("vgg.layers is empty; name at least one, for instance conv5_4")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"cannot read VGG19 weights {path}: {error.strerror or error}") from error
    except (RuntimeError, EOFError, LookupError, ValueError, pickle.UnpicklingError) as error:
        raise InputError(f"{path} is not a state dict of VGG19") from error
    first = state.get("features.0.weight", state.get("0.weight")) if _is_state(state) else None
    if first is None or first.shape[1:] not in ((3, 3, 3), (3, 1, 1)):
        raise InputError(f"{path} is not a state dict of VGG19")
    return VggFeatures(state, layers)


def _is_state(state: object) -> bool:
    return isinstance(state, Mapping) and all(isinstance(v, Tensor) for v in state.values())


def _conv(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    outputs, inputs, size, _ = weight.shape
    conv = nn.Conv2d(inputs, outputs, size, padding=size // 2)
    conv.load_state_dict({"weight": weight, "bias": bias})
    return conv
