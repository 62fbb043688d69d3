"""The chart of History: past, present and forecast of one sensor on one time axis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from services.dashboard.queries.chart_lines import (
    Rows,
    WallClock,
    envelope_rows,
    expected_rows,
    forecast_rows,
    mean_rows,
)
from services.dashboard.queries.events import Event, read_events
from services.dashboard.queries.expected import read_expected
from services.dashboard.queries.forecasts import ForecastHour, read_newest_forecast
from services.dashboard.queries.nights import read_nights
from services.dashboard.queries.site_time import DAY, HOUR, MINUTE
from services.dashboard.queries.spans import Span, read_span
from services.dashboard.web.chart_data import Chart, Series
from services.dashboard.web.event_marks import event_marks
from services.dashboard.web.history_span import HistorySpan
from shared.contract.messages import CHANNELS, Channel

EXPECTED_UP_TO_SECONDS = 10 * DAY
"""Longer spans show no expected band: it would be a solid block."""
NIGHTS_FROM_SECONDS = 10 * DAY
"""Longer spans show the minimum night flow."""
DAILY_MEAN_FROM_STEP = 4 * HOUR
"""With such buckets the line is the daily mean: that of a few hours would only swing between night and day."""


@dataclass(frozen=True)
class Shown:
    """What History shows of a span."""

    span: Span
    compared: Span | None
    forecasts: dict[Channel, list[ForecastHour]]
    events: list[Event]

    def has(self, channel: Channel) -> bool:
        """Return whether there is anything of a channel to show."""
        column = 2 + 3 * CHANNELS.index(channel)
        spans = [span for span in (self.span, self.compared) if span]
        return bool(self.forecasts[channel]) or any(
            bucket[column] is not None for span in spans for bucket in span.buckets
        )


def read_shown(asked: HistorySpan) -> Shown:
    """Return the readings, the forecast and the events of a span. Raises Unavailable."""
    database, sensor = asked.stored.database, asked.stored.sensor
    end = min(asked.stop, max(asked.stored.present, asked.start + MINUTE))
    other = asked.compared_start
    return Shown(
        span=read_span(database, sensor, asked.start, end),
        compared=None if other is None else read_span(database, sensor, other, other + asked.stop - asked.start),
        forecasts={channel: _hours_ahead(asked, channel) for channel in CHANNELS},
        events=read_events(database, sensor, asked.start, asked.stop),
    )


def _hours_ahead(asked: HistorySpan, channel: Channel) -> list[ForecastHour]:
    """Return the hours of the newest forecast whose middle is ahead and in the span."""
    forecast = read_newest_forecast(asked.stored.database, asked.stored.sensor, channel)
    hours = forecast.hours if forecast else []
    start = max(asked.stored.present, asked.start)
    return [hour for hour in hours if start <= hour.at + HOUR // 2 < asked.stop]


def history_chart(asked: HistorySpan) -> Chart:
    """Return the chart. Raises Unavailable."""
    shown = read_shown(asked)
    page, (start, end) = asked.stored.page, asked.wall_ends
    panels = [page.panel(channel, list(_series(asked, shown, channel))) for channel in CHANNELS if shown.has(channel)]
    marks = list(event_marks(asked.stored, shown.events, asked.start, asked.stop))
    return Chart(panels, start, end, marks, zoom=True)


def _series(asked: HistorySpan, shown: Shown, channel: Channel) -> Iterator[Series]:
    """Yield bands first, so that lines lie above them."""
    stored, page = asked.stored, asked.stored.page
    wall = WallClock(stored.database.zone)
    length = asked.stop - asked.start
    if shown.span.step > MINUTE:
        band = envelope_rows(shown.span, channel, wall)
        yield Series(page.text("history.extremes"), "measured", band, "band")
    if length <= EXPECTED_UP_TO_SECONDS and not asked.compare:
        points = read_expected(stored.database, stored.sensor, channel, asked.start, asked.stop)
        expected, limits = expected_rows(points)
        if points:
            yield Series(page.text("history.limits"), "expected", limits, "band")
            yield Series(page.text("history.expected"), "usual", expected)
    if hours := shown.forecasts[channel]:
        medians, quantiles = forecast_rows(hours, wall)
        yield Series(page.text("history.forecast_band"), "forecast", quantiles, "band")
        yield Series(page.text("history.forecast"), "forecast", medians)
    if shown.compared:
        shift = wall.milliseconds(asked.start) - wall.milliseconds(asked.compared_start or 0)
        yield Series(compared_name(asked), "compare", mean_rows(shown.compared, channel, wall, shift))
    is_live = shown.span.step == MINUTE and asked.stop >= stored.present
    name = page.text("history.measured" if shown.span.step == MINUTE else "history.mean")
    lines = shown.span
    if lines.step >= DAILY_MEAN_FROM_STEP:
        name = page.text("history.daily_mean")
        lines = read_span(stored.database, stored.sensor, lines.start, lines.stop, shortest=DAY)
    live = f"{stored.sensor}.{channel}" if is_live else ""
    yield Series(name, "measured", mean_rows(lines, channel, wall), live=live)
    if channel == "flow_rate" and length > NIGHTS_FROM_SECONDS and (nights := _night_rows(asked, wall)):
        yield Series(page.text("history.night_minimum"), "minimum", nights, "points")


def _night_rows(asked: HistorySpan, wall: WallClock) -> Rows:
    nights = read_nights(asked.stored.database, asked.stored.sensor, asked.start, asked.stop)
    return [[wall.milliseconds(night.at), round(night.minimum_m3h, 3)] for night in nights]


def compared_name(asked: HistorySpan) -> str:
    """Return the name of the compared span: its first day."""
    start = asked.stored.time(asked.compared_start or 0)
    return asked.stored.page.text("history.compared", start=f"{start:%Y-%m-%d %H:%M}")
