"""Training clips: two consecutive frames of faces of all sizes, made once by many processes.

Degrading frames as cameras and codecs do takes milliseconds each, a training step on a GPU less.
So the clips of a run are made before its first step and kept in files, which other runs share.
"""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from srsdk.errors import InputError
from srtrain.config import DataConfig
from srtrain.degrade import Pixels
from srtrain.sources import Entry, decode, entries, find_sets
from srtrain.video_camera import reduce_plainly, through_camera, through_codecs
from srtrain.views import draw_view

log = logging.getLogger(__name__)

_VERSION = 3  # of what clips look like; part of the name under which they are kept
_PICTURES = 16  # of one task
_PARTS = ("hr", "clean", "camera", "whole")


@dataclass(frozen=True)
class Clips:
    """Clips in memory or in files mapped into it.

    Attributes:
        hr: `(N, 2, S, S, 3)` u8 RGB, two consecutive frames.
        clean: `(N, 2, S/scale, S/scale, 3)` u8 RGB, `hr` plainly reduced.
        camera: The same, as a camera and a codec leave it.
        whole: `(N,)` whether a clip shows a whole aligned face.
        summary: The sets they were made from, with the number of pictures in each.
    """

    hr: Pixels
    clean: Pixels
    camera: Pixels
    whole: NDArray[np.bool_]
    summary: str

    def __len__(self) -> int:
        return len(self.hr)

    @property
    def scale(self) -> int:
        """Factor between the two resolutions."""
        return int(self.hr.shape[2] // self.clean.shape[2])


def load_clips(root: Path, config: DataConfig, scale: int, seed: int, folder: Path) -> Clips:
    """The clips of a recipe: those kept in `folder`, or else made and kept there.

    Args:
        root: Root of the recipe's shards and folders.
        config: `clips` of them, with frames of `hr_side` pixels.
        scale: Factor between the two resolutions.
        seed: The same seed gives the same clips, whatever the number of processes.
        folder: Where to keep them, if `config.clip_folder` does not say.

    Raises:
        InputError: There is no usable picture, or `hr_side` is not a multiple of twice the scale.
    """
    if config.hr_side % (2 * scale):
        raise InputError(f"data.hr_side {config.hr_side} is not a multiple of {2 * scale}")
    sets = find_sets(root, config.train)
    listed = [(path, entry) for path in sets for entry in entries(path)]
    if not listed:
        raise InputError(f"no usable picture in {', '.join(map(str, sets))}")
    what: list[object] = [_VERSION, config.clips, scale, config.hr_side, seed]
    what += [config.whole_share, config.defocus_share]
    what += [(entry.name, entry.offset, entry.size) for _, entry in listed]
    digest = hashlib.sha256(repr(what).encode()).hexdigest()[:16]
    folder = Path(config.clip_folder) if config.clip_folder else folder
    kept = folder / f"clips-x{scale}-{digest}"
    counts: dict[str, int] = {}
    for path, _ in listed:
        counts[path.stem] = counts.get(path.stem, 0) + 1
    summary = ", ".join(f"{name} ({count})" for name, count in counts.items())
    if not kept.is_dir():
        log.info("making %d clips", config.clips)
        _make([entry for _, entry in listed], config, scale, seed, kept)
    hr, clean, camera, whole = (np.load(kept / f"{part}.npy", mmap_mode="r") for part in _PARTS)
    return Clips(hr, clean, camera, whole, summary)


def _make(listed: Sequence[Entry], config: DataConfig, scale: int, seed: int, kept: Path) -> None:
    """Make all clips, in tasks of a few pictures, and keep them under their name when whole."""
    side, count = config.hr_side, config.clips
    tasks = max(-(-len(listed) // _PICTURES), 1)
    shares = [count // tasks + (n < count % tasks) for n in range(tasks)]
    order = np.random.default_rng([seed, 1]).permutation(len(listed))
    chosen = [[listed[i] for i in order[n::tasks]] for n in range(tasks)]
    temporary = kept.with_name(f"{kept.name}.{os.getpid()}.tmp")
    temporary.mkdir(parents=True)
    shapes = {
        "hr": (count, 2, side, side, 3),
        "clean": (count, 2, side // scale, side // scale, 3),
        "camera": (count, 2, side // scale, side // scale, 3),
        "whole": (count,),
    }
    files = {
        part: np.lib.format.open_memmap(
            temporary / f"{part}.npy", "w+", np.bool_ if part == "whole" else np.uint8, shape
        )
        for part, shape in shapes.items()
    }
    arguments = [
        (pictures, share, scale, config, [seed, 2, n])
        for n, (pictures, share) in enumerate(zip(chosen, shares, strict=True))
        if share
    ]
    start = 0
    with ProcessPoolExecutor(
        config.workers or os.cpu_count(), multiprocessing.get_context("spawn")
    ) as pool:
        for made in pool.map(_task, *zip(*arguments, strict=True)):
            for part, values in zip(_PARTS, made, strict=True):
                files[part][start : start + len(values)] = values
            start += len(made[0])
    for file in files.values():
        file.flush()
    try:
        temporary.rename(kept)
    except OSError:  # another run was faster and made the same
        for part in _PARTS:
            (temporary / f"{part}.npy").unlink()
        temporary.rmdir()


def _task(
    pictures: Sequence[Entry],
    count: int,
    scale: int,
    config: DataConfig,
    seed: Sequence[int],
) -> tuple[Pixels, Pixels, Pixels, NDArray[np.bool_]]:
    random = np.random.default_rng(seed)
    decoded = [picture for entry in pictures if (picture := decode(entry.read())) is not None]
    if not decoded:
        raise InputError(f"no usable picture among {pictures[0].name} and those after it")
    views = [
        draw_view(
            decoded[n % len(decoded)], config.hr_side, config.whole_share, random,
            defocus_share=config.defocus_share,
        )
        for n in range(count)
    ]  # fmt: skip
    clean = [reduce_plainly(view.frames, scale, random) for view in views]
    camera = [through_camera(view.frames, scale, random) for view in views]
    camera = through_codecs(camera, random)
    return (
        np.stack([view.frames for view in views]),
        np.stack(clean),
        np.stack(camera),
        np.array([view.whole for view in views]),
    )
