"""The training loop: content loss alone, NSGAN or WGAN-GP, growing or not."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from srsdk.errors import InputError
from srtrain.batches import Batches, BatchSource, ClipBatches
from srtrain.candidates import Candidate, network_candidate, open_candidate
from srtrain.checkpoint import Checkpoint
from srtrain.clips import load_clips
from srtrain.config import Recipe
from srtrain.data import Pairs, load_training, teach
from srtrain.images import reduce, to_pixels, to_tensor
from srtrain.judge import Metrics, open_metrics, score_sets
from srtrain.losses import build_content
from srtrain.metrics import mean_psnr
from srtrain.models import SRPGGAN, growth_levels
from srtrain.parallel import Alone, Processes
from srtrain.precision import uses_bf16
from srtrain.schedule import growth, learning_rate, progress
from srtrain.scoring import load_sets
from srtrain.state import State, TrainingDivergedError, check_losses, set_rate
from srtrain.steps import Growth, StepContext
from srtrain.training_log import TrainingLog

__all__ = ["TrainingDivergedError", "evaluate", "load_dev", "run", "to_pixels", "to_tensor"]

log = logging.getLogger(__name__)

OnStep = Callable[[int, float, Mapping[str, float]], None]
"""Called with the finished step, the share of the run that is done, and the losses by name."""

_READ_EVERY = 25  # steps between looks at the losses on a GPU, each of which waits for it


def run(
    recipe: Recipe,
    data: Path,
    output: Path,
    *,
    budget: float = float("inf"),
    device: str = "cpu",
    on_step: OnStep | None = None,
    processes: Processes | None = None,
    tensorboard: bool = False,
) -> Checkpoint:
    """Train a recipe.

    If `output/last.pt` exists the run goes on from it. On a CPU the result is then the same bit for
    bit (for a run that is planned by steps). All that is random is a function of the recipe's seed
    and the step, so networks, averages, growth and optimisers are all the state there is.

    Args:
        recipe: What to train.
        data: Root of the recipe's shards and folders.
        output: Folder for checkpoints; made if missing.
        budget: Seconds of training, earlier parts of a resumed run counted in.
        device: A torch device.
        on_step: Progress callback; on a GPU it is called every few steps.
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
    last, config = output / "last.pt", recipe.run
    state = State.build(recipe, torch.device(device))
    if last.exists():
        state.resume(last)
    metrics = _metrics(recipe)
    teacher = _teacher(recipe, device)
    batches, summary = _batches(state, data, output, teacher, processes)
    dev = load_dev(recipe, data)
    step_of = _step(state, teacher, processes)
    levels = growth_levels(recipe)
    read_every = _READ_EVERY if state.device.type == "cuda" else 1
    started = time.monotonic() - state.seconds
    done = progress(config, state.step, state.seconds, budget)
    with batches, TrainingLog(output, enabled=tensorboard and processes.rank == 0) as record:
        while done < 1:
            now = Growth(levels, *growth(done, levels, recipe.grow.fade))
            losses = _train(state, step_of, batches, now, done)
            state.step += 1
            state.ema.update(state.generator, state.step)
            state.seconds = time.monotonic() - started
            done = processes.agree(progress(config, state.step, state.seconds, budget))
            if state.step % read_every == 0 or done >= 1:
                values = check_losses(losses, state.step)
                record.scalars("loss", values, state.step)
                if on_step is not None and processes.rank == 0:
                    on_step(state.step, done, values)
            if state.step % config.checkpoint_every == 0:
                _save(state, summary, last, processes)
            if state.step % config.evaluate_every == 0 and processes.rank == 0:
                _report(state, dev, record)
        state.set_growth(levels, levels - 1, 1.0)
        _save(state, summary, last, processes)
        state.scores = _final_scores(recipe, state.ema.module, dev, data, metrics)
        return _save(state, summary, last, processes)


def _train(
    state: State, step: StepContext, batches: BatchSource, now: Growth, done: float
) -> dict[str, Tensor]:
    """One step of the critic's and the generator's; the losses by name, still on the device."""
    recipe = state.recipe
    config = recipe.run
    state.set_growth(now.levels, now.level, now.alpha)
    state.generator.train()
    if done >= config.freeze_norm_at:
        state.freeze_norm()
    losses: dict[str, Tensor] = {}
    adversary = state.adversary
    if adversary is not None:
        peak = recipe.adversary.learning_rate
        set_rate(adversary.optimiser, learning_rate(config, state.step, done, peak))
        adversary.network.train()
        for number in range(1, recipe.adversary.steps + 1):
            batch = batches.at(state.step, number)
            losses["critic"] = step.critic(state, adversary, batch, now, number)
    set_rate(state.optimiser, learning_rate(config, state.step, done))
    return {**losses, **step.generator(state, batches.at(state.step), now)}


def _step(state: State, teacher: Candidate | None, processes: Processes) -> StepContext:
    growing, grown = (loss.to(state.device) for loss in build_content(state.recipe))
    bf16 = uses_bf16(state.recipe.run, state.device)
    if state.device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # the shapes of a run are always the same
    log.info("%d parameters, %s", state.parameters, "bf16" if bf16 else "fp32")
    return StepContext(processes, grown, growing, teacher, bf16)


def _batches(
    state: State, data: Path, output: Path, teacher: Candidate | None, processes: Processes
) -> tuple[BatchSource, str]:
    """The batches, and the training sets with the number of pictures in each."""
    recipe = state.recipe
    config, seed, scale = recipe.data, recipe.run.seed, recipe.model.scale
    rank, count = processes.rank, processes.count
    if config.clips:
        clips = load_clips(data, config, scale, seed, output)
        log.info("%d training clips", len(clips))
        source = ClipBatches(
            clips, config, recipe.run.batch, seed, state.device, rank=rank, processes=count
        )
        return source, clips.summary
    faces = load_training(data, config, scale, seed)
    log.info("%d training faces", len(faces))
    if teacher is not None and isinstance(faces, Pairs) and not faces.camera:
        faces = teach(faces, teacher.upscale, output)
    per_step = 1 + (recipe.adversary.steps if state.adversary is not None else 0)
    return (
        Batches(
            faces, recipe.run.batch, config.lr_patch, seed,
            per_step=per_step, workers=config.workers, rank=rank, processes=count,
        ),
        faces.summary,
    )  # fmt: skip


def _save(state: State, summary: str, path: Path, processes: Processes) -> Checkpoint:
    now = state.checkpoint(summary)
    if processes.rank == 0:
        now.save(path)
    return now


def _report(state: State, dev: dict[str, Pairs], record: TrainingLog) -> None:
    """Scores of the first faces of each dev set, and sample pictures."""
    few = evaluate(state.ema.module, dev, limit=48)
    for name, score in few.items():
        log.info("step %d (%.0f s): %s %.3f dB", state.step, state.seconds, name, score)
    record.scalars("psnr_rgb", few, state.step)
    record.picture(state.ema.module, dev, state.step)


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


def _metrics(recipe: Recipe) -> Metrics:
    """What the final scores are taken with, opened before the first step: it may be missing."""
    vgg = Path(recipe.vgg.weights) if recipe.vgg.weights else None
    identity = Path(recipe.identity.weights) if recipe.identity.weights else None
    return open_metrics(vgg, recipe.vgg.layers, identity)


def _final_scores(
    recipe: Recipe, model: nn.Module, dev: dict[str, Pairs], data: Path, metrics: Metrics
) -> dict[str, float]:
    """What the card tells: the protocol's scores, and for a recipe of cameras theirs as well."""
    camera = None
    if recipe.data.degradation == "camera" or recipe.data.clips:
        scale, side = recipe.model.scale, recipe.data.hr_side
        camera = load_sets(data, recipe.data.dev, scale, side, camera=True)
    candidate = network_candidate(recipe.name, model, recipe.model.scale)
    return score_sets(candidate, dev, metrics, camera)


def _teacher(recipe: Recipe, device: str) -> Candidate | None:
    if not recipe.loss.teacher:
        return None
    if not recipe.run.teacher:
        raise InputError("loss.teacher needs a generator: --set run.teacher=FILE")
    return open_candidate(Path(recipe.run.teacher), device).reduced(recipe.model.scale)
