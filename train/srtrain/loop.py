"""The training loop: content loss alone, NSGAN or WGAN-GP, growing or not."""

from __future__ import annotations

import contextlib
import logging
import math
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srsdk.errors import InputError, SrsdkError
from srtrain.batches import Batches
from srtrain.checkpoint import Checkpoint
from srtrain.config import Recipe
from srtrain.data import Pairs, load_training, teach
from srtrain.ema import Ema
from srtrain.images import fade, reduce, to_pixels, to_tensor
from srtrain.judge import score_sets
from srtrain.losses import VggLoss, build_content, build_objective, load_vgg
from srtrain.metrics import mean_psnr
from srtrain.models import SRPGGAN, Critic, build_adversary, growth_levels
from srtrain.parallel import Alone, Processes, average_gradients
from srtrain.record import Record
from srtrain.schedule import growth, learning_rate, progress
from srtrain.scoring import load_sets
from srtrain.start import first_weights
from srtrain.upscalers import Upscaler, network_upscaler, open_upscaler

__all__ = ["TrainingDivergedError", "evaluate", "load_dev", "run", "to_pixels", "to_tensor"]

log = logging.getLogger(__name__)

OnStep = Callable[[int, float, Mapping[str, float]], None]
"""Called with the finished step, the share of the run that is done, and the losses by name."""


class TrainingDivergedError(SrsdkError, ArithmeticError):
    """A loss or a weight is no longer finite."""


def run(
    recipe: Recipe,
    data: Path,
    output: Path,
    *,
    budget: float = math.inf,
    device: str = "cpu",
    on_step: OnStep | None = None,
    processes: Processes | None = None,
    tensorboard: bool = False,
) -> Checkpoint:
    """Train to the end of the recipe, or plan its schedule into a wall-clock budget.

    Resumes from `output/last.pt` where there is one; on the CPU the result is then the same bit for
    bit (for a run that is planned by steps). All that is random is a function of the recipe's seed
    and the step, so networks, averages, growth and optimisers are all the state there is.

    Args:
        recipe: What to train.
        data: Root of the recipe's shards and folders.
        output: Folder for checkpoints; made if missing.
        budget: Seconds of training, earlier parts of a resumed run counted in.
        device: A torch device.
        on_step: Progress callback.
        processes: Those that share each batch (`srtrain.parallel.launch`); None for this one alone.
        tensorboard: Write scalars and sample pictures to `output/tensorboard`.

    Returns:
        The last checkpoint, with its scores on the dev sets; also in `output/last.pt`.

    Raises:
        InputError: Recipe, data or checkpoint are missing or unusable.
        TrainingDivergedError: A loss or weight became NaN or infinite; the last checkpoint stays.
    """
    if recipe.run.compile and recipe.model.grows:
        raise InputError("run.compile does not go with a network that grows")
    processes = processes or Alone()
    output.mkdir(parents=True, exist_ok=True)
    last, where, config = output / "last.pt", torch.device(device), recipe.run
    torch.manual_seed(config.seed)

    # What is trained.
    generator, history = first_weights(recipe)
    generator = generator.to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    ema = Ema(generator, config.ema)
    optimiser = torch.optim.Adam(
        generator.parameters(), lr=config.learning_rate, betas=(config.beta1, config.beta2)
    )
    content_growing, content_grown = (loss.to(where) for loss in build_content(recipe))
    adversarial, critic, critic_optimiser = build_objective(recipe), None, None
    if adversarial is not None:
        critic = build_adversary(recipe)
        critic.to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
        betas = (recipe.adversary.beta1, recipe.adversary.beta2)
        critic_optimiser = torch.optim.Adam(critic.parameters(), betas=betas)
    levels = growth_levels(recipe)
    step, seconds = 0, 0.0
    if last.exists():
        saved = Checkpoint.load(last)
        if (critic is None) != (saved.critic is None):
            which = "a" if critic is None else "no"
            raise InputError(f"{last} has {which} critic to resume with; choose another --output")
        try:
            generator.load_state_dict(saved.generator)
            ema.module.load_state_dict(saved.ema)
            optimiser.load_state_dict(saved.optimiser)
            if critic is not None and critic_optimiser is not None:
                critic.load_state_dict(saved.critic or {})
                critic_optimiser.load_state_dict(saved.critic_optimiser or {})
        except (RuntimeError, ValueError, KeyError) as error:
            raise InputError(
                f"{last} was left by a recipe with other networks; choose another --output"
            ) from error
        step, seconds, history = saved.step, saved.seconds, saved.history
        log.info("resumed at step %d", step)

    # What it is trained on.
    faces = load_training(data, recipe.data, recipe.model.scale, config.seed)
    teacher = _teacher(recipe, device)
    if teacher is not None and isinstance(faces, Pairs) and not faces.camera:
        faces = teach(faces, teacher.upscale, output)
    dev = load_dev(recipe, data)
    log.info("%d training faces, %d parameters", len(faces), _size(generator))
    forward = torch.compile(generator) if config.compile else generator
    scores: dict[str, float] = {}

    def checkpoint() -> Checkpoint:
        now = Checkpoint(
            recipe, step, seconds, generator.state_dict(), ema.module.state_dict(),
            optimiser.state_dict(), history, faces.summary, _hardware(where), scores,
            critic.state_dict() if critic is not None else None,
            critic_optimiser.state_dict() if critic_optimiser is not None else None,
        )  # fmt: skip
        _check_weights(now)
        if processes.rank == 0:
            now.save(last)
        return now

    started = time.monotonic() - seconds
    done = progress(config, step, seconds, budget)
    turns = 1 + (recipe.adversary.steps if critic is not None else 0)
    batches = Batches(
        faces, config.batch, recipe.data.lr_patch, config.seed,
        turns=turns, workers=recipe.data.workers, rank=processes.rank, processes=processes.count,
    )  # fmt: skip
    with batches, Record(output, enabled=tensorboard and processes.rank == 0) as record:
        while done < 1:
            level, alpha = growth(done, levels, recipe.grow.fade)
            _set_growth(generator, ema.module, critic, levels, level, alpha)
            factor = 2 ** (levels - 1 - level)  # what is still missing to the full resolution
            generator.train()
            if done >= config.freeze_norm_at:
                _freeze_norm(generator)
            losses: dict[str, float] = {}

            # The critic's turns.
            if adversarial is not None and critic is not None and critic_optimiser is not None:
                objective, _ = adversarial
                peak = recipe.adversary.learning_rate
                _set_rate(critic_optimiser, learning_rate(config, step, done, peak))
                critic.train()
                for turn in range(1, turns):
                    batch = batches.at(step, turn)
                    real = fade(reduce(to_tensor(batch.hr, where), factor), alpha)
                    with _autocast(where, config.precision):
                        with torch.no_grad():
                            fake = forward(to_tensor(batch.lr, where))
                        random = _random(config.seed, step, turn, processes.rank)
                        loss: Tensor = objective.critic_loss(critic, real, fake, random)
                    losses["critic"] = _finite("critic", loss, step)
                    critic_optimiser.zero_grad(set_to_none=True)
                    loss.backward()  # type: ignore[no-untyped-call]
                    average_gradients(processes, critic)
                    critic_optimiser.step()

            # The generator's.
            batch = batches.at(step)
            lr, hr = to_tensor(batch.lr, where), reduce(to_tensor(batch.hr, where), factor)
            _set_rate(optimiser, learning_rate(config, step, done))
            content = content_grown if level == levels - 1 else content_growing
            with _autocast(where, config.precision), _frozen(critic):
                sr = forward(lr)
                loss = content(sr.float(), hr)
                losses["content"] = _finite("content", loss, step)
                if teacher is not None:
                    taught = teacher.upscale(batch.lr) if batch.taught is None else batch.taught
                    distance = F.l1_loss(sr.float(), to_tensor(taught, where))
                    losses["teacher"] = _finite("teacher", distance, step)
                    loss = loss + recipe.loss.teacher * distance
                if adversarial is not None and critic is not None:
                    objective, weight = adversarial
                    deceived = objective.generator_loss(critic, sr)
                    losses["adversarial"] = _finite("adversarial", deceived, step)
                    loss = loss + weight * deceived
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            average_gradients(processes, generator)
            optimiser.step()
            step += 1
            ema.update(generator, step)

            # Bookkeeping.
            seconds = time.monotonic() - started
            done = processes.agree(progress(config, step, seconds, budget))
            if on_step is not None and processes.rank == 0:
                on_step(step, done, losses)
            record.scalars("loss", losses, step)
            if step % config.checkpoint_every == 0:
                checkpoint()
            if step % config.evaluate_every == 0 and processes.rank == 0:
                few = evaluate(ema.module, dev, limit=48)
                for name, score in few.items():
                    log.info("step %d (%.0f s): %s %.3f dB", step, seconds, name, score)
                record.scalars("psnr_rgb", few, step)
                record.picture(ema.module, dev, step)
        _set_growth(generator, ema.module, critic, levels, levels - 1, 1.0)
        checkpoint()
        scores = _final_scores(recipe, ema.module, dev, data)
        return checkpoint()


def load_dev(recipe: Recipe, data: Path) -> dict[str, Pairs]:
    """The recipe's dev sets by name (the file name up to the shard number)."""
    return load_sets(data, recipe.data.dev, recipe.model.scale, recipe.data.hr_side)


@torch.no_grad()
def evaluate(model: nn.Module, dev: dict[str, Pairs], limit: int | None = None) -> dict[str, float]:
    """PSNR on each dev set (its first `limit` images) as the protocol defines it.

    A network that is still growing is judged at the resolution that it has.
    """
    device = next(model.parameters()).device
    scores = {}
    for name, pairs in dev.items():
        hr = pairs.hr[:limit]
        if isinstance(model, SRPGGAN) and model.level < model.levels:
            factor = 2 ** (model.levels - model.level)
            hr = to_pixels(reduce(to_tensor(hr, torch.device("cpu")), factor))
        few = Pairs(hr, pairs.lr[:limit])
        scores[name] = mean_psnr(lambda lr: to_pixels(model(to_tensor(lr, device))), few)
    return scores


def _final_scores(
    recipe: Recipe, model: nn.Module, dev: dict[str, Pairs], data: Path
) -> dict[str, float]:
    """What the card tells: the protocol's scores, and for a recipe of cameras theirs as well."""
    sets = dict(dev)
    if recipe.data.degradation == "camera":
        scale, side = recipe.model.scale, recipe.data.hr_side
        camera = load_sets(data, recipe.data.dev, scale, side, camera=True)
        sets.update({f"{name} (camera)": pairs for name, pairs in camera.items()})
    vgg = None
    if recipe.vgg.weights:
        vgg = VggLoss(load_vgg(Path(recipe.vgg.weights), recipe.vgg.layers))
    upscaler = network_upscaler(recipe.name, model, recipe.model.scale)
    return score_sets(upscaler, sets, vgg)


def _teacher(recipe: Recipe, device: str) -> Upscaler | None:
    if not recipe.loss.teacher:
        return None
    if not recipe.run.teacher:
        raise InputError("loss.teacher needs a generator: --set run.teacher=FILE")
    return open_upscaler(Path(recipe.run.teacher), device).reduced(recipe.model.scale)


def _set_growth(
    generator: nn.Module,
    average: nn.Module,
    critic: nn.Module | None,
    levels: int,
    level: int,
    alpha: float,
) -> None:
    """Bring all networks to a level of the run (0 is its first resolution)."""
    for module in (generator, average):
        if isinstance(module, SRPGGAN):
            module.set_growth(module.levels - levels + 1 + level, alpha)
    if isinstance(critic, Critic):
        critic.set_growth(level, alpha)


def _set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


def _autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


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


def _random(seed: int, step: int, turn: int, rank: int) -> torch.Generator:
    number = np.random.SeedSequence([seed, step, turn, rank]).generate_state(1)[0]
    return torch.Generator().manual_seed(int(number))


def _finite(name: str, loss: Tensor, step: int) -> float:
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrainingDivergedError(
            f"{name} loss is {value} at step {step + 1}; lower run.learning_rate"
        )
    return value


def _check_weights(checkpoint: Checkpoint) -> None:
    """A loss may be finite and its gradient not; such weights must not replace the last good."""
    for part in ("generator", "critic"):
        for name, value in (getattr(checkpoint, part) or {}).items():
            if isinstance(value, Tensor) and not value.isfinite().all():
                raise TrainingDivergedError(
                    f"{part} weight {name} is not finite at step {checkpoint.step}; "
                    "lower run.learning_rate"
                )


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads, {platform.machine()}"


def _size(module: nn.Module) -> int:
    return sum(map(torch.numel, module.parameters()))


def _freeze_norm(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
