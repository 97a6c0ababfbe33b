"""Dev sets to judge on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from srtrain.camera import camera as degrade
from srtrain.data import Pairs, load_pairs
from srtrain.sources import find_sets


def load_sets(
    root: Path,
    patterns: Sequence[str],
    scale: int,
    side: int,
    *,
    camera: bool = False,
    limit: int | None = None,
) -> dict[str, Pairs]:
    """Dev sets by name (the file name up to the shard number).

    Args:
        root: Folder of shards and folders.
        patterns: What to take from it.
        scale: Factor between the resolutions.
        side: Side of the high-resolution faces.
        camera: Degrade as cameras do; each picture differently, but the same in every run.
        limit: Faces of each set, the first ones; None for all.

    Raises:
        InputError: A set is missing or has no usable picture.
    """
    sets = {}
    for path in find_sets(root, patterns):
        pairs = load_pairs([path], scale, side)
        pairs = dataclasses.replace(pairs, hr=pairs.hr[:limit], lr=pairs.lr[:limit])
        if camera:
            random = [np.random.default_rng([n, 77]) for n in range(len(pairs))]
            lr = [degrade(hr, scale, own) for hr, own in zip(pairs.hr, random, strict=True)]
            pairs = dataclasses.replace(pairs, lr=np.stack(lr))
        sets[path.stem.rsplit("-", 1)[0]] = pairs
    return sets
