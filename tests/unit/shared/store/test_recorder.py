"""What is written is stored once and can be read back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from shared.contract.messages import Anomaly, Check, Criteria, Forecast, LocalizedText, Message, Score
from shared.contract.messages import HistoryBatch as Past
from shared.contract.service import Unavailable
from shared.domain.series import DAY
from shared.domain.value_ranges import ValueRanges
from shared.store.history import History
from shared.store.recorder import Recorder
from shared.store.writer_lock import WriterLockHeld
from tests.unit.factories import START, minute_at, prediction, reading, verdict

SEOUL = ZoneInfo("Asia/Seoul")
HORIZONS = (0, 1, 24)
T0 = int(START.timestamp())


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    recorder = Recorder(tmp_path / "wvr.db", SEOUL, HORIZONS)
    yield recorder
    recorder.close()


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "wvr.db", SEOUL, "site1")


def rows(tmp_path: Path, sql: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(tmp_path / "wvr.db") as database:
        return database.execute(sql).fetchall()


def test_writing_the_same_messages_again_changes_nothing(recorder: Recorder, tmp_path: Path) -> None:
    messages: list[Message] = [reading(0), reading(1), verdict(0), verdict(1), prediction(0)]
    recorder.write(messages)
    tables = ("REAL_VAL_TB", "OUTLIER_VAL_TB", "PRED_VAL_TB", "HOURLY_VAL_TB", "NIGHT_FLOW_VAL_TB")
    before = [rows(tmp_path, f"SELECT * FROM {table}") for table in tables]
    recorder.write(messages)
    assert [rows(tmp_path, f"SELECT * FROM {table}") for table in tables] == before
    assert [len(counts) for counts in before] == [2, 2, 2 * 169, 1, 1]


def test_a_late_half_completes_its_minute_and_changes_no_value(recorder: Recorder, history: History) -> None:
    recorder.write([replace(reading(0, 1.0), pressure=None)])
    recorder.write([replace(reading(0, None), completes=True), replace(reading(0, 2.0), pressure=9.0)])
    stored = history.readings("001", T0, T0 + 60)
    assert (stored.flow_rate.tolist(), stored.pressure.tolist()) == ([1.0], [reading(0).pressure])


def test_values_that_the_meter_cant_show_are_stored_and_enter_no_mean(tmp_path: Path) -> None:
    ranges = ValueRanges({"001": ((0.0, 50.0), (0.0, 10.0))})
    recorder = Recorder(tmp_path / "wvr.db", SEOUL, HORIZONS, ranges)
    recorder.write([reading(minute, 777.0 if minute == 3 else 10.0) for minute in range(10)])
    recorder.close()
    means = "SELECT max(flow_rate_max), max(flow_rate_mean), max(pressure_mean) FROM HOURLY_VAL_TB"
    assert rows(tmp_path, means) == [(10.0, 10.0, reading(0).pressure)]
    assert rows(tmp_path, "SELECT max(flow_rate) FROM NIGHT_FLOW_VAL_TB") == [(10.0,)]
    assert rows(tmp_path, "SELECT max(flow_rate) FROM REAL_VAL_TB") == [(777.0,)]
    usable = History(tmp_path / "wvr.db", SEOUL, "site1", ranges).readings("001", T0, T0 + 600)
    assert np.nanmax(usable.flow_rate) == 10.0
    assert np.isnan(usable.flow_rate).sum() == 1


def test_first_of_two_readings_of_a_minute_stays(recorder: Recorder, history: History) -> None:
    recorder.write([reading(0, 1.0)])
    recorder.write([reading(0, 2.0)])
    assert history.readings("001", T0, T0 + 60).flow_rate.tolist() == [1.0]


def test_history_returns_what_was_stored(recorder: Recorder, history: History) -> None:
    text = LocalizedText("누수", "leak")
    leak = Anomaly(
        site="site1",
        sensor="001",
        id="a1",
        at=minute_at(3),
        channels=("flow_rate",),
        methods=("night",),
        kind="leak",
        trigger="leak",
        state="opened",
        acknowledged=False,
        severity="warning",
        opened_at=minute_at(2),
        onset_at=minute_at(2),
        cleared_at=None,
        peak=9.0,
        excess_m3h=1.5,
        text=text,
    )
    criteria = Criteria(
        site="site1",
        sensor="001",
        valid_from=minute_at(0),
        learned_from=minute_at(-99),
        learned_to=minute_at(0),
        days=3,
        limits={"flow_rate.value.spike": 4.5},
        profiles={"x": (1.0, 2.0)},
    )
    recorder.write([reading(0), reading(1, None), verdict(0), leak, criteria, prediction(0)])
    series = history.readings("001", T0, T0 + 600)
    assert series.at.tolist() == [T0, T0 + 60]
    assert np.isnan(series.flow_rate).tolist() == [False, True]
    assert [item.at for item in history.readings_without_verdict("001", T0, T0 + 600)] == [minute_at(1)]
    assert history.anomalies("001", T0 + 600) == [leak]
    assert history.criteria("001") == [criteria]
    assert history.prediction_at("001") == prediction(0)
    assert (history.reading_range("001"), history.last_verdict("001"), history.last_issued_at("001")) == (
        (T0, T0 + 60),
        T0,
        T0,
    )
    assert history.anomaly_spans("001", T0, T0 + 600) == [(T0 + 120, T0 + 600)]


def test_history_is_empty_without_a_database(history: History) -> None:
    assert history.sensors() == []
    assert history.reading_range("001") is None
    assert len(history.readings("001", 0, T0)) == 0
    assert history.criteria("001") == []


def test_older_forecasts_keep_only_the_horizons(recorder: Recorder, tmp_path: Path) -> None:
    recorder.write([prediction(0), prediction(60)])
    recorder.write([prediction(120)])
    counts = rows(tmp_path, "SELECT issued_at, count(*) FROM PRED_VAL_TB WHERE channel = 'pressure' GROUP BY 1")
    assert counts == [(T0, 4), (T0 + 3600, 4), (T0 + 7200, 169)]


def test_backfilled_forecasts_are_thin_and_the_newest_is_complete(recorder: Recorder, tmp_path: Path) -> None:
    recorder.write([prediction(0)])
    recorder.write([prediction(180), prediction(60), prediction(120)])
    counts = rows(tmp_path, "SELECT issued_at, count(*) FROM PRED_VAL_TB WHERE channel = 'pressure' GROUP BY 1")
    assert counts == [(T0, 4), (T0 + 3600, 4), (T0 + 7200, 4), (T0 + 10_800, 169)]


def test_scores_are_returned_with_their_prediction_and_by_hour(recorder: Recorder, history: History) -> None:
    first, second = (
        Score(
            at=minute_at(minute),
            channel="flow_rate",
            horizon=24,
            model="m-1",
            error=-0.5,
            inside=True,
            profile_error=0.75,
            hours=12,
            mae=0.4,
            coverage=0.83,
            profile_mae=None,
        )
        for minute in (0, 60)
    )
    recorder.write([replace(prediction(60), scores=(first,)), replace(prediction(120), scores=(second,))])
    assert history.scores("001", T0, T0 + 7200) == [first, second]
    assert history.scores("001", T0, T0 + 3600) == [first]
    assert history.last_scored("001") == T0 + 3600
    assert (newest := history.prediction_at("001"))
    assert newest.scores == (second,)


def test_stored_forecasts_of_an_hour_are_the_scored_ones(recorder: Recorder, history: History) -> None:
    recorder.write([prediction(0), prediction(60)])
    forecasts = list(history.forecasts_for_hours("001", T0 + 24 * 3600, T0 + 26 * 3600))
    values = [(item.channel, (item.at - item.issued_at) // 3600, item.p10, item.p50, item.p90) for item in forecasts]
    assert values == [("flow_rate", 24, 23, 24, 25), ("pressure", 24, 3.5, 4, 4.5)] * 2


@pytest.mark.usefixtures("recorder")
def test_second_writer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WriterLockHeld, match="already writes"):
        Recorder(tmp_path / "wvr.db", SEOUL, HORIZONS)


def test_foreign_lock_is_reported_and_nothing_is_lost(recorder: Recorder, history: History, tmp_path: Path) -> None:
    recorder.write([reading(0)])
    foreign = sqlite3.connect(tmp_path / "wvr.db", isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked by another program"):
        recorder.write([reading(1)])
    foreign.execute("ROLLBACK")
    foreign.close()
    recorder.write([reading(1)])
    assert len(history.readings("001", T0, T0 + 600)) == 2


def test_expired_minutes_are_deleted_in_small_steps_and_hours_stay(recorder: Recorder, tmp_path: Path) -> None:
    year = 365 * 24 * 60
    minutes = (*range(0, 4 * 24 * 60, 10), *range(4 * 24 * 60, year + 2 * 24 * 60 + 1, 60))
    past = tuple((minute_at(minute), 1.0, None) for minute in minutes)
    recorder.write([Past(site="site1", sensor="001", source="import", part=1, of=1, minutes=past)])
    hours = rows(tmp_path, "SELECT count(*) FROM HOURLY_VAL_TB")
    now = T0 + (year + 2 * 24 * 60) * 60
    assert recorder.apply_retention(now, 365 * DAY) == 144
    assert recorder.apply_retention(now, 365 * DAY) == 144
    assert recorder.apply_retention(now, 365 * DAY) == 0
    assert rows(tmp_path, "SELECT min(at) FROM REAL_VAL_TB") == [(T0 + 2 * DAY,)]
    assert rows(tmp_path, "SELECT count(*) FROM HOURLY_VAL_TB") == hours


def test_no_clock_years_ahead_deletes_anything(recorder: Recorder, tmp_path: Path) -> None:
    year = 365 * 24 * 60
    past = tuple((minute_at(minute), 1.0, None) for minute in range(0, year, 60))
    recorder.write([Past(site="site1", sensor="001", source="import", part=1, of=1, minutes=past)])
    assert recorder.apply_retention(T0 + 9 * 365 * DAY, 365 * DAY) == 0
    recorder.write([reading(9 * year + minute) for minute in range(0, 24 * 60, 60)])
    assert recorder.apply_retention(T0 + 60 * year, 365 * DAY) == 0
    gone = sum(recorder.apply_retention(T0 + 60 * (9 * year + 24 * 60), 365 * DAY) for _ in range(400))
    assert gone == 24, "an hour goes for an hour that came"
    assert rows(tmp_path, "SELECT count(*) FROM REAL_VAL_TB") == [(365 * 24,)]


def test_readings_of_a_stopped_meter_clock_do_not_expire(recorder: Recorder, tmp_path: Path) -> None:
    year = 365 * 24 * 60
    past = tuple((minute_at(minute), 1.0, None) for minute in range(0, 2 * year, 60))
    stopped = replace(reading(0), at=datetime.fromisoformat("1970-01-01T09:30+09:00"))
    recorder.write([Past(site="site1", sensor="001", source="import", part=1, of=1, minutes=past), stopped])
    assert recorder.apply_retention(T0 + 60 * 2 * year, 365 * DAY) == 24
    assert rows(tmp_path, "SELECT min(at) FROM REAL_VAL_TB") == [(30 * 60,)]


def test_views_show_local_time(recorder: Recorder, tmp_path: Path) -> None:
    recorder.write([reading(0)])
    assert rows(tmp_path, "SELECT at FROM REAL_VAL_VIEW") == [("2026-11-23 23:00:00",)]
    views = {row[0] for row in rows(tmp_path, "SELECT name FROM sqlite_master WHERE type = 'view'")}
    assert {"OUTLIER_VAL_VIEW", "PRED_VAL_VIEW", "NIGHT_FLOW_VAL_VIEW", "MODEL_VIEW", "CRITERIA_VIEW"} <= views


def test_views_follow_dst(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "wvr.db", ZoneInfo("Europe/Berlin"), HORIZONS)
    recorder.write(
        [
            reading(0),
            Past(
                site="site1",
                sensor="001",
                source="import",
                part=1,
                of=1,
                minutes=((minute_at(0) - timedelta(days=150), 1.0, None),),
            ),
        ]
    )
    recorder.close()
    assert rows(tmp_path, "SELECT at FROM REAL_VAL_VIEW") == [("2026-06-26 16:00:00",), ("2026-11-23 15:00:00",)]


def test_hourly_and_night_values_match_the_minutes(recorder: Recorder, tmp_path: Path) -> None:
    recorder.write([reading(minute, float(minute), None) for minute in range(20)])
    hourly = rows(
        tmp_path, "SELECT minutes, flow_rate_min, flow_rate_mean, flow_rate_max, pressure_mean FROM HOURLY_VAL_TB"
    )
    assert hourly == [(20, 0.0, 9.5, 19.0, None)]
    assert rows(tmp_path, "SELECT flow_rate, minutes FROM NIGHT_FLOW_VAL_TB") == [(4.5, 10), (14.5, 10)]
    recorder.write([reading(14 * 60, 7.0, None)])
    assert len(rows(tmp_path, "SELECT * FROM NIGHT_FLOW_VAL_TB")) == 2


def test_database_returns_space_and_survives_a_power_cut(recorder: Recorder, tmp_path: Path) -> None:
    recorder.write([reading(0)])
    assert rows(tmp_path, "PRAGMA auto_vacuum") == [(2,)]
    assert rows(tmp_path, "PRAGMA journal_mode") == [("wal",)]


def test_hour_without_prediction_is_found_and_an_empty_prediction_counts(recorder: Recorder, history: History) -> None:
    recorder.write([reading(minute) for minute in (0, 60, 120)])
    recorder.write([prediction(0), replace(prediction(120), flow_rate=Forecast("none"), pressure=Forecast("none"))])
    recorder.write(
        [Past(site="site1", sensor="001", source="import", part=1, of=1, minutes=((minute_at(180), 1.0, None),))]
    )
    assert history.hours_without_forecast("001", T0, T0 + DAY) == [T0 + 3600]
    empty = history.prediction_at("001", T0 + 7200)
    assert empty is not None
    assert empty.flow_rate.p50 == ()
    assert history.current_hour_forecasts("001", T0, T0 + DAY).keys() == {T0, T0 + 7200}


def test_fault_free_readings_exclude_meter_faults(recorder: Recorder, history: History) -> None:
    faulty = replace(verdict(1).flow_rate, system=Check(1, 2.0, 1.0))
    recorder.write([reading(0), reading(1), reading(2), verdict(0), replace(verdict(1), flow_rate=faulty)])
    readings = history.fault_free_readings("001", T0, T0 + DAY)
    assert np.isnan(readings.flow_rate).tolist() == [False, True, False]
    assert readings.pressure.tolist() == [4.11] * 3


def test_snapshot_is_of_one_instant(recorder: Recorder, history: History) -> None:
    recorder.write([reading(0)])
    with history.snapshot():
        assert history.reading_range("001") == (T0, T0)
        recorder.write([reading(1)])
        assert history.reading_range("001") == (T0, T0)
    assert history.reading_range("001") == (T0, T0 + 60)


def test_snapshot_of_a_missing_or_replaced_database_is_harmless(tmp_path: Path) -> None:
    past = History(tmp_path / "wvr.db", SEOUL, "site1")
    with past.snapshot():
        assert past.sensors() == []
        recorder = Recorder(tmp_path / "wvr.db", SEOUL, HORIZONS)
        recorder.write([reading(0)])
    with past.snapshot():
        assert past.sensors() == ["001"]
        recorder.close()
        (tmp_path / "wvr.db").rename(tmp_path / "old.db")
        assert past.sensors() == []


def test_readings_of_a_doubted_time_are_stored_and_count_nowhere(
    recorder: Recorder, history: History, tmp_path: Path
) -> None:
    doubted = [replace(reading(600_000 + minute), clock="doubted") for minute in range(10)]
    recorder.write([*(reading(minute) for minute in range(10)), *doubted])
    recorder.write([replace(verdict(0), at=doubted[-1].at, reading=doubted[-1]), verdict(9)])
    assert history.reading_range("001") == (T0, T0 + 540)
    assert history.last_verdict("001") == T0 + 540
    assert len(history.readings("001", 0, T0 + 10**9)) == 10
    assert rows(tmp_path, "SELECT count(*) FROM HOURLY_VAL_TB") == [(1,)]
    assert rows(tmp_path, "SELECT count(*) FROM REAL_VAL_VIEW WHERE clock = 'doubted'") == [(10,)]
    assert history.doubted_ahead("001") == [int(item.at.timestamp()) for item in doubted]


def test_believed_reading_replaces_a_doubted_one(recorder: Recorder, history: History) -> None:
    recorder.write([replace(reading(0, 1.0), clock="doubted")])
    recorder.write([reading(0, 2.0)])
    recorder.write([replace(reading(0, 3.0), clock="doubted")])
    assert history.readings("001", T0, T0 + 60).flow_rate.tolist() == [2.0]
