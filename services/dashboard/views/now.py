"""The present: values, checks and today's curve of each sensor, and the open incidents."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.dashboard.events import Fragment
from services.dashboard.live_state import SensorView
from services.dashboard.web.formats import in_unit
from services.dashboard.web.page import Page
from services.dashboard.web.today import today_chart
from shared.contract.messages import (
    CHANNELS,
    AlarmSummary,
    Anomaly,
    Channel,
    Check,
    ExpectedBand,
    ExpectedDay,
    Method,
    Prediction,
    SensorRetired,
    SensorState,
    Tick,
    Verdict,
)

LAMPS: tuple[tuple[Channel, Method], ...] = (
    ("flow_rate", "system"),
    ("flow_rate", "value"),
    ("flow_rate", "prediction"),
    ("flow_rate", "night"),
    ("pressure", "system"),
    ("pressure", "value"),
    ("pressure", "prediction"),
)
SENT_MINUTES = 20
"""Newest minutes that a change sends to the charts."""
LATE_MINUTES = 10
"""Minutes after which a reading is late if the cadence of the sensor is not known."""


@dataclass(frozen=True)
class Lamp:
    """Result of one check."""

    channel: Channel
    method: Method
    state: Literal["normal", "abnormal", "unknown"]


@dataclass(frozen=True)
class Gauge:
    """The newest value of one channel."""

    channel: Channel
    value: float | None
    low: float | None
    """Lower end of what is expected now."""
    high: float | None
    lamps: list[Lamp]


def lamps(sensor: SensorView) -> list[Lamp]:
    """Return the seven checks of the newest reading."""
    return [Lamp(channel, method, _state(_check(sensor, channel, method))) for channel, method in LAMPS]


def _check(sensor: SensorView, channel: Channel, method: Method) -> Check:
    checks = getattr(sensor.verdict, channel, None)
    return getattr(checks, method, Check())


def _state(check: Check) -> Literal["normal", "abnormal", "unknown"]:
    return "unknown" if check.flag is None else "abnormal" if check.flag else "normal"


def gauges(sensor: SensorView, now: datetime) -> list[Gauge]:
    """Return flow rate and pressure with what is expected of them."""
    results = []
    for channel in CHANNELS:
        value = getattr(sensor.verdict.reading, channel) if sensor.verdict else None
        low, high = expected_now(sensor.expected, channel, sensor.verdict.at if sensor.verdict else now)
        of_channel = [lamp for lamp in lamps(sensor) if lamp.channel == channel]
        results.append(Gauge(channel, value, low, high, of_channel))
    return results


def expected_now(day: ExpectedDay | None, channel: Channel, at: datetime) -> tuple[float | None, float | None]:
    """Return the limits of a channel at a time; None if they are not known for its day."""
    if day is None or at.astimezone(day.at.tzinfo).date() != day.at.date():
        return None, None
    band: ExpectedBand = getattr(day, channel)
    local = at.astimezone(day.at.tzinfo)
    slot = local.hour * 6 + local.minute // 10
    return (band.low[slot], band.high[slot]) if band.low and band.high else (None, None)


def late_minutes(sensor: SensorView) -> int:
    """Return the minutes without a reading after which the sensor is silent."""
    state = sensor.states.get("detector")
    cadences = [cadence for cadence in (state.flow_rate, state.pressure) if cadence] if state else []
    return max((cadence.late_minutes for cadence in cadences), default=LATE_MINUTES)


def sensor_card(page: Page, name: str) -> str:
    """Return the values and checks of one sensor."""
    sensor = page.live.sensor(name) or SensorView(name)
    anomalies = [anomaly for anomaly in page.live.open_anomalies if anomaly.sensor == name]
    age = page.now - sensor.verdict.at if sensor.verdict else None
    state = sensor.states.get("detector")
    return page.render(
        "_now_sensor.html",
        sensor=sensor,
        gauges=gauges(sensor, page.now),
        severity=next((anomaly.severity for anomaly in anomalies if anomaly.kind != "works"), "none"),
        is_silent=age is not None and age > timedelta(minutes=late_minutes(sensor)),
        works=next((anomaly for anomaly in anomalies if anomaly.kind == "works"), None),
        state=state if state and not state.is_active else None,
        interval=_slow_interval(sensor),
        forecaster=_inactive(sensor, "forecaster"),
    )


def _inactive(sensor: SensorView, service: str) -> SensorState | None:
    state = sensor.states.get(service)
    return state if state and not state.is_active else None


def _slow_interval(sensor: SensorView) -> int | None:
    """Return the minutes between two readings of a slow sensor; None for one with a reading each minute."""
    state = sensor.states.get("detector")
    cadences = [cadence for cadence in (state.flow_rate, state.pressure) if cadence] if state else []
    minutes = min((cadence.interval_minutes for cadence in cadences), default=1)
    return minutes if minutes > 1 else None


def incidents(page: Page, _: str = "") -> str:
    """Return the open incidents, the worst first."""
    return page.render("_now_incidents.html", anomalies=page.live.open_anomalies)


def newest_minutes(page: Page, name: str) -> str:
    """Return the newest minutes of a sensor for its charts: several in a backlog, or after a page has connected."""
    sensor = page.live.sensor(name)
    minutes = sorted(list(sensor.minutes)[-SENT_MINUTES:], key=lambda minute: minute[0]) if sensor else []
    units = page.units
    rows = [
        {
            "at": page.chart_time(at),
            "flow_rate": in_unit(flow_rate, units["flow_rate"]),
            "pressure": in_unit(pressure, units["pressure"]),
        }
        for at, flow_rate, pressure in minutes
    ]
    return json.dumps({"sensor": name, "rows": rows})


def sensor_names(page: Page, _: str = "") -> str:
    """Return the names of all sensors: a page with others is loaded again."""
    return json.dumps([sensor.name for sensor in page.live.sensors], ensure_ascii=False)


def show(request: Request) -> Response:
    page = Page.of(request)
    names = [sensor.name for sensor in page.live.sensors]
    cards = {name: sensor_card(page, name) for name in names}
    return page.response("now.html", view="now", cards=cards, incidents=incidents(page), names=sensor_names(page))


def today(request: Request) -> Response:
    """Respond with today's curve of `?sensor=`."""
    page = Page.of(request)
    sensor = page.live.sensor(request.query_params.get("sensor", ""))
    return today_chart(page, sensor).response() if sensor else Response(status_code=404)


ROUTES = (Route("/", show), Route("/api/now", today))
CHART_FRAGMENTS = (
    Fragment("minutes", (Verdict,), newest_minutes, per_sensor=True),
    Fragment("curve", (ExpectedDay, Prediction), lambda _, sensor: sensor, per_sensor=True, on_open=False),
)
"""What keeps a chart with series of `live` minutes up to date."""
FRAGMENTS = (
    Fragment("now-sensor", (Verdict, SensorState, Anomaly, AlarmSummary, ExpectedDay, Tick), sensor_card, True),
    Fragment("now-incidents", (Anomaly, SensorRetired), incidents),
    *CHART_FRAGMENTS,
    Fragment("sensors", (Verdict, SensorRetired), sensor_names),
)
