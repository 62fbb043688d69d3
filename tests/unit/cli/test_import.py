"""`./wvr import` shows what it understood, asks, and counts truly."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path

import pytest

from cli.bootstrap import ROOT, CommandError
from cli.import_ import main

CASES = ROOT.parent / "shared/data/cases"
HEADER = "timestamp,sensor,flow_rate,pressure\n"


class FakeTerminal(io.StringIO):
    """A terminal on which an answer was typed."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def run(data: Path, text: str, *options: str) -> int:
    file = data.parent / "readings.csv"
    file.write_text(text, encoding="utf-8")
    return main([str(file), "--data", str(data), *options])


def stored(data: Path) -> list[tuple[float | None, float | None]]:
    with sqlite3.connect(data / "wvr.db") as database:
        return database.execute("SELECT flow_rate, pressure FROM REAL_VAL_TB ORDER BY at").fetchall()


def test_a_dry_run_shows_what_was_understood_and_writes_nothing(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "일시,지점,유량(l/s),비고\n2025-03-03 00:00,001,10,\n2025-03-03 00:01,001,-,\n2025-03-03 00:05,001,20,\n"
    assert run(data, text, "--dry-run") == 0
    assert capsys.readouterr().out.splitlines() == [
        "form: UTF-8, comma",
        "columns: '일시' is the time, '지점' is the sensor, '유량(l/s)' is the flow_rate in l/s, times 3.6 in m3/h",
        "not read: '비고'",
        "'-' in place of a value: 1 value missing",
        "sensor 001: 3 readings from 2025-03-03 00:00+0900 to 2025-03-03 00:05+0900",
        "  every 1 min, 1 gap, the longest 4 min",
        "  2025-03-03 00:00+0900  36 m3/h  none bar",
        "  2025-03-03 00:01+0900  none m3/h  none bar",
        "  2025-03-03 00:05+0900  72 m3/h  none bar",
        "3 readings would be stored, 0 already there and equal, 0 already there and different (kept), "
        "0 lines refused (nothing is written)",
    ]
    assert not data.exists()


def test_counts_are_true(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = "2025-03-03 00:00,001,10,4\n2025-03-03 00:01,001,11,4\n"
    assert run(data, HEADER + first, "--yes") == 0
    assert "2 readings stored," in capsys.readouterr().out
    second = (
        "2025-03-03 00:00,001,10,4\n2025-03-03 00:01,001,21,5\n2025-03-03 00:02,001,wet,5\n2025-03-03 00:03,001,1,5\n"
    )
    assert run(data, HEADER + second, "--yes") == 1
    output = capsys.readouterr()
    counts = "1 already there and equal, 1 already there and different (kept), 1 line refused"
    assert f"1 reading stored, {counts}" in output.out
    assert output.err == "readings.csv:4: invalid number: 'wet'\n"
    assert stored(data) == [(10, 4), (11, 4), (1, 5)]


def test_corrected_readings_replace_the_stored_ones_on_request(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(data, HEADER + "2025-03-03 00:00,001,10,4\n2025-03-03 00:01,001,11,4\n", "--yes") == 0
    corrected = HEADER + "2025-03-03 00:00,001,20,\n2025-03-03 00:01,001,11,4\n2025-03-03 00:02,001,12,4\n"
    assert run(data, corrected, "--yes", "--replace") == 0
    counts = "1 reading stored, 1 already there and equal, 1 already there and different (replaced)"
    assert counts in capsys.readouterr().out
    assert stored(data) == [(20, None), (11, 4), (12, 4)]
    assert run(data, corrected) == 0
    assert "0 readings would be stored, 3 already there and equal" in capsys.readouterr().out


def test_a_reading_that_did_not_arrive_is_an_error(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.import_._store", lambda *_: "by the running site")
    with pytest.raises(CommandError, match="1 reading not stored"):
        run(data, HEADER + "2025-03-03 00:00,001,1,4\n", "--yes")


def test_two_channels_of_a_minute_on_two_lines_are_one_reading(data: Path) -> None:
    text = "2025-03-03 00:00,001,12.34,\n2025-03-03 00:00,001,,4.11\n2025-03-03 00:00,001,99,\n"
    assert run(data, HEADER + text, "--yes") == 0
    assert stored(data) == [(12.34, 4.11)]


def test_a_channel_that_comes_in_another_file_completes_the_stored_minutes(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(data, "time,sensor,flow_rate\n2025-03-03 00:00,001,12\n2025-03-03 00:01,001,13\n", "--yes") == 0
    capsys.readouterr()
    other = "time,sensor,pressure\n2025-03-03 00:00,001,4\n2025-03-03 00:01,001,5\n"
    assert run(data, other, "--yes") == 0
    assert "2 readings stored, 0 already there and equal, 0 already there and different" in capsys.readouterr().out
    assert stored(data) == [(12, 4), (13, 5)]
    assert run(data, other, "--yes") == 0
    assert "0 readings would be stored, 2 already there and equal" in capsys.readouterr().out


def test_samples_within_a_minute_are_averaged(data: Path) -> None:
    text = "".join(f"2025-03-03 00:00:{second:02},001,{second},4\n" for second in (0, 20, 40))
    assert run(data, HEADER + text + "2025-03-03 00:00:58,001,7,5\n", "--yes") == 0
    assert stored(data) == [(20, 4), (7, 5)]


def test_without_a_terminal_it_says_what_to_pass(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(CommandError, match="pass --yes"):
        run(data, HEADER + "2025-03-03 00:00,001,1,4\n")
    assert not data.exists()


@pytest.mark.parametrize(("answer", "rows"), [("y\n", 1), ("\n", 0), ("n\n", 0)])
def test_it_asks_on_a_terminal(data: Path, monkeypatch: pytest.MonkeyPatch, answer: str, rows: int) -> None:
    monkeypatch.setattr("sys.stdin", FakeTerminal(answer))
    assert run(data, HEADER + "2025-03-03 00:00,001,1,4\n") == 0
    assert data.exists() == bool(rows)


def test_a_file_in_doubt_stores_nothing(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(data, "언제,지점,유량\n2025-03-03 00:00,001,1\n", "--yes") == 1
    assert 'columns = { time = "…", sensor = "지점", flow_rate = "유량", pressure = "…" }' in capsys.readouterr().err
    assert not data.exists()


@pytest.mark.skipif(not CASES.is_dir(), reason=f"{CASES} is absent")
@pytest.mark.parametrize(
    ("case", "rows", "code"),
    [
        ("01", 10, 0),
        ("02c", 3, 0),
        ("03", 3, 0),
        ("04", 3, 0),
        ("05b", 0, 1),
        ("06", 4, 0),
        ("07-", 2, 0),
        ("07b", 2, 0),
        ("07c", 2, 0),
        ("07d", 5, 0),
        ("08-", 2, 0),
        ("08b", 2, 0),
        ("09", 3, 0),
        ("10", 3, 0),
        ("11", 18, 0),
        ("12b", 80, 0),
        ("13", 3, 0),
        ("14", 3, 0),
        ("15", 3, 0),
        ("17", 3, 0),
        ("20", 6, 0),
        ("21", 6, 0),
        ("24-corrected-readings-a", 2, 0),
        ("24-corrected-readings-b", 2, 0),
        ("25", 30, 0),
    ],
)
def test_each_case_of_the_field(
    data: Path, capsys: pytest.CaptureFixture[str], case: str, rows: int, code: int
) -> None:
    (file,) = CASES.glob(f"{case}*")
    assert main([str(file), "--data", str(data), "--dry-run", "--sensor", "001"]) == code
    assert (f"{rows} readings would be stored" in capsys.readouterr().out) == bool(rows)
    assert not data.exists()


@pytest.mark.parametrize(
    ("zone", "line", "expected"),
    [
        (
            "Asia/Seoul",
            "2025-03-03T00:00+00:00,001,10,4",
            "time: 1 timestamp offset +0000 of the file, +0900 of the site (Asia/Seoul): converted",
        ),
        (
            "Europe/Berlin",
            "2025-10-26 02:30,001,10,4",
            "time: 1 timestamp in the hour that Europe/Berlin repeats, without an offset: their order decides",
        ),
    ],
)
def test_doubts_about_the_time_zone_are_named(
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    zone: str,
    line: str,
    expected: str,
) -> None:
    monkeypatch.setenv("WVR_SITE__TIMEZONE", zone)
    assert run(data, f"{HEADER}{line}\n", "--dry-run") == 0
    assert any(shown.startswith(expected) for shown in capsys.readouterr().out.splitlines())


def test_readings_of_the_future_are_refused(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(data, HEADER + "2025-03-03 00:00,001,10,4\n2099-01-01 00:00,001,10,4\n", "--yes") == 1
    assert "dated in the future: it is " in capsys.readouterr().err
    assert stored(data) == [(10.0, 4.0)]


def test_minute_that_the_zone_skips_is_refused(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WVR_SITE__TIMEZONE", "Europe/Berlin")
    assert run(data, HEADER + "2025-03-30 02:30,001,10,4\n2025-03-30 03:30,001,10,4\n", "--dry-run") == 1
    assert "2025-03-30 02:30 does not exist in Europe/Berlin (start of DST)" in capsys.readouterr().err
