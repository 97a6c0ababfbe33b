"""What a run changes as it goes: networks, optimisers, the moving average, counters."""

from __future__ import annotations

import logging
import math
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from srsdk.errors import InputError, SrsdkError
from srtrain.checkpoint import Checkpoint
from srtrain.config import Recipe
from srtrain.ema import Ema
from srtrain.losses import Objective, build_objective
from srtrain.models import SRPGGAN, Critic, Generator, build_adversary
from srtrain.start import first_weights

log = logging.getLogger(__name__)


class TrainingDivergedError(SrsdkError, ArithmeticError):
    """A loss or a weight is no longer finite."""


@dataclass(frozen=True)
class Adversary:
    """The second player of a GAN: critic or discriminator, with its objective.

    Attributes:
        network: Critic or discriminator.
        optimiser: Its optimiser.
        objective: What both players are after.
        weight: Weight of the objective in the generator's loss.
    """

    network: nn.Module
    optimiser: torch.optim.Optimizer
    objective: Objective
    weight: float


@dataclass
class State:
    """State of a run; `build` makes the first one, `resume` takes one from a checkpoint.

    Attributes:
        recipe: What is trained.
        device: Where.
        generator: The generator.
        forward: The generator as it is run, compiled where the recipe asks for it.
        ema: Its moving average.
        optimiser: Its optimiser.
        adversary: The second player; None without an adversarial loss.
        history: Recipes before this one.
        step: Finished iterations.
        seconds: Wall clock spent on them.
        scores: Scores of the finished run.
    """

    recipe: Recipe
    device: torch.device
    generator: Generator
    forward: Any
    ema: Ema
    optimiser: torch.optim.Optimizer
    adversary: Adversary | None
    history: list[dict[str, Any]]
    step: int = 0
    seconds: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)

    @classmethod
    def build(cls, recipe: Recipe, device: torch.device) -> State:
        """Networks and optimisers as they are before the first step.

        Raises:
            InputError: The recipe does not fit together, or its first weights do not fit.
        """
        torch.manual_seed(recipe.run.seed)
        config = recipe.run
        generator, history = first_weights(recipe)
        generator = _placed(generator, device)
        betas = (config.beta1, config.beta2)
        return cls(
            recipe,
            device,
            generator,
            torch.compile(generator) if config.compile else generator,
            Ema(generator, config.ema),
            _adam(generator, device, config.learning_rate, betas),
            _build_adversary(recipe, device),
            history,
        )

    def resume(self, path: Path) -> None:
        """Go on where a checkpoint of this recipe was written.

        Raises:
            InputError: It is not a checkpoint, or has other networks.
        """
        saved = Checkpoint.load(path)
        if (self.adversary is None) != (saved.critic is None):
            which = "a" if self.adversary is None else "no"
            raise InputError(f"{path} has {which} critic to resume with; choose another --output")
        try:
            self.generator.load_state_dict(saved.generator)
            self.ema.module.load_state_dict(saved.ema)
            self.optimiser.load_state_dict(saved.optimiser)
            if self.adversary is not None:
                self.adversary.network.load_state_dict(saved.critic or {})
                self.adversary.optimiser.load_state_dict(saved.critic_optimiser or {})
        except (RuntimeError, ValueError, KeyError) as error:
            raise InputError(
                f"{path} was left by a recipe with other networks; choose another --output"
            ) from error
        self.step, self.seconds, self.history = saved.step, saved.seconds, saved.history
        log.info("resumed at step %d", self.step)

    def checkpoint(self, data: str) -> Checkpoint:
        """The state as a checkpoint.

        Args:
            data: The training sets, with the number of pictures in each.

        Raises:
            TrainingDivergedError: A weight is not finite.
        """
        adversary = self.adversary
        saved = Checkpoint(
            self.recipe,
            self.step,
            self.seconds,
            self.generator.state_dict(),
            self.ema.module.state_dict(),
            self.optimiser.state_dict(),
            self.history,
            data,
            _hardware(self.device),
            self.scores,
            adversary.network.state_dict() if adversary is not None else None,
            adversary.optimiser.state_dict() if adversary is not None else None,
        )
        _check_weights(saved)
        return saved

    def set_growth(self, levels: int, level: int, alpha: float) -> None:
        """Bring all networks to a level of the run (0 is its first resolution)."""
        for module in (self.generator, self.ema.module):
            if isinstance(module, SRPGGAN):
                module.set_growth(module.levels - levels + 1 + level, alpha)
        if self.adversary is not None and isinstance(self.adversary.network, Critic):
            self.adversary.network.set_growth(level, alpha)

    def freeze_norm(self) -> None:
        """Let batch norm use its running statistics."""
        for module in self.generator.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()

    @property
    def parameters(self) -> int:
        """Number of the generator's parameters."""
        return sum(map(torch.numel, self.generator.parameters()))


def _build_adversary(recipe: Recipe, device: torch.device) -> Adversary | None:
    objective = build_objective(recipe)
    if objective is None:
        return None
    config = recipe.adversary
    network = _placed(build_adversary(recipe), device)
    rate = config.learning_rate or recipe.run.learning_rate
    optimiser = _adam(network, device, rate, (config.beta1, config.beta2))
    return Adversary(network, optimiser, *objective)


def _placed(module: Any, device: torch.device) -> Any:
    return module.to(device, memory_format=torch.channels_last)


def _adam(
    module: nn.Module, device: torch.device, rate: float, betas: tuple[float, float]
) -> torch.optim.Optimizer:
    fused = device.type == "cuda"  # one launch in place of one for each weight
    return torch.optim.Adam(module.parameters(), lr=rate, betas=betas, fused=fused)


def _check_weights(checkpoint: Checkpoint) -> None:
    """Raise where a weight is not finite, so that no such checkpoint replaces a good one.

    The loss may be finite while its gradient is not.
    """
    for part in ("generator", "critic"):
        for name, value in (getattr(checkpoint, part) or {}).items():
            if isinstance(value, Tensor) and not value.isfinite().all():
                raise TrainingDivergedError(
                    f"{part} weight {name} is not finite at step {checkpoint.step}; "
                    "lower run.learning_rate"
                )


def check_losses(losses: dict[str, Tensor], step: int) -> dict[str, float]:
    """The losses as numbers.

    Raises:
        TrainingDivergedError: One is not finite.
    """
    values = dict(zip(losses, torch.stack(list(losses.values())).tolist(), strict=True))
    for name, value in values.items():
        if not math.isfinite(value):
            raise TrainingDivergedError(
                f"{name} loss is {value} at step {step}; lower run.learning_rate"
            )
    return values


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads, {platform.machine()}"
