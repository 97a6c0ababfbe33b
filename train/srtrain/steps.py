"""One step of training: the critic's, and the generator's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srtrain.candidates import Candidate
from srtrain.data import Batch
from srtrain.images import fade, reduce, to_tensor
from srtrain.losses import ContentLoss
from srtrain.losses.content import at_phases
from srtrain.parallel import Processes, average_gradients
from srtrain.precision import autocast
from srtrain.state import Adversary, State


@dataclass(frozen=True)
class Growth:
    """How far a network has grown; the only one there is for a network that does not grow.

    Attributes:
        levels: Resolutions of the run.
        level: The present one, 0 is the first.
        alpha: Weight of its new layers, which fade in.
    """

    levels: int
    level: int
    alpha: float

    @property
    def factor(self) -> int:
        """Factor from the present resolution to the full one."""
        return 1 << (self.levels - 1 - self.level)

    @property
    def grown(self) -> bool:
        """Whether the full resolution has been reached."""
        return self.level == self.levels - 1


@dataclass(frozen=True)
class StepContext:
    """What steps need besides the state and a batch.

    Attributes:
        processes: Those that share each batch.
        content: Content loss of the full resolution.
        content_growing: That of the smaller ones.
        teacher: The generator behind `loss.teacher`.
        bf16: Run the networks under autocast.
    """

    processes: Processes
    content: ContentLoss
    content_growing: ContentLoss
    teacher: Candidate | None
    bf16: bool

    def critic(
        self, state: State, adversary: Adversary, batch: Batch, growth: Growth, number: int
    ) -> Tensor:
        """Train the critic on one batch.

        Args:
            state: The run's state; the critic is changed.
            adversary: The critic.
            batch: The batch.
            growth: See there.
            number: Number of the critic step within the step, from 1.

        Returns:
            Its loss, detached.
        """
        lr, hr = _first_frames(batch, state.device)
        real = fade(reduce(hr, growth.factor), growth.alpha)
        with autocast(state.device, self.bf16):
            with torch.no_grad():
                fake = state.forward(lr)
            if state.recipe.adversary.architecture == "patch":
                fake, real = at_phases(fake, real)
            random = _random(state.recipe.run.seed, state.step, number, self.processes.rank)
            loss = adversary.objective.critic_loss(adversary.network, real, fake, random)
        adversary.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        average_gradients(self.processes, adversary.network)
        adversary.optimiser.step()
        return loss.detach().float()

    def generator(self, state: State, batch: Batch, growth: Growth) -> dict[str, Tensor]:
        """Train the generator on one batch.

        Args:
            state: The run's state; the generator is changed, its average is not.
            batch: The batch.
            growth: See `Growth`.

        Returns:
            Its losses by name, detached.
        """
        recipe, adversary = state.recipe, state.adversary
        lr, hr = to_tensor(batch.lr, state.device), to_tensor(batch.hr, state.device)
        hr = reduce(hr, growth.factor)
        content = self.content if growth.grown else self.content_growing
        network = adversary.network if adversary is not None else None
        losses: dict[str, Tensor] = {}
        with autocast(state.device, self.bf16), _frozen(network):
            sr = state.forward(lr)
            loss = content(sr.float(), hr, batch.clips, batch.whole, batch.plain)
            losses["content"] = loss
            if self.teacher is not None:
                output = _teacher_output(self.teacher, batch, state.device)
                losses["teacher"] = F.l1_loss(sr.float(), output)
                loss = loss + recipe.loss.teacher * losses["teacher"]
            if adversary is not None:
                made = sr[: batch.clips or None]
                if recipe.adversary.architecture == "patch":
                    made, _ = at_phases(made, made)
                losses["adversarial"] = adversary.objective.generator_loss(adversary.network, made)
                loss = loss + adversary.weight * losses["adversarial"]
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(self.processes, state.generator)
        state.optimiser.step()
        return {name: value.detach().float() for name, value in losses.items()}


def _first_frames(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    """Low and high resolution; of clips, the first frames: the second ones differ little."""
    part = slice(batch.clips or None)
    return to_tensor(batch.lr[part], device), to_tensor(batch.hr[part], device)


def _teacher_output(teacher: Candidate, batch: Batch, device: torch.device) -> Tensor:
    if batch.teacher_output is not None:
        return to_tensor(batch.teacher_output, device)
    return teacher.tensors(batch.lr, device)


@contextlib.contextmanager
def _frozen(module: nn.Module | None) -> Iterator[None]:
    """The generator's loss must pass through the critic, not into it."""
    if module is not None:
        module.requires_grad_(False)
    try:
        yield
    finally:
        if module is not None:
            module.requires_grad_(True)


def _random(seed: int, step: int, critic_step: int, rank: int) -> torch.Generator:
    number = np.random.SeedSequence([seed, step, critic_step, rank]).generate_state(1)[0]
    return torch.Generator().manual_seed(int(number))
