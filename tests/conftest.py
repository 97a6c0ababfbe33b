"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine must not fail a test: timings live in benchmarks.
settings.register_profile("srsdk", deadline=None)
settings.load_profile("srsdk")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder named by SRSDK_DATA: faces, videos and weights that are not in the project."""
    folder = os.environ.get("SRSDK_DATA")
    if not folder:
        pytest.skip("SRSDK_DATA names no folder")
    return Path(folder)
