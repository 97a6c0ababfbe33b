"""Reads a checkpoint; this and the "torch" runtime of `verify` need torch.

The result is in NumPy: the generator's layers in order, with batch norm and parallel branches
folded into plain convolutions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from srsdk.errors import BackendUnavailableError, InputError
from srsdk.onnxfile import Array
from srsdk.spec import Base, ModelSpec, TrainingSummary

if TYPE_CHECKING:
    from srtrain.checkpoint import Checkpoint
    from srtrain.models import Edge, Generator, SRResNet


@dataclass(frozen=True)
class Conv:
    """A convolution, zero-padded by k // 2; weight `(out, in, k, k)`, bias `(out,)`."""

    weight: Array
    bias: Array


@dataclass(frozen=True)
class Relu:
    """max(x, 0)."""


@dataclass(frozen=True)
class PRelu:
    """x where positive, else slope * x; slope `(channels,)`."""

    slope: Array


@dataclass(frozen=True)
class Shuffle:
    """Pixel shuffle by `factor`."""

    factor: int


@dataclass(frozen=True)
class Residual:
    """The input plus the output of `layers`."""

    layers: tuple[Layer, ...]


Layer = Conv | Relu | PRelu | Shuffle | Residual


@dataclass(frozen=True)
class LayeredGenerator:
    """A generator, ready for export.

    Attributes:
        layers: Its layers up to and including the last pixel shuffle.
        spec: Its contract, with `tail="image"` as in `layers`.
    """

    layers: tuple[Layer, ...]
    spec: ModelSpec


def read_checkpoint(path: Path) -> LayeredGenerator:
    """Read and fold a checkpoint of srsdk-train.

    Raises:
        BackendUnavailableError: torch is not installed.
        InputError: The file is missing, or not a checkpoint.
    """
    try:
        from srtrain.checkpoint import Checkpoint
    except ImportError as error:
        raise BackendUnavailableError(
            "reading a checkpoint needs PyTorch: pip install 'srsdk[export]'"
        ) from error
    saved = Checkpoint.load(path)
    model = saved.build()
    return LayeredGenerator(fold(model), _spec(saved, model))


def fold(model: Generator) -> tuple[Layer, ...]:
    """The layers of a generator in evaluation mode.

    Raises:
        InputError: It is an SRPGGAN that has not grown to its final size.
    """
    from srtrain.models import SRPGGAN, Edge, SRResNet

    if isinstance(model, Edge):
        return _edge(model)
    if isinstance(model, SRPGGAN) and not model.grown:
        raise InputError(
            f"the generator is still growing (level {model.level} of {model.levels}, alpha "
            f"{model.alpha:g}); run its recipe to the end, then export"
        )
    if isinstance(model, SRResNet):
        return _srresnet(model)
    raise TypeError(f"no export for {type(model).__name__}")


def _edge(model: Edge) -> tuple[Layer, ...]:
    from srtrain.models import RepConv

    layers: list[Layer] = []
    for conv in model.convs:
        assert isinstance(conv, RepConv)
        weight, bias = conv.fold()
        layers += [Conv(_numpy(weight), _numpy(bias)), Relu()]
    return (*layers, _conv(model.out), Shuffle(model.scale))


def _srresnet(model: SRResNet) -> tuple[Layer, ...]:
    from srtrain.models.srresnet import ResidualBlock, SubPixel

    blocks: list[Layer] = []
    trunk_end: Any = model.trunk_end
    for block in model.trunk:
        assert isinstance(block, ResidualBlock)
        first = _conv(block.conv1, block.bn1)
        last = _conv(block.conv2, block.bn2)
        blocks.append(Residual((first, _prelu(block.act), last)))
    trunk = Residual((*blocks, _conv(trunk_end[0], trunk_end[1])))
    layers: list[Layer] = [_conv(model.head[0]), _prelu(model.head[1]), trunk]
    for stage in model.stages:
        assert isinstance(stage, SubPixel)
        layers += [_conv(stage.conv), Shuffle(2), _prelu(stage.act)]
    layers.append(_conv(model.out))
    if model.shuffle > 1:
        layers.append(Shuffle(model.shuffle))
    return tuple(layers)


def _conv(conv: Any, norm: Any = None) -> Conv:
    weight = _numpy(conv.weight).astype(np.float64)
    bias = np.zeros(len(weight)) if conv.bias is None else _numpy(conv.bias).astype(np.float64)
    if norm is not None:
        gain = _numpy(norm.weight) / np.sqrt(_numpy(norm.running_var).astype(np.float64) + norm.eps)
        weight = weight * gain[:, None, None, None]
        bias = (bias - _numpy(norm.running_mean)) * gain + _numpy(norm.bias)
    return Conv(weight.astype(np.float32), bias.astype(np.float32))


def _prelu(act: Any) -> PRelu:
    return PRelu(_numpy(act.weight))


def _numpy(tensor: Any) -> Array:
    array: Array = tensor.detach().cpu().float().numpy()
    return array


def _spec(saved: Checkpoint, model: Generator) -> ModelSpec:
    base: Base = model.base
    steps = saved.step + sum(int(part["steps"]) for part in saved.history)
    seconds = saved.seconds + sum(float(part["seconds"]) for part in saved.history)
    before = [str(part["recipe"]) for part in saved.history]
    losses = [f"{weight:g} {name}" for name, weight in vars(saved.recipe.loss).items() if weight]
    return ModelSpec(
        name=saved.recipe.name,
        architecture=model.architecture,
        scale=model.scale,
        base=base,
        halo=model.halo,
        face_size=saved.recipe.data.face_size,
        training=TrainingSummary(
            recipe=", ".join(dict.fromkeys([*before, saved.recipe.name])),
            data=saved.data,
            terms=saved.recipe.data.terms,
            losses=" + ".join(losses),
            steps=steps,
            seconds=round(seconds),
            hardware=saved.hardware,
            scores=saved.scores,
        ),
    )
