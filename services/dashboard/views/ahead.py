"""The next seven days, and how good the forecasts of yesterday and of the last week were."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from services.dashboard.queries.forecast_days import ForecastDay, by_day
from services.dashboard.queries.forecasts import Accuracy, read_accuracy, read_newest_forecast
from services.dashboard.queries.site_time import HOUR, MINUTE, local_date, midnight
from services.dashboard.web.ahead_chart import DAYS_BACK, SHOWN_HORIZON, ahead_chart
from services.dashboard.web.stored import StoredPage, stored_endpoint
from shared.contract.messages import CHANNELS, PROFILE_MODEL_ID, Channel, SensorState

FRAGMENTS = ()


@stored_endpoint
def show(stored: StoredPage) -> Response:
    forecasts = {channel: read_newest_forecast(stored.database, stored.sensor, channel) for channel in CHANNELS}
    issued = [forecast for forecast in forecasts.values() if forecast and forecast.hours]
    return stored.page.response(
        "ahead.html",
        view="ahead",
        stored=stored,
        sensor=stored.sensor,
        queries={name: urlencode({"sensor": name}) for name in stored.sensors},
        forecasts=forecasts,
        issued_at=stored.time(max(forecast.issued_at for forecast in issued)) if issued else None,
        profile=PROFILE_MODEL_ID,
        days=_days(stored),
        accuracies=[(name, *_of_period(stored, days)) for name, days in (("yesterday", 1), ("week", DAYS_BACK))],
        shown_horizon=SHOWN_HORIZON,
        state=_inactive_state(stored),
    )


def _days(stored: StoredPage) -> list[tuple[ForecastDay | None, ForecastDay | None]]:
    """Return the days of flow rate and pressure side by side, from today on."""
    days: dict[Channel, dict[object, ForecastDay]] = {}
    for channel in CHANNELS:
        forecast = read_newest_forecast(stored.database, stored.sensor, channel)
        hours = [hour for hour in forecast.hours if hour.at + HOUR > stored.present] if forecast else []
        days[channel] = {item.day: item for item in by_day(hours, stored.database.zone)}
    both = sorted({item.day for by_date in days.values() for item in by_date.values()})
    return [(days["flow_rate"].get(day), days["pressure"].get(day)) for day in both]


def _of_period(stored: StoredPage, days: int) -> tuple[list[Accuracy], Accuracy | None]:
    """Return how good the forecasts of the last whole local days were, and that of the flow a day ahead."""
    zone = stored.database.zone
    today = local_date(stored.present - MINUTE, zone)
    start, stop = midnight(today - timedelta(days=days), zone), midnight(today, zone)
    accuracies = read_accuracy(stored.database, stored.sensor, start, stop)
    day_ahead = [accuracy for accuracy in accuracies if accuracy.horizon == SHOWN_HORIZON]
    return accuracies, next(iter(day_ahead), None)


def _inactive_state(stored: StoredPage) -> SensorState | None:
    """Return why the sensor is not forecast; None if it is."""
    sensor = stored.page.live.sensor(stored.sensor)
    state = sensor.states.get("forecaster") if sensor else None
    return None if state is None or state.is_active else state


@stored_endpoint
def chart(stored: StoredPage) -> Response:
    return ahead_chart(stored).response()


ROUTES = (Route("/ahead", show), Route("/api/ahead", chart))
