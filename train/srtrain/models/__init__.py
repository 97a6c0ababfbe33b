"""The networks.

Every generator is a `Generator`: `graph(lr)` is what is exported (all of it before the last pixel
shuffle and the base image), `forward(lr)` the upscaled image in [0, 1].
"""

from srtrain.models.base import Generator
from srtrain.models.build import build_adversary, build_generator, growth_levels
from srtrain.models.critic import Critic
from srtrain.models.discriminator import Discriminator, PatchDiscriminator
from srtrain.models.edge import Edge, RepConv
from srtrain.models.srpggan import SRPGGAN
from srtrain.models.srresnet import SRResNet

__all__ = [
    "SRPGGAN",
    "Critic",
    "Discriminator",
    "Edge",
    "Generator",
    "PatchDiscriminator",
    "RepConv",
    "SRResNet",
    "build_adversary",
    "build_generator",
    "growth_levels",
]
