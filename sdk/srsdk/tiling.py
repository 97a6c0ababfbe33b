"""Exact tiling: parts of an image that together give every pixel of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from srsdk.futures import FinishedFuture
from srsdk.types import Backend, BackendInfo, DeviceBackend, Future, Pixels


class TiledBackend:
    """A backend for frames of any size: frames that are too large are computed in tiles.

    Args:
        backend: Runs the generator.
        tile: Largest side of a frame or tile that is computed at once, halo not counted; None: the
            backend's default, or the sizes that it was built for.

    Attributes:
        info: The backend's.
        tile: Largest side of a frame or tile that is computed at once.
        overlaps: Whether `submit` returns while the frame is in flight, as on a GPU.
    """

    def __init__(self, backend: Backend, tile: int | None = None) -> None:
        self.info: BackendInfo = backend.info
        self.tile = tile or self.info.tile
        self._backend = backend
        # Checked once, because isinstance of a protocol takes longer than the rest of a call.
        self._gpu = backend if isinstance(backend, DeviceBackend) else None
        self.overlaps = self._gpu is not None
        self._asks_backend = self._gpu is not None and tile is None

    def takes_whole(self, height: int, width: int) -> bool:
        """Whether frames of this size are computed whole, rather than in tiles."""
        if self._gpu is not None and self._asks_backend:
            return self._gpu.takes(height, width)
        return max(height, width) <= self.tile

    def empty(self, shape: tuple[int, ...]) -> Pixels:
        """Make an array for a result, where the backend writes it the fastest."""
        return np.empty(shape, np.uint8) if self._gpu is None else self._gpu.empty(shape)

    def run(self, lr: Pixels, sr: Pixels) -> None:
        """Upscale one frame.

        Args:
            lr: `(H, W, 3)`, any strides.
            sr: `(scale*H, scale*W, 3)` to write into, any strides.
        """
        height, width = lr.shape[:2]
        if self.takes_whole(height, width):
            self._backend.run(lr[None], sr[None])
            return
        scale = self.info.spec.scale
        for tile in tiles(height, width, self.tile, self.info.spec.halo):
            result = self._backend.run(lr[tile.read][None])[0]
            sr[scaled(tile.keep, scale)] = result[scaled(tile.inner, scale)]

    def submit(self, lr: Pixels, sr: Pixels) -> Future:
        """Start what `run` does; frames on the CPU and frames in tiles are finished on return.

        Returns:
            The future of `sr[None]`.
        """
        if self._gpu is not None and self.takes_whole(*lr.shape[:2]):
            return self._gpu.submit(lr[None], sr[None])
        self.run(lr, sr)
        return FinishedFuture(sr[None])


@dataclass(frozen=True)
class Tile:
    """One part of a low-resolution image, in its pixels.

    Attributes:
        read: Rows and columns for the generator: the part and its halo, cut at the image's edge.
        keep: Rows and columns of the image that this tile provides.
        inner: `keep` relative to `read`.
    """

    read: tuple[slice, slice]
    keep: tuple[slice, slice]
    inner: tuple[slice, slice]


def tiles(height: int, width: int, side: int, halo: int) -> Iterator[Tile]:
    """Divide an image into nearly equal tiles of at most `side` pixels (halo not counted) each way.

    There is no halo beyond the image's edge, so the generator pads there as for the whole image.
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
