"""Converts images of callers to three channels of u8, and results back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from srsdk.errors import InputError
from srsdk.types import Pixels


@dataclass(frozen=True)
class Image:
    """Colour and alpha of an image.

    Attributes:
        color: `(H, W, 3)` u8; a view of the caller's array where it has three channels.
        alpha: `(H, W)` u8, or None.
        gray: 0, or the number of dimensions of the gray image that `color` repeats three times.
    """

    color: Pixels
    alpha: Pixels | None = None
    gray: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether the image has three channels, so that nothing was converted."""
        return self.alpha is None and not self.gray


def split(image: Any) -> Image:
    """Take an image apart.

    Args:
        image: uint8, `(H, W, 3)` colour, `(H, W, 4)` colour and alpha, `(H, W)` or `(H, W, 1)`
            gray; any strides, read-only allowed.

    Raises:
        InputError: `image` is none of these; the message says how to convert it.
    """
    if image is None:
        raise InputError("the image is None: cv2.imread gives that for a file that it cannot read")
    if not isinstance(image, np.ndarray):
        kind = type(image).__name__
        raise InputError(f"expected a NumPy array, got {kind}; numpy.asarray(picture) makes one")
    if image.dtype != np.uint8:
        raise InputError(f"expected uint8 pixels, got {image.dtype}; {_remedy(image.dtype)}")
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise InputError(
            "expected an image of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), "
            f"got {image.shape}"
        )
    if image.size == 0:
        raise InputError(f"the image is empty: its shape is {image.shape}")
    if channels == 3:
        return Image(image)
    if channels == 4:
        return Image(image[:, :, :3], image[:, :, 3])
    plane = image.reshape(image.shape[:2])
    return Image(np.repeat(plane[:, :, None], 3, axis=2), gray=image.ndim)


class PreparedImage:
    """An image to upscale: the generator's input and output, and the result in the image's form.

    Args:
        image: As for `split`.
        out: The array that the result is written into; None allocates one.
        scale: Upscaling factor.
        empty: Makes the array of `sr`, of a shape: memory that the generator writes the fastest.

    Raises:
        InputError: `image` or `out` cannot be used.

    Attributes:
        lr: `(H, W, 3)`, three channels of the image.
        sr: `(scale*H, scale*W, 3)`, which the generator writes.
    """

    def __init__(
        self,
        image: Any,
        out: Pixels | None,
        scale: int,
        empty: Callable[[tuple[int, ...]], Pixels],
    ) -> None:
        self._original = split(image)
        if out is None:
            shape = _result_shape(image, scale)
            out = empty(shape) if self._original.is_plain else np.empty(shape, np.uint8)
        else:
            _check_out(out, image, scale)
        self._out, self._scale = out, scale
        self.lr = self._original.color
        self.sr = out
        if not self._original.is_plain:
            height, width = self.lr.shape[:2]
            self.sr = np.empty((height * scale, width * scale, 3), np.uint8)

    def finish(self) -> Pixels:
        """Return the result in the form of the image; call this when `sr` is complete."""
        if not self._original.is_plain:
            _join(self.sr, self._original, self._scale, self._out)
        return self._out


def _join(color: Pixels, original: Image, scale: int, out: Pixels) -> None:
    """Write the upscaled `color` into `out` in the form of the original.

    Gray is the mean of the three channels; alpha is enlarged bicubically.
    """
    if original.gray:
        total = color.sum(axis=2, dtype=np.uint16)
        out[...] = ((total + 1) // 3).astype(np.uint8).reshape(out.shape)
    elif original.alpha is not None:
        out[:, :, :3] = color
        alpha = np.ascontiguousarray(original.alpha)
        size = (alpha.shape[1] * scale, alpha.shape[0] * scale)
        out[:, :, 3] = cv2.resize(alpha, size, interpolation=cv2.INTER_CUBIC)


def _result_shape(image: NDArray[np.uint8], scale: int) -> tuple[int, ...]:
    """Shape of the upscaled image."""
    return (image.shape[0] * scale, image.shape[1] * scale, *image.shape[2:])


def _check_out(out: Any, image: NDArray[np.uint8], scale: int) -> None:
    """Raise `InputError` unless `out` can take the upscaled `image`."""
    expected = _result_shape(image, scale)
    if not isinstance(out, np.ndarray) or out.dtype != np.uint8 or out.shape != expected:
        got = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise InputError(f"out must be a uint8 array of shape {expected}, got {got}")
    if not out.flags.writeable:
        raise InputError("out is read-only")
    if np.may_share_memory(out, image):
        raise InputError("out shares memory with the image; the input is never modified")


def _remedy(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "f":
        return "for values in [0, 1] pass (image * 255).round().clip(0, 255).astype('uint8')"
    if dtype == np.uint16:
        return "pass (image / 257).round().astype('uint8')"
    return "convert it with .astype('uint8')"
