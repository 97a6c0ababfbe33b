"""Training pairs: faces of high and low resolution.

Small sets are decoded into memory once, before the first step (`load_pairs`); large ones stay
encoded and are decoded as they are drawn (`load_encoded`). Batches are a pure function of
(seed, step, critic_step): resuming needs no saved position.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image
from torch import Tensor

from srsdk.errors import InputError
from srtrain.camera import camera
from srtrain.config import DataConfig
from srtrain.degrade import Pixels, clean, to_hr
from srtrain.sources import Entry, decode, entries, find_sets

log = logging.getLogger(__name__)


class Faces(Protocol):
    """A training set.

    Attributes:
        corrupt: Pictures that could not be decoded and were left out, so far.
        summary: The sets it was read from, with the number of pictures in each.
    """

    @property
    def corrupt(self) -> int: ...  # noqa: D102

    @property
    def summary(self) -> str: ...  # noqa: D102

    @property
    def lr_side(self) -> int:
        """Side of the low-resolution faces."""
        ...

    def __len__(self) -> int: ...

    def face(self, index: int, random: np.random.Generator) -> tuple[Pixels, Pixels, Pixels | None]:
        """Face `index` as LR, HR and the teacher's output (None where it is not known)."""
        ...


@dataclass(frozen=True)
class Pairs:
    """Aligned faces in memory.

    Attributes:
        hr: `(N, S, S, 3)` u8 RGB.
        lr: `(N, S/scale, S/scale, 3)` u8 RGB.
        corrupt: Pictures that could not be decoded and were left out.
        summary: The sets it was read from, with the number of pictures in each.
        camera: Whether the low resolution is degraded anew, as cameras do, with every draw.
        teacher_output: `(N, S, S, 3)` u8 RGB, what a teacher makes of `lr`.
    """

    hr: Pixels
    lr: Pixels
    corrupt: int = 0
    summary: str = ""
    camera: bool = False
    teacher_output: Pixels | None = None

    def __len__(self) -> int:
        return len(self.hr)

    @property
    def scale(self) -> int:
        """Factor between the two."""
        return int(self.hr.shape[1] // self.lr.shape[1])

    @property
    def lr_side(self) -> int:
        """Side of the low-resolution faces."""
        return int(self.lr.shape[1])

    def face(self, index: int, random: np.random.Generator) -> tuple[Pixels, Pixels, Pixels | None]:
        """Low resolution, high resolution and teacher output of one face."""
        lr = camera(self.hr[index], self.scale, random) if self.camera else self.lr[index]
        return (
            lr,
            self.hr[index],
            None if self.teacher_output is None else self.teacher_output[index],
        )


class Encoded:
    """Faces that are decoded, zoomed and degraded each time they are drawn.

    Attributes:
        entries: The undecoded pictures.
        scale: Factor between the two resolutions.
        side: Side of the high-resolution face.
        zoom: Largest enlargement.
        camera: See `Pairs`.
        summary: The sets it was read from, with the number of pictures in each.
    """

    def __init__(
        self,
        sets: Sequence[Path],
        scale: int,
        side: int,
        *,
        zoom: float = 1.0,
        camera: bool = False,
    ) -> None:
        _check_side(side, scale)
        listed = [(path, entry) for path in sets for entry in entries(path)]
        if not listed:
            raise InputError(f"no usable picture in {', '.join(map(str, sets))}")
        self.entries = [entry for _, entry in listed]
        self.scale, self.side, self.zoom, self.camera = scale, side, zoom, camera
        self.summary = _summary([path for path, _ in listed])
        self._corrupt: set[int] = set()

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def corrupt(self) -> int:
        """Pictures that could not be decoded and were left out, so far."""
        return len(self._corrupt)

    @property
    def lr_side(self) -> int:
        """Side of the low-resolution faces."""
        return self.side // self.scale

    def face(self, index: int, random: np.random.Generator) -> tuple[Pixels, Pixels, Pixels | None]:
        """One face, decoded and degraded; in place of a corrupt picture comes the next one."""
        for offset in range(len(self)):
            number = (index + offset) % len(self)
            picture = decode(self.entries[number].read())
            if picture is not None:
                hr = _view(picture, self.side, self.zoom, random)
                degrade = camera(hr, self.scale, random) if self.camera else clean(hr, self.scale)
                return degrade, hr, None
            if number not in self._corrupt:
                self._corrupt.add(number)
                log.warning(
                    "left out %s of %s, which cannot be decoded (%d so far)",
                    self.entries[number].name, self.entries[number].file, self.corrupt,
                )  # fmt: skip
        raise InputError(f"no usable picture in {self.summary}")


@dataclass(frozen=True)
class Batch:
    """Images of one step, in host memory or on the device that trains.

    Attributes:
        lr: `(N, p, p, 3)` u8 RGB.
        hr: `(N, scale*p, scale*p, 3)` u8 RGB.
        teacher_output: Like `hr`; None where it is not known.
        clips: Clips of two frames that the images are: first all first frames, then all second
            ones; 0 for single images.
        whole: Images, from the first, that show a whole aligned face.
        plain: `(clips,)` bool, which clips were plainly reduced, without a camera; None for single
            images.
    """

    lr: Pixels | Tensor
    hr: Pixels | Tensor
    teacher_output: Pixels | None = None
    clips: int = 0
    whole: int = 0
    plain: Tensor | None = None


def load_pairs(
    sets: Sequence[Path],
    scale: int,
    side: int,
    *,
    views: int = 1,
    zoom: float = 1.0,
    seed: int = 0,
    camera: bool = False,
) -> Pairs:
    """Decode all pictures into pairs.

    Args:
        sets: Shards and folders.
        scale: Factor between the two resolutions.
        side: Side of the high-resolution face.
        views: Copies of each picture, each enlarged by up to `zoom` and shifted at random.
        zoom: 1 keeps the aligned face as it is. No picture is enlarged past its own pixels.
        seed: Seed of the views.
        camera: See `Pairs`; `lr` is the clean one nevertheless.

    Raises:
        InputError: There is no usable picture, or `side` is not a multiple of `scale`.
    """
    _check_side(side, scale)
    listed = [(path, entry) for path in sets for entry in entries(path)]

    small: list[str] = []

    def make(item: tuple[int, Entry]) -> list[tuple[Pixels, Pixels]]:
        picture = decode(item[1].read())
        if picture is None:
            return []
        if min(picture.size) < side:
            small.append(item[1].name)
        random = np.random.default_rng([seed, item[0]])
        highs = [_view(picture, side, zoom, random) for _ in range(views)]
        return [(hr, clean(hr, scale)) for hr in highs]

    with ThreadPoolExecutor() as pool:
        results = list(pool.map(make, enumerate(entry for _, entry in listed)))
    corrupt = sum(not made for made in results)
    flat = [pair for made in results for pair in made]
    if corrupt:
        log.warning("left out %d of %d pictures that could not be decoded", corrupt, len(results))
    if small:
        log.warning("%d of %d pictures are enlarged to %d pixels", len(small), len(results), side)
    if not flat:
        raise InputError(f"no usable picture in {', '.join(map(str, sets))}")
    return Pairs(
        np.stack([hr for hr, _ in flat]),
        np.stack([lr for _, lr in flat]),
        corrupt,
        _summary([path for path, _ in listed]),
        camera,
    )


def load_training(root: Path, config: DataConfig, scale: int, seed: int) -> Faces:
    """The recipe's training set.

    Raises:
        InputError: It is missing or unusable, or its faces are smaller than the patches.
    """
    if config.lr_patch * scale > config.hr_side:
        raise InputError(
            f"data.lr_patch {config.lr_patch} is larger than the low-resolution faces, "
            f"{config.hr_side // scale} pixels"
        )
    sets = find_sets(root, config.train)
    camera = config.degradation == "camera"
    if not config.cache:
        return Encoded(sets, scale, config.hr_side, zoom=config.zoom, camera=camera)
    return load_pairs(
        sets, scale, config.hr_side,
        views=config.views, zoom=config.zoom, seed=seed, camera=camera,
    )  # fmt: skip


def sample_batch(
    faces: Faces,
    batch: int,
    patch: int,
    seed: int,
    step: int,
    critic_step: int = 0,
    *,
    part: slice = slice(None),
) -> Batch:
    """A batch: random faces, mirrored or not, cut to patches on the low-resolution grid.

    Args:
        faces: The training set.
        batch: Faces in the batch.
        patch: Side of the low-resolution patches.
        seed: The run's seed.
        step: Number of the step.
        critic_step: Number of the batch in the step.
        part: Which of the batch's faces to return; what they are does not depend on it.
    """
    key = [seed, step, critic_step] if critic_step else [seed, step]
    random = np.random.default_rng(key)
    chosen = random.integers(len(faces), size=batch)
    room = faces.lr_side - patch
    tops, lefts = random.integers(room + 1, size=(2, batch))
    mirrored = random.integers(2, size=batch)
    cut: list[list[Pixels | None]] = []
    for n in range(batch)[part]:
        own = np.random.default_rng([seed, step, critic_step, n])
        lr, hr, teacher_output = faces.face(int(chosen[n]), own)
        order = slice(None, None, -1 if mirrored[n] else 1)
        row: list[Pixels | None] = []
        for image in (lr, hr, teacher_output):
            if image is None:
                row.append(None)
                continue
            factor = image.shape[0] // lr.shape[0]
            top, left, side = tops[n] * factor, lefts[n] * factor, patch * factor
            row.append(image[top : top + side, left : left + side][:, order])
        cut.append(row)
    lrs, hrs, outputs = zip(*cut, strict=True)
    return Batch(np.stack(lrs), np.stack(hrs), None if outputs[0] is None else np.stack(outputs))


def teach(pairs: Pairs, upscale: Callable[[Pixels], Pixels], folder: Path) -> Pairs:
    """The pairs with what a teacher makes of their low resolution.

    That takes as long as judging the teacher on all of them, so it is kept in `folder` for when
    the run is resumed, under a hash of the pairs and of the teacher's answer to the first ones.
    """
    first = upscale(pairs.lr[:4])
    digest = hashlib.sha256(pairs.lr.tobytes() + first.tobytes()).hexdigest()[:16]
    kept = folder / f"teacher-output-{digest}.npy"
    if kept.exists():
        return dataclasses.replace(pairs, teacher_output=np.load(kept))
    teacher_output = np.empty_like(pairs.hr)
    log.info("asking the teacher about %d faces", len(pairs))
    for start in range(0, len(pairs), 32):
        teacher_output[start : start + 32] = upscale(pairs.lr[start : start + 32])
    temporary = kept.with_suffix(f".{os.getpid()}.tmp.npy")
    np.save(temporary, teacher_output)
    temporary.replace(kept)
    return dataclasses.replace(pairs, teacher_output=teacher_output)


def _view(picture: Image.Image, side: int, zoom: float, random: np.random.Generator) -> Pixels:
    width, height = picture.size
    square = min(width, height)
    cut = max(square / random.uniform(1.0, zoom), min(side, square))
    left, top = random.uniform(0, width - cut), random.uniform(0, height - cut)
    return to_hr(picture, side, (left, top, left + cut, top + cut))


def _check_side(side: int, scale: int) -> None:
    if side % scale:
        raise InputError(f"hr_side {side} is not a multiple of the scale {scale}")


def _summary(paths: Sequence[Path]) -> str:
    counts = Counter(path.stem for path in paths)
    return ", ".join(f"{name} ({count})" for name, count in counts.items())
