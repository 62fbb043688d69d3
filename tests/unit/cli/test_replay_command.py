"""`./wvr replay`: counts, empty years and doubted readings."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.replay import main

HEADER = "timestamp,sensor,flow_rate,pressure"


def replay(folder: Path, lines: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Return exit code, output and errors."""
    file = folder / "readings.csv"
    file.write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")
    code = main([str(file), "--data", str(folder / "data")])
    return code, *capsys.readouterr()


def test_counts_are_those_of_the_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"2025-03-03 00:0{minute},001,1{minute}.0,4.0" for minute in range(5)]
    repeated = ["2025-03-03 00:03,001,13.0,4.0", "2025-03-03 00:02,001,99.0,4.0"]
    code, output, errors = replay(tmp_path, [*lines, *repeated, "2025-03-03 00:05,001,many,4.0,x,y,z", "?"], capsys)
    assert code == 1
    assert "5 readings stored, 1 already there and equal, 1 already there and different (kept)" in output
    assert "readings.csv:" in errors


def test_empty_years_are_skipped_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"2000-01-01 00:0{minute},001,1{minute}.0,4.0" for minute in range(5)]
    lines += [f"2025-03-03 00:0{minute},001,1{minute}.0,4.0" for minute in range(8)]
    code, output, _ = replay(tmp_path, lines, capsys)
    assert code == 0
    assert "days without readings, from 2000-01-09 00:04+0900 to 2025-03-02 23:59+0900" in output
    assert "time not believed: 5 readings" in output


def test_rows_of_the_future_move_no_file_ahead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"2025-03-03 00:{minute:02},001,10.0,4.0" for minute in range(20)]
    lines[5:7] = ["2036-02-07 06:28,001,18.0,4.2", "2036-02-07 06:29,001,18.0,4.2"]
    code, output, _ = replay(tmp_path, lines, capsys)
    assert code == 0
    assert "time not believed: 2 readings" in output
    assert (tmp_path / "data/sensor/alert.txt").read_text().startswith("001  2025-03-03T00:19")
