"""A sensor that is catching up is not silent."""

from __future__ import annotations

from shared.domain.sensor_liveness import BACKLOG_PAUSE_TICKS, BACKLOG_SECONDS, SensorLiveness

NOW = 1_800_000_000


def test_live_sensor_never_catches_up() -> None:
    liveness = SensorLiveness()
    for minute in range(3):
        liveness.on_reading(NOW + 60 * minute)
        liveness.on_tick(NOW + 60 * minute)
        assert not liveness.is_catching_up
    liveness.on_tick(NOW + 10_000)
    assert not liveness.is_catching_up


def test_backlog_may_pause() -> None:
    liveness = SensorLiveness()
    liveness.on_reading(NOW - BACKLOG_SECONDS - 60)
    liveness.on_tick(NOW)
    for _ in range(BACKLOG_PAUSE_TICKS):
        assert liveness.is_catching_up
        liveness.on_tick(NOW)
    assert not liveness.is_catching_up
