"""`Upscaler`: the façade over backends, tiles and faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, get_args

import numpy as np

from srsdk import image as images
from srsdk import zoo
from srsdk.backends import Backend, BackendInfo, Color, Pixels, open_backend
from srsdk.errors import InputError
from srsdk.tiling import scaled, tiles

_TILE = 512
"""Default side of a tile: bounds the generator's memory on large images."""


@dataclass(frozen=True)
class UpscalerInfo:
    """What an `Upscaler` does and runs on.

    Attributes:
        scale: Upscaling factor.
        color: Channel order of the frames.
        tile: Largest side of what goes through the generator at once, halo not counted.
        frames: The generator of whole frames.
        faces: The generator of faces, or None.
    """

    scale: int
    color: Color
    tile: int
    frames: BackendInfo
    faces: BackendInfo | None


class Upscaler:
    """Upscales images and video frames.

    One object may be used by several threads at once; each call stands alone. Video, where faces
    are tracked from frame to frame, goes through `stream`.

    Args:
        model: A name from `srsdk.zoo.models()`, "bicubic-xN", or the path of an ONNX file that
            `srsdk-export` wrote.
        faces: The same, for the generator that is run on detected faces, whose results are blended
            into the frame; None leaves faces to `model`. Both must have the same scale.
        backend: "auto", or a name from `srsdk.backends.BACKENDS`.
        threads: CPU threads of each generator; None for all that this process may use.
        color: Channel order of all images, "bgr" as OpenCV and cameras give it, or "rgb".
        tile: Largest side of what goes through the generator at once. Larger images are cut into
            tiles with a margin as wide as the generator sees, so that the result is that of the
            whole image.

    Raises:
        ModelNotFoundError: No such model.
        ModelFormatError: The file is not a usable model.
        BackendUnavailableError: The backend is unknown or cannot run here.
        InputError: An option is out of its range, or the two models' scales differ.
    """

    def __init__(
        self,
        model: str | Path = "edge-x4",
        *,
        faces: str | Path | None = None,
        backend: str = "auto",
        threads: int | None = None,
        color: Color = "bgr",
        tile: int = _TILE,
    ) -> None:
        if color not in get_args(Color):
            raise InputError(f"color is {color!r}, expected 'bgr' or 'rgb'")
        if tile < 16:
            raise InputError(f"tile is {tile}, expected at least 16 pixels")
        if threads is not None and threads < 1:
            raise InputError(f"threads is {threads}, expected at least 1")
        self._backend: Backend = open_backend(
            backend, zoo.find(model), threads=threads or 0, color=color
        )
        self._info = UpscalerInfo(self.scale, color, tile, self._backend.info, None)

    @property
    def scale(self) -> int:
        """Upscaling factor."""
        return self._backend.info.spec.scale

    @property
    def info(self) -> UpscalerInfo:
        """What this object does and runs on."""
        return self._info

    def up(self, image: Any, out: Pixels | None = None) -> Pixels:
        """Upscale one image.

        Args:
            image: uint8 `(H, W, 3)` in `color`, `(H, W, 4)` with alpha last (enlarged bicubically),
                or gray `(H, W)` / `(H, W, 1)`; any size from 1x1, any strides; never modified.
            out: Array to write into, of the result's shape; may be strided (a region of a larger
                frame), must not share memory with `image`.

        Returns:
            `out`, or a new array: uint8, `scale` times as high and wide, channels as given.

        Raises:
            InputError: `image` or `out` is not as described.
        """
        original = images.split(image)
        if out is None:
            out = np.empty(images.result_shape(image, self.scale), np.uint8)
        else:
            images.check_out(out, image, self.scale)
        if original.is_plain:
            self._up(original.color, out)
            return out
        height, width = original.color.shape[:2]
        color = np.empty((height * self.scale, width * self.scale, 3), np.uint8)
        self._up(original.color, color)
        images.join(color, original, self.scale, out)
        return out

    def batch(self, frames: Sequence[Any]) -> list[Pixels]:
        """Upscale several images; those of one size go through the generator together.

        Args:
            frames: Images as `up` takes them, or one `(N, H, W, 3)` array.

        Returns:
            The results, in order.
        """
        return [self.up(frame) for frame in frames]

    def close(self) -> None:
        """Free the generators; the object cannot be used afterwards."""
        self._backend.close()

    def __enter__(self) -> Upscaler:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _up(self, color: Pixels, out: Pixels) -> None:
        height, width = color.shape[:2]
        limit = self._info.tile
        if height <= limit and width <= limit:
            self._backend.run(color[None], out[None])
            return
        halo = self._backend.info.spec.halo
        for tile in tiles(height, width, limit, halo):
            result = self._backend.run(color[tile.read][None])[0]
            out[scaled(tile.keep, self.scale)] = result[scaled(tile.inner, self.scale)]
