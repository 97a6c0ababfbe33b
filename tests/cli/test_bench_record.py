"""What benchmarks share: statistics, turns, the record."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time

import numpy as np
import pytest

from srsdk.cli import record
from srsdk.timing import interleave, summarise


def test_summaries() -> None:
    values = np.random.default_rng(0).random(101).tolist()
    summary = summarise(values)
    assert (summary.calls, summary.min) == (101, min(values))
    assert summary.p50 == pytest.approx(np.median(values))
    assert summary.mean == pytest.approx(summary.total / 101)
    assert summarise([]).calls == 0


def test_turns_are_shuffled_and_only_the_second_call_counts() -> None:
    calls: list[str] = []

    def program(name: str, seconds: float) -> object:
        calls.append(name)
        if calls[-2:] == [name, name]:  # the second of a turn
            time.sleep(seconds)
        return None

    programs = {"a": lambda: program("a", 0.02), "b": lambda: program("b", 0.0)}
    seconds = interleave(programs, rounds=12, warmup=0, pause=0.0, seed=1)
    assert list(seconds) == ["a", "b"]
    assert [len(values) for values in seconds.values()] == [12, 12]
    assert min(seconds["a"]) >= 0.02
    assert calls.count("a") == calls.count("b") == 24
    turns = calls[::2]
    assert calls[1::2] == turns
    assert {turns[0::2][n] for n in range(12)} == {"a", "b"}  # either may come first in a round


def test_a_network_alone_has_no_fps() -> None:
    total = summarise([0.5, 0.5])
    assert record.Row("whole", total).fps == 2
    assert record.Row("graph", total, scope="network").fps is None
    assert record.Row("none", summarise([])).fps is None


def test_the_record_has_the_documented_keys() -> None:
    row = record.Row("whole", summarise([0.5]), joules=1.5)
    whole = record.Record((4, 2), (16, 8), (row,), (("other", "no file"),), sensor="rapl")
    found = json.loads(json.dumps(whole.to_json()))
    tables = (record.__doc__ or "").split("| key of a row |")
    for table, keys in zip(tables, (found, found["rows"][0]), strict=True):
        rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
        assert set(keys) == {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    assert found["skipped"] == [{"name": "other", "reason": "no file"}]
    assert "joules" not in record.Row("whole", summarise([0.5])).to_json()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_this_process_alone() -> None:
    code = (
        "from srsdk.cli.record import peak_memory as p, resident_memory as r\n"
        "before, now = p(), r()\n"
        "x = b'1' * (64 << 20)\n"
        "held = r() - now\n"
        "del x\n"
        "print(p() - before, held, r() - now)"
    )
    ballast = b"1" * (300 << 20)  # of the parent; it must not count
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    del ballast
    most, held, after = (int(word) / 2**20 for word in done.stdout.split())
    assert 60 < most < 80
    assert 60 < held < 80
    assert after < 8
