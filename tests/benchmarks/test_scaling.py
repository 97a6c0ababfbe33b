"""The benchmark of growing work, on little work: what it writes, not how fast anything is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks import scaling


def test_all_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scaling, "SIZES", ((32, 18), (64, 36)))
    monkeypatch.setattr(scaling, "COUNTS", (1, 3))
    file, table = tmp_path / "scaling.json", tmp_path / "scaling.md"
    few = ["--rounds", "2", "--frames", "60", "--face-model", "edge-x4", "--json", str(file)]
    scaling.main([*few, "--markdown", str(table)])
    text = table.read_text("utf-8")
    assert capsys.readouterr().out == text
    parts = json.loads(file.read_text("utf-8"))["parts"]
    assert list(parts) == ["megapixels", "faces", "stream", "job"]
    assert [row["name"] for row in parts["faces"]["rows"]] == ["1", "3"]
    for part in ("megapixels", "faces"):
        assert parts[part]["spread"]["min"] >= 1
        for row in parts[part]["rows"]:
            assert row["total"]["calls"] == 2
            assert row["per_unit"]["min"] == pytest.approx(row["total"]["min"] / row["units"])
            assert f"| {row['name']} |" in text
    for part in ("stream", "job"):
        assert parts[part]["frames"] == list(range(1, 61))
        assert len(parts[part]["bytes"]) == 60
        assert f"{part}, 60 frames" in text

    scaling.main([*few, "--only", "stream"])
    again = json.loads(file.read_text("utf-8"))["parts"]
    assert list(again) == list(parts)
    assert again["job"] == parts["job"]


def test_growth_is_counted_from_a_tenth_on(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = iter([50, *[100] * 8, 110])
    monkeypatch.setattr(scaling, "resident_memory", lambda: next(memory))
    monkeypatch.setattr(scaling, "READINGS", 10)
    readings = scaling.Readings(100)
    for frame in range(1, 101):
        readings.at(frame)
    result = readings.result()
    assert result["frames"] == list(range(10, 101, 10))
    assert result["growth"] == pytest.approx(2.2)  # from the first reading, a tenth of the frames
