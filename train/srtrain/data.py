"""Faces from WebDataset-style tar shards or folders, decoded into memory as training pairs.

Sets of a few thousand small faces fit into memory, so pictures are decoded once, before the first
step. Batches are a pure function of (seed, step): resuming needs no saved position.
"""

from __future__ import annotations

import io
import logging
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from srsdk.errors import InputError
from srtrain.config import DataConfig
from srtrain.degrade import Pixels, clean, to_hr

log = logging.getLogger(__name__)

_SUFFIXES = {".webp", ".png", ".jpg", ".jpeg", ".bmp"}


def find_sets(root: Path, patterns: Sequence[str]) -> list[Path]:
    """Shards and folders below `root` that match, sorted.

    Raises:
        InputError: A pattern matches nothing.
    """
    found: list[Path] = []
    for pattern in patterns:
        matches = sorted(root.glob(pattern))
        if not matches:
            raise InputError(f"no training data matches {pattern!r} in {root}; pass --data FOLDER")
        found.extend(matches)
    return found


def read_set(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and undecoded bytes of the pictures of a `.tar` shard or a folder, in a fixed order."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.suffix.lower() in _SUFFIXES:
                yield str(file.relative_to(path)), file.read_bytes()
        return
    try:
        with tarfile.open(path) as shard:
            for member in shard:
                if member.isfile() and Path(member.name).suffix.lower() in _SUFFIXES:
                    stream = shard.extractfile(member)
                    assert stream is not None
                    yield member.name, stream.read()
    except tarfile.TarError as error:
        raise InputError(f"{path} is not a readable tar shard: {error}") from error


def decode(data: bytes) -> Image.Image | None:
    """Decode a picture to RGB; None where it is corrupt."""
    try:
        return Image.open(io.BytesIO(data)).convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return None


@dataclass(frozen=True)
class Pairs:
    """Aligned faces in memory.

    Attributes:
        hr: `(N, S, S, 3)` u8 RGB.
        lr: `(N, S/scale, S/scale, 3)` u8 RGB.
        corrupt: Pictures that could not be decoded and were left out.
        summary: The sets it was read from, with the number of pictures in each.
    """

    hr: Pixels
    lr: Pixels
    corrupt: int = 0
    summary: str = ""

    def __len__(self) -> int:
        return len(self.hr)

    @property
    def scale(self) -> int:
        """Factor between the two."""
        return int(self.hr.shape[1] // self.lr.shape[1])


def load_pairs(
    sets: Sequence[Path], scale: int, side: int, *, views: int = 1, zoom: float = 1.0, seed: int = 0
) -> Pairs:
    """Decode all pictures into pairs.

    Args:
        sets: Shards and folders.
        scale: Factor between the two resolutions.
        side: Side of the high-resolution face.
        views: Copies of each picture, each enlarged by up to `zoom` and shifted at random.
        zoom: 1 keeps the aligned face as it is. No picture is enlarged past its own pixels.
        seed: Seed of the views.

    Raises:
        InputError: There is no usable picture, or `side` is not a multiple of `scale`.
    """
    if side % scale:
        raise InputError(f"hr_side {side} is not a multiple of the scale {scale}")

    def make(item: tuple[int, bytes]) -> list[tuple[Pixels, Pixels]]:
        picture = decode(item[1])
        if picture is None:
            return []
        random = np.random.default_rng([seed, item[0]])
        made = []
        for _ in range(views):
            width, height = picture.size
            square = min(width, height)
            cut = max(square / random.uniform(1.0, zoom), min(side, square))
            left, top = random.uniform(0, width - cut), random.uniform(0, height - cut)
            hr = to_hr(picture, side, (left, top, left + cut, top + cut))
            made.append((hr, clean(hr, scale)))
        return made

    read = [(path, data) for path in sets for _, data in read_set(path)]
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(make, enumerate(data for _, data in read)))
    corrupt = sum(not made for made in results)
    flat = [pair for made in results for pair in made]
    if corrupt:
        log.warning("left out %d of %d pictures that could not be decoded", corrupt, len(results))
    if not flat:
        raise InputError(f"no usable picture in {', '.join(map(str, sets))}")
    counts = Counter(path.stem for path, _ in read)
    return Pairs(
        np.stack([hr for hr, _ in flat]),
        np.stack([lr for _, lr in flat]),
        corrupt,
        ", ".join(f"{name} ({count})" for name, count in counts.items()),
    )


def load_training(root: Path, config: DataConfig, scale: int, seed: int) -> Pairs:
    """The recipe's training pairs."""
    sets = find_sets(root, config.train)
    return load_pairs(sets, scale, config.hr_side, views=config.views, zoom=config.zoom, seed=seed)


def sample_batch(
    pairs: Pairs, batch: int, patch: int, seed: int, step: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The batch of one step: random faces, mirrored or not, cut to patches on the LR grid.

    Returns:
        `lr (batch, patch, patch, 3)` and `hr (batch, scale*patch, scale*patch, 3)`, u8 RGB.
    """
    random = np.random.default_rng([seed, step])
    scale, room = pairs.scale, pairs.lr.shape[1] - patch
    chosen = random.integers(len(pairs), size=batch)
    tops, lefts = random.integers(room + 1, size=(2, batch))
    mirrored = random.integers(2, size=batch)
    lr = np.empty((batch, patch, patch, 3), np.uint8)
    hr = np.empty((batch, scale * patch, scale * patch, 3), np.uint8)
    for n, (index, y, x, flip) in enumerate(zip(chosen, tops, lefts, mirrored, strict=True)):
        order = slice(None, None, -1 if flip else 1)
        lr[n] = pairs.lr[index, y : y + patch, x : x + patch][:, order]
        y, x, side = y * scale, x * scale, patch * scale
        hr[n] = pairs.hr[index, y : y + side, x : x + side][:, order]
    return lr, hr
