"""The chart of Ahead: the last week with what had been forecast for it, and the next week."""

from __future__ import annotations

from collections.abc import Iterator

from services.dashboard.queries.chart_lines import WallClock, forecast_rows, mean_rows
from services.dashboard.queries.forecasts import read_earlier_forecasts, read_newest_forecast
from services.dashboard.queries.site_time import DAY, HOUR
from services.dashboard.queries.spans import read_span
from services.dashboard.web.chart_data import Chart, Series
from services.dashboard.web.event_marks import event_marks
from services.dashboard.web.stored import StoredPage
from shared.contract.messages import CHANNELS, Channel

DAYS_BACK, DAYS_AHEAD = 7, 7
SHOWN_HORIZON = 24
"""Hours between issue and hour of the earlier forecasts that the chart shows."""


def ahead_chart(stored: StoredPage) -> Chart:
    """Return the chart around the present. Raises Unavailable."""
    start, stop = stored.present - DAYS_BACK * DAY, stored.present + DAYS_AHEAD * DAY
    wall = WallClock(stored.database.zone)
    panels = [
        stored.page.panel(channel, series)
        for channel in CHANNELS
        if (series := list(_series(stored, channel, start, wall)))
    ]
    return Chart(panels, wall.milliseconds(start), wall.milliseconds(stop), list(event_marks(stored, [], start, stop)))


def _series(stored: StoredPage, channel: Channel, start: int, wall: WallClock) -> Iterator[Series]:
    """Yield bands first, so that lines lie above them."""
    database, sensor, text = stored.database, stored.sensor, stored.page.text
    earlier = read_earlier_forecasts(database, sensor, channel, start, stored.present, SHOWN_HORIZON)
    newest = read_newest_forecast(database, sensor, channel)
    hours = [hour for hour in newest.hours if hour.at + HOUR // 2 >= stored.present] if newest else []
    if earlier:
        medians, quantiles = forecast_rows(earlier, wall)
        yield Series(text("ahead.earlier_band"), "expected", quantiles, "band")
        yield Series(text("ahead.earlier"), "limit", medians)
    if hours:
        medians, quantiles = forecast_rows(hours, wall)
        yield Series(text("history.forecast_band"), "forecast", quantiles, "band")
        yield Series(text("history.forecast"), "forecast", medians)
    span = read_span(database, sensor, start, stored.present, shortest=HOUR)
    if measured := mean_rows(span, channel, wall):
        yield Series(text("ahead.measured"), "measured", measured)
