"""Weights that fade a patch out at its edges."""

from __future__ import annotations

import numpy as np
import pytest

from srsdk.faces.feather import feather_weights


@pytest.mark.parametrize("size", [1, 2, 3, 7, 128])
@pytest.mark.parametrize("margin", [0, 1, 3, 28, 500])
@pytest.mark.parametrize("sides", [(True, True), (True, False), (False, True), (False, False)])
def test_feather(size: int, margin: int, sides: tuple[bool, bool]) -> None:
    weights = feather_weights(size, margin, at_start=sides[0], at_end=sides[1])
    assert (weights.dtype, weights.shape) == (np.uint16, (size,))
    assert weights.max() <= 256
    mirrored = feather_weights(size, margin, at_start=sides[1], at_end=sides[0])
    np.testing.assert_array_equal(weights, mirrored[::-1])
    if not any(sides) or not margin:
        assert (weights == 256).all()
        return
    ramp = min(margin, size // sum(sides))
    if sides[0]:
        assert (np.diff(weights[:ramp].astype(int)) >= 0).all()
        # A ramp is as much over one half as under: rotated about its middle it is itself.
        np.testing.assert_array_equal(weights[:ramp] + weights[:ramp][::-1], 256)
        assert ramp < 28 or weights[0] < 3
    assert (weights[ramp if sides[0] else 0 : size - ramp if sides[1] else size] == 256).all()


def test_feather_refuses() -> None:
    assert feather_weights(0, 3).shape == (0,)
    with pytest.raises(ValueError, match="negative"):
        feather_weights(4, -1)
