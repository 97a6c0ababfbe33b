"""Weights rounded to bytes so that a convolution's results change least, not the weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEVELS = 127
_DAMPING = 1e-3
_BLOCK = 128


def rounded(
    weight: NDArray[np.float64], step: NDArray[np.float64], moments: NDArray[np.float64]
) -> NDArray[np.int8]:
    """Round the weights of one convolution (GPTQ: Frantar et al. 2022, section 3).

    They are rounded one after the other, and what that changes in the result is put right, as far
    as it can be, by those that are not rounded yet. Neighbouring pixels are much alike, so that it
    takes away most of the error in flat areas, where an eye sees it first.

    Args:
        weight: `(outputs, n)`.
        step: `(outputs,)` what 1 of a byte is.
        moments: `(n, n)` mean of `x x'` over what the weights are multiplied by.

    Returns:
        `(outputs, n)` in [-127, 127].
    """
    count = weight.shape[1]
    damped = moments + np.eye(count) * (_DAMPING * np.trace(moments) / count + 1e-12)
    # The upper triangle U with U'U = the inverse.
    follow = _inverse(np.linalg.cholesky(damped[::-1, ::-1]))[::-1, ::-1]
    left = weight / step[:, None]
    result = np.zeros(weight.shape, np.int8)
    for begin in range(0, count, _BLOCK):
        end = min(begin + _BLOCK, count)
        errors = np.zeros((len(weight), end - begin))
        for n in range(begin, end):
            level = np.clip(np.rint(left[:, n]), -LEVELS, LEVELS)
            result[:, n] = level.astype(np.int8)
            errors[:, n - begin] = (left[:, n] - level) / follow[n, n]
            left[:, n + 1 : end] -= np.outer(errors[:, n - begin], follow[n, n + 1 : end])
        left[:, end:] -= errors @ follow[begin:end, end:]
    return result


def _inverse(lower: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of a lower triangle."""
    count = len(lower)
    if count <= _BLOCK:
        return np.tril(np.linalg.inv(lower))
    half = count // 2
    result = np.zeros_like(lower)
    result[:half, :half] = first = _inverse(lower[:half, :half])
    result[half:, half:] = second = _inverse(lower[half:, half:])
    result[half:, :half] = -second @ (lower[half:, :half] @ first)
    return result
