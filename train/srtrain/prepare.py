"""From a folder of pictures to shards in several resolutions, split for training and judging.

Report, section on data: 30,000 faces of CelebA-HQ at 1024 pixels, brought to 16 ... 512 pixels and
split 28,000 / 1,000 / 1,000 into train, dev and test.
"""

from __future__ import annotations

import io
import logging
import tarfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from srsdk.errors import InputError
from srsdk.files import replacing
from srtrain.degrade import to_hr
from srtrain.sources import Entry, decode, entries

log = logging.getLogger(__name__)

SIZES = (16, 32, 64, 128, 256, 512)
SPLIT = (28_000, 1_000, 1_000)
_PARTS = ("train", "dev", "test")


@dataclass
class Prepared:
    """What was written.

    Attributes:
        shards: Number of pictures by shard.
        corrupt: Names of pictures that could not be decoded.
        small: Names of pictures with fewer pixels than the largest size, left out of the sizes
            that they do not have.
    """

    shards: dict[str, int] = field(default_factory=dict)
    corrupt: list[str] = field(default_factory=list)
    small: list[str] = field(default_factory=list)


def prepare(
    source: Path,
    output: Path,
    *,
    name: str,
    sizes: Sequence[int] = SIZES,
    split: Sequence[int] = SPLIT,
    seed: int = 0,
    shard: int = 2000,
    on_picture: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Write `SIZE/train-NAME-NN.tar`, `SIZE/dev-...` and `SIZE/test-...` of lossless WebP pictures.

    Args:
        source: A folder of pictures, CelebA-HQ as it is distributed, or a shard.
        output: Folder for the shards; made if missing.
        name: Name of the set in the shards' names.
        sizes: Sides in pixels; whole-number reductions are box averages, the rest Lanczos.
        split: Pictures for train, dev and test; with another number of pictures in all, shares.
        seed: Seed of the split, which depends on nothing but it and the number of pictures.
        shard: Pictures in a shard.
        on_picture: Called with the number of finished pictures and of all.

    Raises:
        InputError: There is no picture, or sizes and split make no sense.
    """
    if not sizes or min(sizes) < 1 or len(split) != 3 or min(split) < 0 or sum(split) <= 0:
        raise InputError(f"sizes {list(sizes)} and split {list(split)} make no set")
    if shard < 1:
        raise InputError(f"a shard cannot hold {shard} pictures")
    if not source.exists():
        raise InputError(f"there is no folder or shard {source}")
    listed = list(entries(source))
    if not listed:
        raise InputError(f"no usable picture in {source}")
    order = np.random.default_rng(seed).permutation(len(listed))
    ends = np.rint(np.cumsum(split) / sum(split) * len(listed)).astype(int)
    report = Prepared()
    done = 0
    for part, start, end in zip(_PARTS, [0, *ends[:-1]], ends, strict=True):
        chosen = sorted(int(n) for n in order[start:end])
        for number, first in enumerate(range(0, len(chosen), shard)):
            few = [listed[n] for n in chosen[first : first + shard]]
            _write(output, f"{part}-{name}-{number:02d}.tar", sizes, few, report)
            done += len(few)
            if on_picture is not None:
                on_picture(done, len(listed))
    if report.corrupt:
        log.warning(
            "left out %d of %d pictures that could not be decoded: %s",
            len(report.corrupt), len(listed), ", ".join(report.corrupt[:5]),
        )  # fmt: skip
    if report.small:
        log.warning("%d pictures are smaller than %d pixels", len(report.small), max(sizes))
    return report


def _write(
    output: Path, shard: str, sizes: Sequence[int], few: list[Entry], report: Prepared
) -> None:
    """Write one shard in every size; a size that no picture is large enough for gets none."""
    final = {size: output / str(size) / shard for size in sizes}
    counts = dict.fromkeys(sizes, 0)
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        shards = {}
        for size, path in final.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = stack.enter_context(replacing(path))
            shards[size] = stack.enter_context(tarfile.open(temporary, "w"))
        waiting = iter(few)
        while part := list(islice(waiting, 32)):  # no more than these are in memory
            made = pool.map(partial(_encode, sizes=sizes), part)
            for entry, encoded in zip(part, made, strict=True):
                if encoded is None:
                    report.corrupt.append(entry.name)
                    continue
                if len(encoded) < len(sizes):
                    report.small.append(entry.name)
                for size, data in encoded.items():
                    member = tarfile.TarInfo(Path(entry.name).with_suffix(".webp").as_posix())
                    member.size = len(data)
                    shards[size].addfile(member, io.BytesIO(data))
                    counts[size] += 1
    for size, count in counts.items():
        if count:
            report.shards[f"{size}/{shard}"] = count
        else:
            final[size].unlink()
            if not any(final[size].parent.iterdir()):
                final[size].parent.rmdir()


def _encode(entry: Entry, sizes: Sequence[int]) -> dict[int, bytes] | None:
    picture = decode(entry.read())
    if picture is None:
        return None
    side = min(picture.size)
    left, top = (picture.width - side) / 2, (picture.height - side) / 2
    encoded = {}
    for size in sizes:
        if size > side:
            continue
        buffer = io.BytesIO()
        pixels = to_hr(picture, size, (left, top, left + side, top + side))
        Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=50, method=2)
        encoded[size] = buffer.getvalue()
    return encoded
