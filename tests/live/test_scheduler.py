"""The scheduler against simulated loads: steady, steps, spikes, a stall."""

from __future__ import annotations

import random

import pytest

from srsdk.live import MeasuredCost, Patience, Scheduler
from tests.live.simulated import COSTS, DETECTION, FPS, Machine, play

DEADLINE = 2 / FPS


def test_a_quiet_machine_soon_gives_the_best_and_keeps_it() -> None:
    run = play(Machine(), 20)
    assert len(run.shown) >= run.sent - 1
    assert set(run.levels(2, 20)) == {"faces"}
    assert run.shown[-1].level.detect_every == 5
    assert max(run.ages[60:]) < DEADLINE


def test_pictures_are_in_order_and_in_time_under_any_load() -> None:
    noise = random.Random(1)
    run = play(Machine(lambda _: noise.uniform(0.5, 6)), 60)
    indices = [result.index for result in run.shown]
    assert indices == sorted(set(indices))
    assert sum(age > DEADLINE for age in run.ages) < 0.01 * len(run.ages)


@pytest.mark.parametrize("load", [1.5, 2, 3, 5, 10])
def test_a_step_of_load_lowers_the_level_within_half_a_second_and_not_the_rate(load: float) -> None:
    run = play(Machine(lambda t: load if 20 <= t < 40 else 1.0), 70)
    assert set(run.levels(10, 20)) == {"faces"}
    roomy = [kind for kind, cost in COSTS.items() if cost * load < 0.75 / FPS]
    affordable = [kind for kind, cost in COSTS.items() if cost * load < 0.95 / FPS]
    if "faces" not in affordable:
        assert run.levels(20.5, 40).count("faces") < 0.05 * 20 * FPS
    assert run.rate(20.5, 40) >= 29
    two_slow_frames = 2 * load * (COSTS["faces"] + DETECTION) * FPS
    assert run.rate(20, 21) >= 29 - two_slow_frames
    held = run.levels(25, 40)
    assert max(set(held), key=held.count) in (roomy[0], affordable[0])
    assert run.levels(60, 70).count("faces") > 0.9 * 10 * FPS


def test_single_slow_frames_do_not_change_the_level() -> None:
    noise = random.Random(0)
    spikes = {20 + 2 * i for i in range(20)}

    def load(now: float) -> float:
        due = {t for t in spikes if t <= now}
        spikes.difference_update(due)
        return 2.5 if due else noise.uniform(0.95, 1.05)

    run = play(Machine(load), 70)
    held = run.levels(10, 70)
    assert held.count("faces") > 0.97 * len(held)
    assert run.rate(10, 70) > 29.5


def test_a_stall_of_a_second_costs_that_second_and_nothing_else() -> None:
    machine = Machine()
    machine.stall_at = 20.0
    run = play(machine, 40)
    assert run.rate(21.2, 40) > 29.5
    assert set(run.levels(22.5, 40)) == {"faces"}
    after = next(r for r in run.shown if r.finished > 21.05)
    assert after.finished - after.captured < DEADLINE  # the newest frame, not one from before


def test_a_level_that_is_never_affordable_is_tried_ever_more_rarely() -> None:
    costs = {**COSTS, "faces": 0.045, "frame": 0.040}
    run = play(Machine(costs=costs), 300)
    assert run.rate(10, 300) > 29.5
    assert run.changes() < 70
    held = run.levels(100, 300)
    assert held.count("fast") > 0.95 * len(held)


def test_a_level_that_is_far_too_slow_costs_one_frame_at_the_start() -> None:
    run = play(Machine(costs={**COSTS, "faces": 0.7}), 5)
    assert run.levels(0, 5).count("faces") <= 1
    assert run.rate(2, 5) > 29.5


def test_a_load_at_the_border_does_not_make_the_level_flap() -> None:
    noise = random.Random(2)
    run = play(Machine(lambda _: 1.2 + noise.uniform(-0.15, 0.15)), 120)
    assert run.changes() < 20
    assert run.rate(5, 120) > 29


def test_a_machine_that_cannot_keep_up_at_all_still_shows_pictures() -> None:
    run = play(Machine(lambda _: 100.0), 20)  # bicubic takes 200 ms
    assert run.rate(5, 20) >= 4.9
    assert set(run.levels(5, 20)) == {"bicubic"}


def test_other_levels_are_expected_to_move_with_the_one_that_runs() -> None:
    costs = MeasuredCost(2)
    for _ in range(5):
        costs.record(0, 0.020)
    for _ in range(30):
        costs.record(1, 0.002)
    for _ in range(60):
        costs.record(1, 0.004)
    expected = costs.expected(0)
    assert expected is not None
    assert expected.mean == pytest.approx(0.040, rel=0.05)
    costs.reset()
    assert costs.expected(0) is None


def test_an_excluded_level_is_never_chosen() -> None:
    scheduler = Scheduler(3, MeasuredCost(3), patience=Patience(0.1, 1))
    assert scheduler.exclude(1)
    chosen = set()
    for frame in range(200):
        level = scheduler.choose(frame / FPS, 0.0, 1 / FPS, DEADLINE)
        scheduler.record(level, 0.001)
        chosen.add(level)
    assert chosen == {0, 2}
    assert scheduler.exclude(2)
    assert not scheduler.exclude(0)
