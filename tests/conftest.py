"""What all tests share."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from srsdk import _kernels

# A shell starts background jobs with SIGINT ignored, and children inherit that: the tests of Ctrl-C
# must not depend on how the test run was started.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# OpenMP's threads, which torch uses, spin while they wait for one another: beside other work that
# costs many times what they gain on small networks. torch reads this when it is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine must not fail a test: timings live in benchmarks.
settings.register_profile("srsdk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("srsdk")


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


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder named by SRSDK_DATA: faces, videos and weights that are not in the project."""
    folder = os.environ.get("SRSDK_DATA")
    if not folder:
        pytest.skip("SRSDK_DATA names no folder")
    return Path(folder)
