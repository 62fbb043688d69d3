"""Messages for tests, with defaults for most fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from shared.contract.messages import (
    Check,
    FlowChecks,
    Forecast,
    Prediction,
    PressureChecks,
    Reading,
    Tick,
    Verdict,
)
from shared.domain.reading_clock import ReadingClock

KST = timezone(timedelta(hours=9))
START = datetime(2026, 11, 23, 23, 0, tzinfo=KST)
NORMAL = Check(0, 0.1, 1.0)


def minute_at(minutes: float) -> datetime:
    """Return START, Monday 2026-11-23 23:00 in Korea, plus minutes."""
    return START + timedelta(minutes=minutes)


def reading(
    minute: float, flow_rate: float | None = 12.34, pressure: float | None = 4.11, sensor: str = "001"
) -> Reading:
    return Reading(
        site="site1",
        sensor=sensor,
        at=minute_at(minute),
        flow_rate=flow_rate,
        pressure=pressure,
        boot_id="boot",
        seq=int(minute),
        source="test",
    )


def with_clock(readings: Iterable[Reading], clock: ReadingClock | None = None) -> Iterator[Reading]:
    """Yield the readings as ingest sends them, on a site without a clock."""
    clock, seen = clock or ReadingClock(), set[tuple[str, datetime]]()
    for item in readings:
        key = (item.sensor, item.at)
        yield replace(item, clock=clock.decide(item.sensor, int(item.at.timestamp()) // 60, key in seen))
        seen.add(key)


def verdict(minute: float, flow_rate: float | None = 12.34, sensor: str = "001", night: int = 0) -> Verdict:
    flow = FlowChecks(NORMAL, NORMAL, NORMAL, Check(night, 1.0, 1.0))  # type: ignore[arg-type]
    source = reading(minute, flow_rate, sensor=sensor)
    return Verdict(
        site="site1",
        sensor=sensor,
        at=minute_at(minute),
        reading=source,
        flow_rate=flow,
        pressure=PressureChecks(NORMAL, NORMAL),
    )


def tick(minute: float) -> Tick:
    return Tick("site1", minute_at(minute))


def prediction(minute: float = 0, sensor: str = "001", model: str = "profile") -> Prediction:
    """Return a prediction with flow rate k (m³/h) at k hours ahead and pressure 4 (bar)."""
    flow = Forecast(model, *(tuple(float(k) + shift for k in range(169)) for shift in (-1, 0, 1)))
    pressure = Forecast(model, (3.5,) * 169, (4.0,) * 169, (4.5,) * 169)
    return Prediction(site="site1", sensor=sensor, issued_at=minute_at(minute), flow_rate=flow, pressure=pressure)
