"""What the broker drops or forgets on its way to a service that is away is made up for: the site ends up whole."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from shared.settings import Settings
from tests.conftest import Mosquitto
from tests.faults.live_harness import LiveHarness, blocks, rows, undisturbed
from tests.polling import wait_for

ANOMALIES = "ANOMALY_TB WHERE kind <> 'silence'"
"""While the site becomes whole, minutes go by without a reading."""
TABLES = ("OUTLIER_VAL_TB", "PRED_VAL_TB", ANOMALIES, "CRITERIA_TB", "NIGHT_FLOW_VAL_TB", "HOURLY_VAL_TB")
READINGS = "REAL_VAL_TB", "site, sensor, at, flow_rate, pressure"
LIMIT = 30
"""Seconds until the site is whole."""
WARM, AWAY, AFTER = 170, 80, 12
"""Minutes; the first forecasts are of 02:00, two more are due while something is away. The next full hour, with which
the newest forecast would be another, is farther than the minutes, at most one a second, until the site is whole."""


@pytest.fixture
def stage(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveHarness]:
    """A site that runs; what is said is not said again, as when db_writer is away for longer than it is kept."""
    monkeypatch.setattr("shared.runtime.publish_buffer.REPLAY_SECONDS", 0.0)
    monkeypatch.setattr("shared.runtime.loop.WAIT_SECONDS", 0.02)
    stage = LiveHarness(settings, datetime(2026, 3, 2, tzinfo=settings.zone))
    stage.start()
    yield stage
    stage.close()


def flow_rate(minute: int) -> float:
    """m³/h; a fault of the meter begins and ends while db_writer is away."""
    return -5.0 if WARM + 20 <= minute < WARM + 50 else 20.0 + minute % 17 + minute // 60 % 5


def flow_rates(first: int, number: int) -> Iterator[float]:
    return (flow_rate(minute) for minute in range(first, first + number))


def whole(stage: LiveHarness, folder: Path) -> None:
    """Fails if the site doesn't become what it would be undisturbed."""
    calm = undisturbed(stage, folder)
    assert rows(calm, ANOMALIES), "the minutes hold an anomaly"

    def lacking() -> list[str]:
        found = [table for table in TABLES if rows(stage.settings, table) != rows(calm, table)]
        sent, due = blocks(stage.settings), blocks(calm)
        return found + [f"{name}: {sent.get(name)!r} for {due[name]!r}" for name in due if sent.get(name) != due[name]]

    def is_whole() -> bool:
        stage.pass_time()
        return not lacking()

    try:
        wait_for(is_whole, LIMIT, pause=1.0)
    except AssertionError:
        pytest.fail(f"not whole within {LIMIT} s: {', '.join(lacking())}")
    assert rows(stage.settings, *READINGS) == rows(calm, *READINGS)


def test_a_full_queue_of_db_writer_loses_nothing(stage: LiveHarness, mosquitto: Mosquitto, tmp_path: Path) -> None:
    mosquitto.stop()
    mosquitto.queue = 50
    mosquitto.start()
    stage.wait_for_connections(2)
    stage.live(flow_rates(0, WARM))
    wait_for(lambda: len(rows(stage.settings, "OUTLIER_VAL_TB")) == WARM, what="verdicts")
    stage.actors["db_writer"].stop()
    stage.live(flow_rates(WARM, AWAY))
    stage.actors["db_writer"].start()
    stage.live(flow_rates(WARM + AWAY, AFTER))
    whole(stage, tmp_path)


def test_a_power_cut_of_the_broker_while_db_writer_is_away_loses_nothing(
    stage: LiveHarness, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    stage.live(flow_rates(0, WARM))
    wait_for(lambda: len(rows(stage.settings, "OUTLIER_VAL_TB")) == WARM, what="verdicts")
    stage.actors["db_writer"].stop()
    stage.live(flow_rates(WARM, AWAY))
    mosquitto.lose_power()
    mosquitto.start()
    stage.actors["db_writer"].start()
    stage.live(flow_rates(WARM + AWAY, AFTER))
    whole(stage, tmp_path)


def test_readings_during_a_broker_outage_are_stored_afterwards(
    stage: LiveHarness, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    stage.live(flow_rates(0, WARM))
    wait_for(lambda: len(rows(stage.settings, "OUTLIER_VAL_TB")) == WARM, what="verdicts")
    mosquitto.stop()
    for first in range(WARM, WARM + AWAY, 10):
        stage.read_without_broker(flow_rates(first, 10))
    mosquitto.start()
    stage.live(flow_rates(WARM + AWAY, AFTER))
    whole(stage, tmp_path)
