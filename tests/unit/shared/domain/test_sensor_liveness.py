"""A sensor that catches up is not silent."""

from __future__ import annotations

from shared.domain.sensor_liveness import BACKLOG_PAUSE_TICKS, BACKLOG_SECONDS, SensorLiveness

NOW = 1_800_000_000


def test_what_lives_in_the_present_never_catches_up() -> None:
    pace = SensorLiveness()
    for minute in range(3):
        pace.on_reading(NOW + 60 * minute)
        pace.on_tick(NOW + 60 * minute)
        assert not pace.is_catching_up
    pace.on_tick(NOW + 10_000)
    assert not pace.is_catching_up


def test_a_backlog_may_stand_still_for_a_while() -> None:
    pace = SensorLiveness()
    pace.on_reading(NOW - BACKLOG_SECONDS - 60)
    pace.on_tick(NOW)
    for _ in range(BACKLOG_PAUSE_TICKS):
        assert pace.is_catching_up
        pace.on_tick(NOW)
    assert not pace.is_catching_up
