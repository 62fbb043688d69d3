"""Today's curve of one sensor: readings over what is expected, and the forecast of the rest of the day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from services.dashboard.live_state import Minute, SensorView
from services.dashboard.queries.site_time import DAY
from services.dashboard.queries.spans import read_span
from services.dashboard.web.chart_data import Chart, Mark, Series
from services.dashboard.web.page import Page
from services.dashboard.web.stored import database_of
from shared.contract.messages import CHANNELS, Channel, Forecast

TEN_MINUTES_MS, HOUR_MS, DAY_MS = 600_000, 3_600_000, 86_400_000


def today_chart(page: Page, sensor: SensorView) -> Chart:
    """Return flow above pressure from the site's midnight to the next."""
    now = page.now
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    start = page.chart_time(midnight)
    minutes = _minutes(page, sensor, midnight)
    panels = [
        page.panel(
            channel,
            [
                *_band(page, sensor, channel, midnight, start),
                *_forecast(page, sensor, channel, now),
                _measured(page, sensor, channel, minutes),
            ],
        )
        for channel in CHANNELS
    ]
    return Chart(panels, start, start + DAY_MS, [*_marks(page, sensor, midnight, now)])


def _minutes(page: Page, sensor: SensorView, midnight: datetime) -> list[Minute]:
    """Return today's minutes: those of history, then those that arrived since the start of this process."""
    live = {minute[0]: minute for minute in list(sensor.minutes) if minute[0] >= midnight}
    return sorted(
        ({minute[0]: minute for minute in _stored(page, sensor.name, midnight)} | live).values(),
        key=lambda minute: minute[0],
    )


def _stored(page: Page, sensor: str, midnight: datetime) -> Iterator[Minute]:
    """Yield the stored minutes of today. Raises Unavailable."""
    start = int(midnight.timestamp())
    with database_of(page).opened() as database:
        for at, _, flow_rate, _, _, pressure, _ in read_span(database, sensor, start, start + DAY).buckets:
            yield datetime.fromtimestamp(at, page.settings.zone), flow_rate, pressure


def _measured(page: Page, sensor: SensorView, channel: Channel, minutes: list[Minute]) -> Series:
    column = 1 + CHANNELS.index(channel)
    data: list[tuple[float, float | None]] = [(page.chart_time(row[0]), row[column]) for row in minutes]  # type: ignore[misc]
    return Series(page.text("now.measured"), "measured", data, live=f"{sensor.name}.{channel}")


def _band(page: Page, sensor: SensorView, channel: Channel, midnight: datetime, start: int) -> list[Series]:
    day = sensor.expected
    if day is None or day.at != midnight:
        return []
    band = getattr(day, channel)
    times = [start + slot * TEN_MINUTES_MS for slot in range(144)]
    rows = list(zip(times, band.low, band.high, strict=False))
    return [Series(page.text("now.expected"), "expected", rows, "band")] if rows else []


def _forecast(page: Page, sensor: SensorView, channel: Channel, now: datetime) -> list[Series]:
    """Return the median forecast; each value is the mean of an hour and is drawn in its middle."""
    if sensor.prediction is None:
        return []
    forecast: Forecast = getattr(sensor.prediction, channel)
    issued = sensor.prediction.issued_at
    hours = [(issued + timedelta(hours=hour), value) for hour, value in enumerate(forecast.p50[:26])]
    rows = [(page.chart_time(at) + HOUR_MS // 2, value) for at, value in hours if at >= now - timedelta(hours=2)]
    return [Series(page.text("now.forecast"), "forecast", rows)] if rows else []


def _marks(page: Page, sensor: SensorView, midnight: datetime, now: datetime) -> list[Mark]:
    at = page.chart_time(now)
    spans = [
        Mark(
            page.chart_time(max(anomaly.onset_at, midnight)),
            at,
            page.kind_label(anomaly),
            "works" if anomaly.kind == "works" else anomaly.severity,
        )
        for anomaly in page.live.open_anomalies
        if anomaly.sensor == sensor.name
    ]
    return [*spans, Mark(at, at, "", "now")]
