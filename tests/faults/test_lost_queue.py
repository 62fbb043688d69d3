"""Messages that the broker drops or loses while a service is down are recovered: the stored data becomes complete."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from shared.settings import Settings
from tests.conftest import Mosquitto
from tests.faults.live_harness import LiveHarness, blocks, replay_undisturbed, rows
from tests.polling import wait_for

ANOMALIES = "ANOMALY_TB WHERE kind <> 'silence'"
"""Without `silence`: minutes pass without a reading while the site recovers."""
TABLES = ("OUTLIER_VAL_TB", "PRED_VAL_TB", ANOMALIES, "CRITERIA_TB", "NIGHT_FLOW_VAL_TB", "HOURLY_VAL_TB")
READINGS = "REAL_VAL_TB", "site, sensor, at, flow_rate, pressure"
MAX_RECOVERY_SECONDS = 30
WARM_UP_MINUTES, OUTAGE_MINUTES, AFTER_MINUTES = 170, 80, 12
"""The first forecasts are issued at 02:00, two more during the outage. The next full hour, and so the next forecast, is
farther away than the minutes that pass during recovery (at most one per second)."""


@pytest.fixture
def harness(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveHarness]:
    """A running site that republishes nothing, as if db_writer were down for longer than the buffer holds messages."""
    monkeypatch.setattr("shared.runtime.publish_buffer.REPLAY_SECONDS", 0.0)
    monkeypatch.setattr("shared.runtime.loop.WAIT_SECONDS", 0.02)
    harness = LiveHarness(settings, datetime(2026, 3, 2, tzinfo=settings.zone))
    harness.start()
    yield harness
    harness.close()


def flow_rate(minute: int) -> float:
    """Return m³/h; a fault of the meter begins and ends during the outage."""
    return -5.0 if WARM_UP_MINUTES + 20 <= minute < WARM_UP_MINUTES + 50 else 20.0 + minute % 17 + minute // 60 % 5


def flow_rates(first: int, number: int) -> Iterator[float]:
    return (flow_rate(minute) for minute in range(first, first + number))


def assert_complete(harness: LiveHarness, folder: Path) -> None:
    """Fail if the stored data does not become that of an undisturbed replay."""
    reference = replay_undisturbed(harness, folder)
    assert rows(reference, ANOMALIES), "the minutes contain no anomaly"

    def differences() -> list[str]:
        tables = [table for table in TABLES if rows(harness.settings, table) != rows(reference, table)]
        blocks_written, blocks_expected = blocks(harness.settings), blocks(reference)
        return tables + [
            f"{name}: {blocks_written.get(name)!r} for {blocks_expected[name]!r}"
            for name in blocks_expected
            if blocks_written.get(name) != blocks_expected[name]
        ]

    def is_complete() -> bool:
        harness.pass_time()
        return not differences()

    try:
        wait_for(is_complete, MAX_RECOVERY_SECONDS, pause=1.0)
    except AssertionError:
        pytest.fail(f"incomplete after {MAX_RECOVERY_SECONDS} s: {', '.join(differences())}")
    assert rows(harness.settings, *READINGS) == rows(reference, *READINGS)


def test_full_queue_of_db_writer_loses_nothing(harness: LiveHarness, mosquitto: Mosquitto, tmp_path: Path) -> None:
    mosquitto.stop()
    mosquitto.max_queued_messages = 50
    mosquitto.start()
    harness.wait_for_connections(2)
    harness.live(flow_rates(0, WARM_UP_MINUTES))
    wait_for(lambda: len(rows(harness.settings, "OUTLIER_VAL_TB")) == WARM_UP_MINUTES, what="verdicts")
    harness.threads["db_writer"].stop()
    harness.live(flow_rates(WARM_UP_MINUTES, OUTAGE_MINUTES))
    harness.threads["db_writer"].start()
    harness.live(flow_rates(WARM_UP_MINUTES + OUTAGE_MINUTES, AFTER_MINUTES))
    assert_complete(harness, tmp_path)


def test_power_cut_of_the_broker_while_db_writer_is_down_loses_nothing(
    harness: LiveHarness, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    harness.live(flow_rates(0, WARM_UP_MINUTES))
    wait_for(lambda: len(rows(harness.settings, "OUTLIER_VAL_TB")) == WARM_UP_MINUTES, what="verdicts")
    harness.threads["db_writer"].stop()
    harness.live(flow_rates(WARM_UP_MINUTES, OUTAGE_MINUTES))
    mosquitto.lose_power()
    mosquitto.start()
    harness.threads["db_writer"].start()
    harness.live(flow_rates(WARM_UP_MINUTES + OUTAGE_MINUTES, AFTER_MINUTES))
    assert_complete(harness, tmp_path)


def test_readings_during_a_broker_outage_are_stored_afterwards(
    harness: LiveHarness, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    harness.live(flow_rates(0, WARM_UP_MINUTES))
    wait_for(lambda: len(rows(harness.settings, "OUTLIER_VAL_TB")) == WARM_UP_MINUTES, what="verdicts")
    mosquitto.stop()
    for first in range(WARM_UP_MINUTES, WARM_UP_MINUTES + OUTAGE_MINUTES, 10):
        harness.read_without_broker(flow_rates(first, 10))
    mosquitto.start()
    harness.live(flow_rates(WARM_UP_MINUTES + OUTAGE_MINUTES, AFTER_MINUTES))
    assert_complete(harness, tmp_path)
