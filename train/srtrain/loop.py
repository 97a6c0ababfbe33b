"""The training loop."""

from __future__ import annotations

import logging
import math
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from srsdk.errors import SrsdkError
from srtrain.checkpoint import Checkpoint
from srtrain.config import Recipe, RunConfig
from srtrain.data import Pairs, find_sets, load_pairs, load_training, sample_batch
from srtrain.degrade import Pixels
from srtrain.ema import Ema
from srtrain.losses import ContentLoss
from srtrain.metrics import mean_psnr
from srtrain.models import Generator, SRResNet, build_generator
from srtrain.models.srresnet import grow_tail

log = logging.getLogger(__name__)

OnStep = Callable[[int, float, float], None]
"""Called with the finished step, the share of the run that is done, and the loss."""


class TrainingDivergedError(SrsdkError, ArithmeticError):
    """The loss is no longer finite."""


def to_tensor(pixels: Pixels, device: torch.device) -> Tensor:
    """`(N, H, W, 3)` u8 to `(N, 3, H, W)` float32 in [0, 1], channels last in memory."""
    return torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float().div_(255)


def to_pixels(images: Tensor) -> Pixels:
    """`(N, 3, H, W)` in [0, 1] to `(N, H, W, 3)` u8, rounded half to even as the runtime does."""
    scaled = images.float().mul(255).clamp_(0, 255).round_().to(torch.uint8)
    return np.ascontiguousarray(scaled.permute(0, 2, 3, 1).cpu().numpy())


def run(
    recipe: Recipe,
    data: Path,
    output: Path,
    *,
    budget: float = math.inf,
    device: str = "cpu",
    on_step: OnStep | None = None,
) -> Checkpoint:
    """Train to the end of the recipe, or plan its schedule into a wall-clock budget.

    Resumes from `output/last.pt` where there is one; on the CPU the result is then the same bit for
    bit (for a run that is planned by steps).

    Args:
        recipe: What to train.
        data: Root of the recipe's shards and folders.
        output: Folder for checkpoints; made if missing.
        budget: Seconds of training, earlier parts of a resumed run counted in.
        device: A torch device.
        on_step: Progress callback.

    Returns:
        The last checkpoint, with its scores on the dev sets; also in `output/last.pt`.

    Raises:
        InputError: Data or checkpoint are missing or unusable.
        TrainingDivergedError: The loss became NaN or infinite; the last checkpoint stays.
    """
    output.mkdir(parents=True, exist_ok=True)
    last = output / "last.pt"
    where, config = torch.device(device), recipe.run
    torch.manual_seed(config.seed)
    model, history = _first_weights(recipe)
    model = model.to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    ema = Ema(model, config.ema)
    optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    step, seconds = 0, 0.0
    if last.exists():
        saved = Checkpoint.load(last)
        model.load_state_dict(saved.generator)
        ema.module.load_state_dict(saved.ema)
        optimiser.load_state_dict(saved.optimiser)
        step, seconds, history = saved.step, saved.seconds, saved.history
        log.info("resumed at step %d", step)
    pairs = load_training(data, recipe.data, recipe.model.scale, config.seed)
    dev = load_dev(recipe, data)
    log.info(
        "%d training pairs, %d parameters", len(pairs), sum(map(torch.numel, model.parameters()))
    )
    content = ContentLoss(recipe.loss)
    scores: dict[str, float] = {}

    def checkpoint() -> Checkpoint:
        now = Checkpoint(
            recipe, step, seconds, model.state_dict(), ema.module.state_dict(),
            optimiser.state_dict(), history, pairs.summary, _hardware(where), scores,
        )  # fmt: skip
        now.save(last)
        return now

    started = time.monotonic() - seconds
    done = _progress(config, step, seconds, budget)
    while done < 1:
        for group in optimiser.param_groups:
            group["lr"] = _learning_rate(config, step, done)
        model.train()
        if done >= config.freeze_norm_at:
            _freeze_norm(model)
        lr, hr = sample_batch(pairs, config.batch, recipe.data.lr_patch, config.seed, step)
        loss = content(model(to_tensor(lr, where)), to_tensor(hr, where))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        step += 1
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingDivergedError(f"loss is {value} at step {step}; lower run.learning_rate")
        ema.update(model, step)
        seconds = time.monotonic() - started
        done = _progress(config, step, seconds, budget)
        if on_step is not None:
            on_step(step, done, value)
        if step % config.checkpoint_every == 0:
            checkpoint()
        if step % config.evaluate_every == 0:
            for name, score in evaluate(ema.module, dev, limit=48).items():
                log.info("step %d (%.0f s): %s %.3f dB", step, seconds, name, score)
    scores = {f"psnr_rgb/{name}": score for name, score in evaluate(ema.module, dev).items()}
    return checkpoint()


def load_dev(recipe: Recipe, data: Path) -> dict[str, Pairs]:
    """The recipe's dev sets by name (the file name up to the shard number)."""
    sets = find_sets(data, recipe.data.dev)
    scale, side = recipe.model.scale, recipe.data.hr_side
    return {path.stem.rsplit("-", 1)[0]: load_pairs([path], scale, side) for path in sets}


@torch.no_grad()
def evaluate(model: nn.Module, dev: dict[str, Pairs], limit: int | None = None) -> dict[str, float]:
    """PSNR on each dev set (its first `limit` images) as the protocol defines it."""
    device = next(model.parameters()).device
    scores = {}
    for name, pairs in dev.items():
        few = Pairs(pairs.hr[:limit], pairs.lr[:limit])
        scores[name] = mean_psnr(lambda lr: to_pixels(model(to_tensor(lr, device))), few)
    return scores


def _first_weights(recipe: Recipe) -> tuple[Generator, list[dict[str, object]]]:
    model = build_generator(recipe.model)
    if not recipe.run.start_from:
        return model, []
    saved = Checkpoint.load(Path(recipe.run.start_from))
    start = saved.build()
    if isinstance(start, SRResNet) and isinstance(model, SRResNet) and start.tail != model.tail:
        grow_tail(start, model)
    else:
        model.load_state_dict(start.state_dict())
    before = {"recipe": saved.recipe.name, "steps": saved.step, "seconds": saved.seconds}
    return model, [*saved.history, before]


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads, {platform.machine()}"


def _progress(config: RunConfig, step: int, seconds: float, budget: float) -> float:
    return max(step / config.steps, seconds / budget)


def _learning_rate(config: RunConfig, step: int, done: float) -> float:
    cosine = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    share = config.final_rate + (1 - config.final_rate) * cosine
    return config.learning_rate * share * min(1.0, (step + 1) / max(config.warmup, 1))


def _freeze_norm(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
