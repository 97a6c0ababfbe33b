from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest

from srsdk import _kernels


def available() -> list[str]:
    """Instruction sets of this CPU and build."""
    names, before = [], _kernels.isa()
    for name in ("portable", "avx2", "neon"):
        with contextlib.suppress(ValueError):
            _kernels.set_isa(name)
            names.append(name)
    _kernels.set_isa(before)
    return names


@pytest.fixture(params=available())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set, in use for the test."""
    before = _kernels.isa()
    _kernels.set_isa(request.param)
    yield request.param
    _kernels.set_isa(before)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240607)
