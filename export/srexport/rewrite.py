"""Exact rewrites of a generator's layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from srexport.source import Conv, Layer, PRelu, Relu, Shuffle
from srsdk.onnxfile import Array


def shuffle_last(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Move the last pixel shuffle to the end, so that the runtime's `pack` can do it.

    After its last shuffle a generator may have activations and convolutions. Activations act on
    each value alone, so they move before the shuffle unchanged. A k x k convolution after a shuffle
    by r equals a larger one before it (`_conv_before_shuffle`). The result is the same, also at the
    border, because both forms pad with zeros.
    """
    last = max((n for n, layer in enumerate(layers) if isinstance(layer, Shuffle)), default=-1)
    if last < 0:
        return tuple(layers)
    shuffle = layers[last]
    assert isinstance(shuffle, Shuffle)
    moved: list[Layer] = []
    for layer in layers[last + 1 :]:
        if isinstance(layer, Conv):
            weight = _conv_before_shuffle(layer.weight, shuffle.factor)
            moved.append(Conv(weight, np.repeat(layer.bias, shuffle.factor**2)))
        elif isinstance(layer, PRelu):
            moved.append(PRelu(np.repeat(layer.slope, shuffle.factor**2)))
        elif isinstance(layer, Relu):
            moved.append(layer)
        else:
            raise TypeError(f"{type(layer).__name__} behind the last pixel shuffle has no rewrite")
    return (*layers[:last], *moved, shuffle)


def _conv_before_shuffle(weight: Array, factor: int) -> Array:
    """The convolution before a pixel shuffle that equals `weight` after it.

    Args:
        weight: `(out, in, k, k)`, k odd.
        factor: Factor r of the shuffle.

    Returns:
        `(out*r*r, in*r*r, K, K)` with K odd. At position a of the r positions in a coarse pixel,
        tap d reads the fine pixel a + d, which is position (a + d) mod r of the coarse pixel
        floor((a + d) / r).
    """
    outputs, inputs, size, _ = weight.shape
    reach = size // 2
    margin = max(reach // factor + (reach % factor > 0), (factor - 1 + reach) // factor)
    wide = 2 * margin + 1
    result = np.zeros((outputs, factor, factor, inputs, factor, factor, wide, wide), np.float32)
    for i in range(factor):
        for di in range(-reach, reach + 1):
            ky, a = divmod(i + di, factor)
            for j in range(factor):
                for dj in range(-reach, reach + 1):
                    kx, b = divmod(j + dj, factor)
                    taps = weight[:, :, di + reach, dj + reach]
                    result[:, i, j, :, a, b, ky + margin, kx + margin] = taps
    return result.reshape(outputs * factor**2, inputs * factor**2, wide, wide)
