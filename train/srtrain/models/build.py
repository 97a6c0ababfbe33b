"""From a recipe's `[model]` table to a generator."""

from __future__ import annotations

from srtrain.config import ModelConfig
from srtrain.models.base import Generator
from srtrain.models.edge import Edge
from srtrain.models.srresnet import SRResNet


def build_generator(config: ModelConfig) -> Generator:
    """A freshly initialised generator.

    Raises:
        ValueError: The architecture is unknown, or its options do not fit together.
    """
    if config.architecture == "srresnet":
        return SRResNet(config.scale, config.features, config.blocks, config.tail)
    if config.architecture == "edge":
        return Edge(
            config.scale, config.features, config.blocks, config.tail_kernel, config.expansion
        )
    raise ValueError(f"unknown architecture {config.architecture!r}; known: edge, srresnet")
