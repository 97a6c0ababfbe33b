from __future__ import annotations

import threading
import tracemalloc

import numpy as np
import pytest

from srsdk.timing import KEPT_SAMPLES, StageTimer


def test_totals_and_percentiles() -> None:
    timer = StageTimer()
    values = np.random.default_rng(0).random(1000)
    for value in values:
        timer.add("decode", float(value))
    summary = timer.summary("decode")
    assert summary.calls == 1000
    assert summary.total == pytest.approx(values.sum())
    assert summary.mean == pytest.approx(values.mean())
    assert (summary.p50, summary.p95, summary.p99) == pytest.approx(
        tuple(np.quantile(values, (0.5, 0.95, 0.99)))
    )
    assert summary.min == values.min()
    assert timer.stages == ("decode",)


def test_a_stage_that_raises_is_counted() -> None:
    timer = StageTimer()
    with pytest.raises(KeyError), timer("encode"):
        raise KeyError
    assert timer.summary("encode").calls == 1


def test_unknown_stage_and_reset() -> None:
    timer = StageTimer()
    assert timer.total("x") == 0
    assert timer.summary("x").calls == 0
    with timer("x"):
        pass
    timer.reset()
    assert timer.stages == ()


def test_threads_share_a_timer() -> None:
    timer = StageTimer()

    def work() -> None:
        for _ in range(20_000):
            timer.add("work", 1.0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert timer.summary("work").calls == 80_000
    assert timer.total("work") == 80_000


def test_memory_is_bounded_and_all_calls_count() -> None:
    """A video of an hour has 20 stages and 100,000 frames; eight bytes each would be 16 MB."""
    timer = StageTimer()
    for number in range(10 * KEPT_SAMPLES):
        timer.add("work", float(number))
        if number == KEPT_SAMPLES:
            tracemalloc.start()
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 10_000
    summary = timer.summary("work")
    assert (summary.calls, summary.min) == (10 * KEPT_SAMPLES, 0)
    shares = np.array((summary.p50, summary.p95, summary.p99)) / (10 * KEPT_SAMPLES)
    np.testing.assert_allclose(shares, (0.5, 0.95, 0.99), atol=0.04)


def test_a_paused_timer_counts_nothing() -> None:
    timer = StageTimer()
    with timer("work"):
        pass
    with timer.paused(), timer("work"):
        pass
    assert timer.summary("work").calls == 1
