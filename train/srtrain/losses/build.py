"""From a recipe's tables to its losses."""

from __future__ import annotations

from pathlib import Path

from srsdk.errors import InputError
from srtrain.config import LossConfig, Recipe
from srtrain.losses.adversarial import Objective
from srtrain.losses.content import ContentLoss
from srtrain.losses.identity import IdentityLoss
from srtrain.losses.nsgan import Minimax, NonSaturating
from srtrain.losses.vgg import VggLoss, load_vgg
from srtrain.losses.wgan_gp import WassersteinGP
from srtrain.models.descriptor import load_descriptor


def build_content(recipe: Recipe) -> tuple[ContentLoss, ContentLoss]:
    """The content loss of a network that is still growing, and that of the whole one.

    They differ in SRPGGAN alone: pixels only until the last resolution, the mix there (report,
    section on SRPGGAN).

    Raises:
        InputError: There is no content loss, or no file of VGG19 weights for it.
    """
    vgg = None
    if recipe.loss.vgg:
        if not recipe.vgg.weights:
            raise InputError(
                "loss.vgg needs VGG19 weights: --set vgg.weights=FILE "
                "(torchvision's vgg19 state dict, or the shorter normalised one)"
            )
        vgg = VggLoss(load_vgg(Path(recipe.vgg.weights), recipe.vgg.layers))
    identity = None
    if recipe.loss.identity:
        if not recipe.data.clips:
            raise InputError("loss.identity needs whole faces, which data.clips gives")
        identity = IdentityLoss(load_descriptor(recipe.identity.weights or None))
    if recipe.loss.flicker and not recipe.data.clips:
        raise InputError("loss.flicker needs clips of two frames: set data.clips")
    if recipe.loss.spectrum and not recipe.data.clips:
        raise InputError("loss.spectrum needs clips, which know their degradation: set data.clips")
    if recipe.vgg.stride < 1:
        raise InputError(f"vgg.stride is {recipe.vgg.stride}, expected 1 or more")
    whole = ContentLoss(
        recipe.loss, vgg, identity, scale=recipe.model.scale, vgg_stride=recipe.vgg.stride
    )
    if not recipe.model.grows:
        return whole, whole
    # The grid of a smaller resolution has another period.
    pixels = LossConfig(l1=recipe.loss.l1, mse=recipe.loss.mse)
    if not pixels.mse and not pixels.l1:
        pixels = LossConfig(mse=1.0)
    return ContentLoss(pixels), whole


def build_objective(recipe: Recipe) -> tuple[Objective, float] | None:
    """The adversarial objective and its weight in the generator's loss; None for none.

    Raises:
        InputError: The recipe names more than one.
    """
    loss, adversary = recipe.loss, recipe.adversary
    chosen: list[tuple[Objective, float]] = []
    if loss.nsgan:
        chosen.append((NonSaturating(), loss.nsgan))
    if loss.minimax:
        chosen.append((Minimax(), loss.minimax))
    if loss.wgan_gp:
        objective = WassersteinGP(adversary.gradient_penalty, adversary.drift)
        chosen.append((objective, loss.wgan_gp))
    if len(chosen) > 1:
        raise InputError("the recipe's [loss] table has more than one adversarial loss; keep one")
    return chosen[0] if chosen else None
