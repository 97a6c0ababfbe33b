"""Exact tiling: parts of an image that together give every pixel of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Tile:
    """One part of a low-resolution image, in its pixels.

    Attributes:
        read: Rows and columns to feed the generator: the part and its halo, cut at the edge.
        keep: Rows and columns of the image that this tile is responsible for.
        inner: `keep` relative to `read`.
    """

    read: tuple[slice, slice]
    keep: tuple[slice, slice]
    inner: tuple[slice, slice]


def tiles(height: int, width: int, side: int, halo: int) -> Iterator[Tile]:
    """Divide an image into nearly equal tiles of at most `side` pixels (halo not counted) each way.

    At the image's own edge there is no halo, so the generator pads there exactly as it does for the
    whole image.
    """
    rows, columns = list(_spans(height, side, halo)), list(_spans(width, side, halo))
    for read_y, keep_y, inner_y in rows:
        for read_x, keep_x, inner_x in columns:
            yield Tile((read_y, read_x), (keep_y, keep_x), (inner_y, inner_x))


def scaled(part: tuple[slice, slice], scale: int) -> tuple[slice, slice]:
    """The same part of the upscaled image."""
    y, x = part
    return slice(y.start * scale, y.stop * scale), slice(x.start * scale, x.stop * scale)


def _spans(length: int, side: int, halo: int) -> Iterator[tuple[slice, slice, slice]]:
    count = -(-length // side)
    edges = [length * n // count for n in range(count + 1)]
    for start, stop in pairwise(edges):
        low, high = max(start - halo, 0), min(stop + halo, length)
        yield slice(low, high), slice(start, stop), slice(start - low, stop - low)
