"""Lookup of missing blocks in a real database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

from services.reporter.history_lookup import HistoryLookup
from shared.contract.messages import Forecast, Prediction, Verdict
from shared.store.history import History
from shared.store.recorder import Recorder
from tests.unit.factories import minute_at, prediction, reading, tick, verdict

ZONE = ZoneInfo("Asia/Seoul")


def test_verdicts_after_a_block_are_ordered_and_follow_their_prediction(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "wvr.db", ZONE, (0, 24))
    for sensor in ("001", "002"):
        recorder.write([reading(minute, sensor=sensor) for minute in range(70)])
        recorder.write([verdict(minute, sensor=sensor) for minute in range(65)])
    recorder.write([prediction(60)])
    messages = list(HistoryLookup(History(tmp_path / "wvr.db", ZONE, "site1"), ZONE, 7).missed_since("2026-11-23T23:5"))
    assert [(type(item), item.sensor) for item in messages[:3]] == [
        (Prediction, "001"),
        (Verdict, "001"),
        (Verdict, "002"),
    ]
    verdicts = [item for item in messages if isinstance(item, Verdict)]
    assert [item.at for item in verdicts[::2]] == [minute_at(minute) for minute in range(60, 65)]
    assert verdicts[0].flow_rate.night.flag == 0
    assert verdicts[0].reading.flow_rate == 12.34
    recorder.close()


def test_minute_is_final_with_a_verdict_or_without_a_reading(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "wvr.db", ZONE, (0, 24))
    recorder.write([reading(0), reading(1), reading(3), verdict(0)])
    lookup = HistoryLookup(History(tmp_path / "wvr.db", ZONE, "site1"), ZONE, 7)
    messages = [lookup.verdict_at("001", f"2026-11-23T23:0{minute}") for minute in range(3)]
    flags = [(item and item.flow_rate.system.flag, final) for item, final in messages]
    assert flags == [(0, True), (None, False), (None, True)]
    assert messages[1][0] is not None
    assert messages[1][0].reading.flow_rate == 12.34
    recorder.close()


def test_empty_forecast_is_final_and_missing_forecast_is_not(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "wvr.db", ZONE, (0, 24))
    recorder.write([reading(minute) for minute in (0, 60, 120)])
    recorder.write([replace(prediction(0), flow_rate=Forecast("none"), pressure=Forecast("none")), prediction(60)])
    lookup = HistoryLookup(History(tmp_path / "wvr.db", ZONE, "site1"), ZONE, 7)
    texts = ("2026-11-23T23:00", "2026-11-24T00:00", "2026-11-24T01:00")
    assert [lookup.forecast_at("001", text)[1] for text in texts] == [True, True, False]
    recorder.close()


def test_gap_before_history_is_complete_is_not_final(tmp_path: Path) -> None:
    """After a broker outage, live minutes come before those that waited, and db_writer is behind both."""
    recorder = Recorder(tmp_path / "wvr.db", ZONE, (0, 24))
    lookup = HistoryLookup(History(tmp_path / "wvr.db", ZONE, "site1"), ZONE, 7)

    def between() -> tuple[int, bool]:
        messages, final = lookup.messages_between("2026-11-23T23:0", "2026-11-24T00:0")
        return len(messages), final

    def store(minutes: Iterable[int]) -> None:
        recorder.write([message for minute in minutes for message in (reading(minute), verdict(minute))])

    store(range(10))
    assert between() == (0, False)
    store(range(10, 62))
    assert between() == (50, True)
    recorder.close()


def test_history_is_behind_if_published_or_known_readings_are_missing(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "wvr.db", ZONE, (0, 24))
    lookup = HistoryLookup(History(tmp_path / "wvr.db", ZONE, "site1"), ZONE, 7)

    def lacks(boot_id: str, seq: int) -> bool:
        return lookup.is_behind(replace(tick(60), boot_id=boot_id, seq=seq))

    assert (lacks("boot", -1), lacks("boot", 0)) == (False, True)
    recorder.write([reading(0)], [("site1", ("boot", 9, int(minute_at(0).timestamp()), 9))])
    assert [lacks("boot", 9), lacks("boot", 10), lacks("new", -1), lacks("new", 0)] == [False, True, False, True]
    recorder.write([reading(60)], [("site1", ("boot", 9, int(minute_at(60).timestamp()), 61))])
    assert lacks("boot", 9)
    recorder.close()
