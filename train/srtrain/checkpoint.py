"""Checkpoints: written whole or not at all, carrying their recipe."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from srsdk.errors import InputError
from srsdk.files import replacing
from srtrain.config import Recipe, recipe_from_dict
from srtrain.models import Generator, build_generator

FORMAT = 1


@dataclass
class Checkpoint:
    """State of a run.

    Attributes:
        recipe: What is being run.
        step: Finished iterations.
        seconds: Wall clock spent on them.
        generator: State dict of the generator.
        ema: State dict of its moving average.
        optimiser: State dict of the optimiser.
        history: Names of the recipes before this one, with their steps and seconds.
        data: Training sets, with the number of pictures in each.
        hardware: What it runs on.
        critic: State dict of the critic or discriminator, if there is one.
        critic_optimiser: State dict of its optimiser.
        scores: Score name to value; empty until the run has ended.
    """

    recipe: Recipe
    step: int
    seconds: float
    generator: dict[str, Any]
    ema: dict[str, Any]
    optimiser: dict[str, Any]
    history: list[dict[str, Any]]
    data: str = ""
    hardware: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    critic: dict[str, Any] | None = None
    critic_optimiser: dict[str, Any] | None = None

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        state = {**vars(self), "recipe": self.recipe.to_dict(), "format": FORMAT}
        with replacing(path) as part:
            torch.save(state, part)

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a checkpoint, onto the CPU.

        Raises:
            InputError: The file is missing, or not a checkpoint of srsdk-train.
        """
        try:
            with warnings.catch_warnings():  # torch remarks on TorchScript archives, then refuses
                warnings.simplefilter("ignore", UserWarning)
                state = torch.load(path, map_location="cpu", weights_only=True)
        except OSError as error:
            raise InputError(f"cannot read checkpoint {path}: {error.strerror or error}") from error
        except (RuntimeError, EOFError, LookupError, ValueError, pickle.UnpicklingError) as error:
            raise InputError(f"{path} is not a checkpoint of srsdk-train") from error
        if not isinstance(state, dict) or state.pop("format", None) != FORMAT:
            raise InputError(f"{path} is not a checkpoint of srsdk-train (format {FORMAT})")
        try:
            return cls(**{**state, "recipe": recipe_from_dict(state["recipe"])})
        except (KeyError, TypeError) as error:
            raise InputError(f"{path} is not a whole checkpoint of srsdk-train: {error}") from error

    def build(self) -> Generator:
        """The averaged generator, ready to judge or export."""
        model = build_generator(self.recipe.model)
        model.load_state_dict(self.ema)
        return model.eval()
