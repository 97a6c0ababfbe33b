"""Pictures for calibration and comparison: from disk, and synthetic ones."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from srsdk.errors import InputError
from srsdk.types import Pixels

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}


def read_images(source: Path, side: int, limit: int = 64) -> Pixels:
    """Read square low-resolution pictures from a folder, a tar shard, or a folder of shards.

    Each picture is cropped to its central square and reduced to `side` by area averaging, which
    makes it look like a small face in a frame.

    Args:
        source: Folder (searched with its subfolders, in the order of names) or `.tar`.
        side: Height and width of the result in pixels.
        limit: Number of pictures; if there are more, every n-th is read.

    Returns:
        `(N, side, side, 3)` u8 RGB.

    Raises:
        InputError: The folder or shard does not exist, or contains no readable picture.
    """
    if source.is_dir():
        found = [path for path in sorted(source.rglob("*")) if path.is_file()]
        shards = [path for path in found if path.suffix == ".tar"]
    elif source.is_file() and source.suffix == ".tar":
        found, shards = [], [source]
    else:
        raise InputError(f"{source}: give a folder of pictures or a .tar shard")
    pictures = [_square(image, side) for image in _decoded(found, shards)]
    if not pictures:
        raise InputError(f"{source}: no picture ({', '.join(sorted(_SUFFIXES))}) in it")
    step = max(1, len(pictures) // limit)
    return np.stack(pictures[::step][:limit])


def probe_frames(height: int = 45, width: int = 39, seed: int = 0) -> Pixels:
    """Make four frames with extreme content: noise, stripes, a ramp, black and white squares.

    Returns:
        `(4, height, width, 3)` u8 RGB.
    """
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    noise = random.integers(0, 256, (height, width, 3))
    stripes = np.where((x + y) % 5 < 2, 230, 20)[:, :, None] * np.ones(3)
    ramp = np.stack([y * 255 / height, x * 255 / width, 255 - y * 255 / height], axis=2)
    squares = np.where((x // 8 + y // 8) % 2, 255, 0)[:, :, None] * np.ones(3)
    return np.stack([noise, stripes, ramp, squares]).astype(np.uint8)


def _decoded(files: list[Path], shards: list[Path]) -> Iterator[Pixels]:
    for path in files:
        if path.suffix.lower() in _SUFFIXES:
            yield _decode(path.read_bytes(), str(path))
    for path in shards:
        try:
            with tarfile.open(path) as shard:
                for member in shard:
                    data = shard.extractfile(member)
                    if data is not None and Path(member.name).suffix.lower() in _SUFFIXES:
                        yield _decode(data.read(), f"{path}: {member.name}")
        except tarfile.TarError as error:
            raise InputError(f"{path} is not a tar shard ({error})") from error


def _decode(data: bytes, name: str) -> Pixels:
    buffer = np.frombuffer(data, np.uint8)
    image = cv2.imdecode(buffer, cv2.IMREAD_COLOR) if buffer.size else None
    if image is None:
        raise InputError(f"{name} is not a picture that can be read; take it out")
    return np.ascontiguousarray(image[:, :, ::-1]).astype(np.uint8)


def _square(image: Pixels, side: int) -> Pixels:
    height, width = image.shape[:2]
    size = min(height, width)
    top, left = (height - size) // 2, (width - size) // 2
    crop = np.ascontiguousarray(image[top : top + size, left : left + size])
    return cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8)
