"""Gives one frame the quality of a level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import cv2
import numpy as np

from srsdk.errors import InputError
from srsdk.live.levels import Level, ladder
from srsdk.types import Pixels

if TYPE_CHECKING:
    from srsdk.upscaler import Upscaler


@runtime_checkable
class Renderer(Protocol):
    """Upscales the frames of one camera at changing levels, from one thread at a time.

    Attributes:
        strength: How much of a face generator's result to blend in, 0 to 1; may be changed between
            frames.
    """

    strength: float

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels that it has, best first, the cheapest last."""
        ...

    def render(self, frame: Pixels, level: Level) -> tuple[Pixels, int]:
        """Upscale the next frame.

        Args:
            frame: uint8 `(H, W, 3)`, contiguous; never modified.
            level: One of `levels`.

        Returns:
            The picture, and how many faces are in it as far as they were looked for.
        """
        ...

    def close(self) -> None:
        """Let go of threads and memory; no frame comes after this."""
        ...


class UpscalerRenderer:
    """The levels of an `Upscaler`.

    Args:
        upscaler: For the levels "faces", where it has a face generator, and "frame".
        fast: For the level "fast", of the same scale; None: there is no such level.

    Raises:
        InputError: The scales differ.
    """

    def __init__(self, upscaler: Upscaler, *, fast: Upscaler | None = None) -> None:
        if fast is not None and fast.scale != upscaler.scale:
            raise InputError(
                f"the fast upscaler is x{fast.scale} and the other x{upscaler.scale}; "
                "both must have the same scale"
            )
        self._levels = ladder(faces=upscaler.info.faces is not None, fast=fast is not None)
        self.strength = 1.0
        self._stream = upscaler.stream(detect_later=True)
        self._fast = None if fast is None else fast.stream()
        if self._fast is not None:
            self._fast.enhance_faces = False

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels that the upscalers allow."""
        return self._levels

    def render(self, frame: Pixels, level: Level) -> tuple[Pixels, int]:
        """Upscale the next frame; raises what the upscaler raises."""
        if level.kind == "bicubic":
            return _bicubic(frame, self._stream.scale), 0
        if level.kind == "fast" and self._fast is not None:
            return self._fast(frame), 0
        self._stream.enhance_faces = level.kind == "faces"
        if self._stream.enhance_faces:
            self._stream.detect_every = level.detect_every
            self._stream.strength = self.strength
        return self._stream(frame), len(self._stream.faces)

    def close(self) -> None:
        """End the streams; the upscalers stay open."""
        self._stream.close()
        if self._fast is not None:
            self._fast.close()


def _bicubic(frame: Pixels, scale: int) -> Pixels:
    size = (frame.shape[1] * scale, frame.shape[0] * scale)
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC), np.uint8)
