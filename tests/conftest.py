"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder named by SRSDK_DATA: faces, videos and weights that are not in the project."""
    folder = os.environ.get("SRSDK_DATA")
    if not folder:
        pytest.skip("SRSDK_DATA names no folder")
    return Path(folder)
