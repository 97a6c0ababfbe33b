"""The first weights of a run: fresh, or those of a finished one (transfer learning)."""

from __future__ import annotations

from pathlib import Path

from srsdk.errors import InputError
from srtrain.checkpoint import Checkpoint
from srtrain.config import Recipe
from srtrain.models import SRPGGAN, Edge, Generator, SRResNet, build_generator
from srtrain.models.srresnet import grow_tail


def first_weights(recipe: Recipe) -> tuple[Generator, list[dict[str, object]]]:
    """The generator to begin with, and the recipes that it has behind it.

    Report, section on SRWGAN-GP: the GANs start from a trained SRResNet. A generator of the same
    form is taken over as it is; one with a sub-pixel tail grows the report's tail; an SRPGGAN takes
    over an SRResNet of its own or a smaller scale; an edge network one of fewer layers or
    channels.

    Raises:
        InputError: The checkpoint is missing, or its network does not fit.
    """
    model = build_generator(recipe.model)
    if not recipe.run.start_from:
        return model, []
    saved = Checkpoint.load(Path(recipe.run.start_from))
    start = saved.build()
    before = {"recipe": saved.recipe.name, "steps": saved.step, "seconds": saved.seconds}
    try:
        if isinstance(start, Edge) and isinstance(model, Edge):
            model.start_from(start)
        elif type(start) is type(model) and not _differ_in_tail(start, model):
            model.load_state_dict(start.state_dict())
        elif isinstance(model, SRPGGAN) and isinstance(start, SRResNet):
            model.start_from(start)
        elif isinstance(model, SRResNet) and isinstance(start, SRResNet):
            grow_tail(start, model)
        else:
            raise InputError(f"it is of architecture {start.architecture}")
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        which = recipe.run.start_from
        raise InputError(f"cannot start {recipe.name} from {which}: {reason}") from error
    return model, [*saved.history, before]


def _differ_in_tail(start: Generator, model: Generator) -> bool:
    both = isinstance(start, SRResNet) and isinstance(model, SRResNet)
    return both and start.shuffle != model.shuffle
