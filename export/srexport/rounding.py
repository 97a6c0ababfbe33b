"""Weights rounded to bytes so that a convolution's results change least, not the weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEVELS = 127
_DAMPING = 1e-3


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
    inverse = np.linalg.inv(damped)
    follow = np.linalg.cholesky((inverse + inverse.T) / 2).T
    left = weight / step[:, None]
    result = np.zeros(weight.shape, np.int8)
    for n in range(count):
        level = np.clip(np.rint(left[:, n]), -LEVELS, LEVELS)
        result[:, n] = level.astype(np.int8)
        error = (left[:, n] - level) / follow[n, n]
        left[:, n + 1 :] -= np.outer(error, follow[n, n + 1 :])
    return result
