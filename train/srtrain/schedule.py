"""How far a run is, and what follows from it: pure functions, so resuming needs no state."""

from __future__ import annotations

import math

from srtrain.config import RunConfig


def progress(config: RunConfig, step: int, seconds: float, budget: float) -> float:
    """Share of the run that is done; 1 or more at its end.

    Args:
        config: The run.
        step: Finished iterations.
        seconds: Wall clock spent.
        budget: Wall clock to plan the schedule into; infinite for the recipe's iterations.
    """
    return max(step / config.steps, seconds / budget)


def learning_rate(config: RunConfig, step: int, done: float, peak: float = 0.0) -> float:
    """Linear warm-up, then a cosine from the peak (0: the recipe's) to `final_rate` of it."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    share = config.final_rate + (1 - config.final_rate) * cosine
    return (peak or config.learning_rate) * share * min(1.0, (step + 1) / max(config.warmup, 1))


def growth(done: float, levels: int, fade: float) -> tuple[int, float]:
    """Level (0 is the first resolution) and transition weight at a share of the run.

    Every level gets the same share. The first needs no transition; the others fade in over `fade`
    of their time and are stable for the rest (PGGAN, appendix A.1: half and half).
    """
    position = min(done, 1.0) * levels
    level = min(int(position), levels - 1)
    if level == 0 or fade <= 0:
        return level, 1.0
    return level, min(1.0, (position - level) / fade)
