from __future__ import annotations

import threading

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
    assert timer.stages == ("decode",)
    assert timer.samples("decode") == list(values)


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


def test_threads_share_a_timer_and_memory_is_bounded() -> None:
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
    assert len(timer.samples("work")) == KEPT_SAMPLES


def test_the_last_samples_are_kept_in_order() -> None:
    timer = StageTimer()
    for number in range(KEPT_SAMPLES + 3):
        timer.add("work", float(number))
    assert timer.samples("work") == [float(n) for n in range(3, KEPT_SAMPLES + 3)]
    assert timer.summary("work").min == 3
    assert timer.samples("other") == []
    with timer.paused(), timer("work"):
        pass
    assert timer.summary("work").calls == KEPT_SAMPLES + 3
