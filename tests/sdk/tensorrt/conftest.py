from __future__ import annotations

from pathlib import Path

import pytest

from tests.export.conftest import checkpoint
from tests.sdk.tensorrt.stand_in import make_engine

__all__ = ["checkpoint", "engine"]


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    return make_engine(tmp_path)
