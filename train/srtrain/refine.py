"""What is done to a finished generator: mixing two, and training a grid out of one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from srsdk.errors import InputError
from srtrain.checkpoint import Checkpoint
from srtrain.config import LossConfig, Recipe


def interpolate(first: Checkpoint, second: Checkpoint, share: float) -> Checkpoint:
    """A generator between two, of which the second was trained from the first.

    Wang et al., "ESRGAN", 2018, section 3.4: between a generator of the best pixels and a GAN made
    from it lie all degrees of sharpness, without the artefacts of a weaker adversarial loss.

    Args:
        first: One end.
        second: The other; its recipe, steps and history are the result's.
        share: Share of the second, 0 to 1.

    Raises:
        InputError: The two have other networks, or `share` is out of range.
    """
    if not 0 <= share <= 1:
        raise InputError(f"share is {share}, expected 0 to 1")
    names = [checkpoint.ema.keys() for checkpoint in (first, second)]
    if names[0] != names[1] or any(
        isinstance(value, Tensor) and value.shape != second.ema[name].shape
        for name, value in first.ema.items()
    ):
        raise InputError(
            f"{first.recipe.name} and {second.recipe.name} have other networks: "
            "only a generator and one that was trained from it can be mixed"
        )
    mixed = {
        name: torch.lerp(value, second.ema[name], share)
        if isinstance(value, Tensor) and value.is_floating_point()
        else second.ema[name]
        for name, value in first.ema.items()
    }
    note = {"recipe": f"{share:.2f} of it mixed into {first.recipe.name}", "steps": 0, "seconds": 0}
    return dataclasses.replace(
        second,
        generator=mixed,
        ema=mixed,
        optimiser={},
        critic=None,
        critic_optimiser=None,
        scores={},
        history=[*second.history, note],
    )


def without_grid(checkpoint: Path, steps: int, rate: float) -> Recipe:
    """The recipe that trains the grid out of a finished generator, and nothing else.

    The generator is its own teacher, so the picture stays as it is but for what the loss against a
    grid changes. Some clips lie out of focus, where a grid shows most and a GAN draws most of it.

    Args:
        checkpoint: The generator.
        steps: Steps of training; some hundreds are enough.
        rate: Learning rate at its peak.

    Raises:
        InputError: The file is missing or no checkpoint.
    """
    recipe = Checkpoint.load(checkpoint).recipe
    data, scale = recipe.data, recipe.model.scale
    return dataclasses.replace(
        recipe,
        data=dataclasses.replace(
            data,
            hr_side=32 * scale,
            clips=data.clips or 8000,
            clean_share=data.clean_share if data.degradation == "camera" else 1.0,
            defocus_share=0.2,
        ),
        loss=LossConfig(l1=0.05, flicker=0.2, teacher=1.0, grid=8.0),
        grow=dataclasses.replace(recipe.grow, start=scale),
        run=dataclasses.replace(
            recipe.run,
            steps=steps,
            learning_rate=rate,
            final_rate=0.05,
            warmup=20,
            ema=0.98,
            freeze_norm_at=0.0,  # its statistics are part of the finished generator
            start_from=str(checkpoint),
            teacher=str(checkpoint),
        ),
    )
