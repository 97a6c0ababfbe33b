"""What is done to a finished generator without training it on: mixing two, and levelling a grid."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srsdk.errors import InputError
from srtrain.checkpoint import Checkpoint
from srtrain.degrade import Pixels
from srtrain.images import to_tensor
from srtrain.models import Edge, Generator, SRResNet
from srtrain.models.srresnet import SubPixel

_CELLS = 8  # side of what is looked at in the middle of a patch, in low-resolution pixels

log = logging.getLogger(__name__)


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


def level_grid(checkpoint: Checkpoint, faces: Pixels, iterations: int = 40) -> Checkpoint:
    """Take the grid in flat skin out of a generator, by biases of sub-pixel convolutions alone.

    Each pixel of a low-resolution cell is made by its own filters. Where the picture is smooth
    all of them should agree with a plain enlargement; what one of them is off by on average is a
    grid, and a constant for each place in the cell, which biases can take away. Nothing else of
    the picture changes.

    Args:
        checkpoint: The generator.
        faces: `(N, h, w, 3)` u8 RGB low-resolution faces, some dozens; their skin, much enlarged,
            is what the grid is measured on.
        iterations: Steps of L-BFGS.

    Raises:
        InputError: The generator has no sub-pixel convolution.
    """
    model = checkpoint.build().requires_grad_(False)
    biases = [bias for conv in _subpixel_convs(model) if (bias := conv.bias) is not None]
    if not biases:
        raise InputError(f"{checkpoint.recipe.name} has no sub-pixel convolution with a bias")
    for bias in biases:
        bias.requires_grad_(True)
    smooth = _smooth_patches(faces, 2 * model.halo + _CELLS)
    before = grid_on(model, smooth)
    optimiser = torch.optim.LBFGS(biases, max_iter=iterations, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = _grid(model, smooth).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    log.info("grid of %.3f grey levels, now %.4f", before, grid_on(model, smooth))
    state = model.state_dict()
    return dataclasses.replace(
        checkpoint, generator=state, ema=state, optimiser={}, critic=None, critic_optimiser=None,
        scores={},
    )  # fmt: skip


@torch.no_grad()
def grid_on(model: Generator, smooth: Tensor) -> float:
    """Root mean square of the grid on smooth patches, in grey levels."""
    return 255 * float(_grid(model, smooth).square().mean().sqrt())


def _smooth_patches(faces: Pixels, side: int) -> Tensor:
    """Parts of ten pixels of each face, as large as a generator needs them."""
    random = np.random.default_rng(0)
    patches = []
    for face in to_tensor(faces, torch.device("cpu")):
        top, left = (int(random.integers(size - 10 + 1)) for size in face.shape[1:])
        part = face[None, :, top : top + 10, left : left + 10]
        patches.append(F.interpolate(part, size=(side, side), mode="bicubic", align_corners=False))
    return torch.cat(patches).clamp(0, 1)


def _grid(model: Generator, smooth: Tensor) -> Tensor:
    """`(N, 3, scale, scale)`: what each place of a cell is off by in the middle of each patch."""
    scale, halo = model.scale, model.halo
    grids = []
    for part in torch.split(smooth, 4):
        plain = F.interpolate(part, scale_factor=scale, mode="bicubic", align_corners=False)
        error = (model(part) - plain)[
            :, :, halo * scale : -halo * scale, halo * scale : -halo * scale
        ]
        cells = error.unflatten(3, (-1, scale)).unflatten(2, (-1, scale)).mean(dim=(2, 4))
        grids.append(cells - cells.mean(dim=(2, 3), keepdim=True))
    return torch.cat(grids)


def _subpixel_convs(model: Generator) -> list[nn.Conv2d]:
    """The convolutions in front of a pixel shuffle."""
    if isinstance(model, Edge):
        return [model.out]
    convs = [module.conv for module in model.modules() if isinstance(module, SubPixel)]
    if isinstance(model, SRResNet) and model.tail == "subpixel":
        convs.append(model.out)
    return [conv for conv in convs if conv.bias is not None]
