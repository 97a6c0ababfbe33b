"""From a recipe's tables to its networks."""

from __future__ import annotations

import math

from torch import nn

from srsdk.errors import InputError
from srtrain.config import ModelConfig, Recipe
from srtrain.models.base import Generator
from srtrain.models.critic import Critic
from srtrain.models.discriminator import Discriminator, PatchDiscriminator
from srtrain.models.edge import Edge
from srtrain.models.srpggan import SRPGGAN
from srtrain.models.srresnet import SRResNet


def build_generator(config: ModelConfig) -> Generator:
    """A freshly initialised generator.

    Raises:
        ValueError: The architecture is unknown, or its options do not fit together.
    """
    if config.architecture == "srresnet":
        return SRResNet(config.scale, config.features, config.blocks, config.tail)
    if config.architecture == "srpggan":
        return SRPGGAN(config.scale, config.features, config.blocks)
    if config.architecture == "edge":
        return Edge(
            config.scale, config.features, config.blocks, config.tail_kernel, config.expansion
        )
    raise ValueError(
        f"unknown architecture {config.architecture!r}; known: edge, srpggan, srresnet"
    )


def build_adversary(recipe: Recipe) -> nn.Module:
    """A freshly initialised critic for `loss.wgan_gp`, or discriminator for the other objectives.

    Raises:
        InputError: A growing generator is given a discriminator, which cannot grow, or the patch
            has a side that the network cannot halve.
    """
    config = recipe.adversary
    if recipe.model.grows and not recipe.loss.wgan_gp:
        raise InputError("srpggan trains with loss.wgan_gp: SRGAN's discriminator cannot grow")
    if config.architecture == "patch":
        if recipe.loss.wgan_gp:
            raise InputError("loss.wgan_gp needs adversary.architecture = 'report'")
        return PatchDiscriminator(config.features)
    levels = growth_levels(recipe)
    side = recipe.data.lr_patch * recipe.model.scale
    try:
        if recipe.loss.wgan_gp:
            return Critic(
                side,
                config.features,
                config.dense,
                config.norm,
                config.minibatch_stddev,
                config.equalised,
                levels,
            )
        return Discriminator(side, config.features, config.dense)
    except ValueError as error:
        raise InputError(f"{error} (it is data.lr_patch * model.scale)") from error


def growth_levels(recipe: Recipe) -> int:
    """Resolutions that a run goes through; 1 for a network that does not grow.

    Raises:
        InputError: `grow.start` is not a power of two between 2 and the scale.
    """
    if not recipe.model.grows:
        return 1
    start, scale = recipe.grow.start, recipe.model.scale
    if start < 2 or start > scale or start & (start - 1):
        raise InputError(f"grow.start is {start}, expected a power of two from 2 to {scale}")
    return int(math.log2(scale // start)) + 1
