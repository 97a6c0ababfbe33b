"""Ten minutes of live video: nothing grows, and nothing comes out of order."""

from __future__ import annotations

from argparse import Namespace

import pytest

from tests.benchmarks.live import CLIP, FPS, Case, measure

SECONDS = 600.0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_minutes() -> None:
    row = measure(Case(320, 180, 4, loaded=False), Namespace(clip=CLIP, seconds=SECONDS))
    assert row["out_of_order"] == 0
    assert row["memory_growth"] is not None
    assert row["memory_growth"] < 1.05
    assert row["shown_per_second"] > 0.5 * FPS
    assert sum(row["levels"].values()) == pytest.approx(1)
