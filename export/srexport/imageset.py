"""Real images for int8: pairs of high and low resolution, out of folders, shards and videos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from srexport.images import read_images
from srexport.int8 import ImageSet
from srsdk.errors import InputError
from srsdk.types import Pixels

_VIDEOS = {".mp4", ".mkv", ".mov", ".webm"}
_FACE = 48
"""Side of low-resolution pictures of generators that were trained on whole frames."""

_FRAME_HEIGHT = 180
"""About how high a low-resolution frame of a video is."""


def read_set(source: Path, *, scale: int, face_size: int, limit: int = 48) -> ImageSet:
    """Read images and reduce them, by area averaging, to what a generator sees.

    Args:
        source: Folder of pictures, `.tar` shard, or video, of which frames are taken.
        scale: The generator's.
        face_size: Side of low-resolution faces; 0: pictures become 48x48, frames about 320x180.
        limit: Images to read; of a video a quarter as many pairs of frames that follow each
            other.

    Raises:
        InputError: There are no images in it.
        VideoError: The video cannot be read.
    """
    clip = source.suffix.lower() in _VIDEOS
    if clip:
        hr = _pairs(source, scale, max(1, limit // 4))
    else:
        hr = read_images(source, (face_size or _FACE) * scale, limit)
    height, width = hr.shape[1] // scale, hr.shape[2] // scale
    lr = [cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) for image in hr]
    return ImageSet(source.name, np.stack(lr).astype(np.uint8), hr, clip)


def split_set(images: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Every other image, or pair of frames, to calibrate on, and the rest.

    Raises:
        InputError: There are fewer than two.
    """
    unit = 2 if images.clip else 1
    if len(images.lr) < 2 * unit:
        what = "pairs of frames" if images.clip else "images"
        raise InputError(f"{images.name}: at least two {what} are needed, one to calibrate on")
    first = np.arange(len(images.lr)) // unit % 2 == 0
    calibration, rest = (
        replace(images, lr=images.lr[part], hr=images.hr[part]) for part in (first, ~first)
    )
    return calibration, rest


def _pairs(source: Path, scale: int, count: int) -> Pixels:
    """Pairs of frames from all over a video, RGB, reduced to what a multiple of `scale` may be."""
    from srsdk.video import VideoReader

    with VideoReader(source) as reader:
        total = reader.info.frames or 0
        every = max(2, total // count) if total else 10
        kept: list[Pixels] = []
        for number, frame in enumerate(reader):
            if number % every < 2:
                kept.append(np.ascontiguousarray(frame.pixels[:, :, ::-1]))
            if len(kept) == 2 * count:
                break
    del kept[len(kept) // 2 * 2 :]
    if not kept:
        raise InputError(f"{source}: no two frames in it")
    height, width = kept[0].shape[:2]
    small = min(_FRAME_HEIGHT, height // scale)
    size = (width * small // height * scale, small * scale)
    resized = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in kept]
    return np.stack(resized).astype(np.uint8)
