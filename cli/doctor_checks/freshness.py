"""Age of the newest reading, verdict and forecast of each sensor, and plausibility of the clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cli.doctor_checks.finding import Finding, format_duration, note, ok, wrong
from services.ingest.tick_clock import MIN_YEAR
from shared.contract.messages import SensorState
from shared.contract.service import Unavailable
from shared.domain.series import HOUR
from shared.settings import Settings
from shared.store.history import History

MAX_CLOCK_AHEAD = 600
MAX_READING_AGE = 600
MAX_VERDICT_LAG = 600
MAX_FORECAST_LAG = 2 * HOUR + 600
"""Seconds."""


def check(settings: Settings, now: datetime, running: bool) -> Iterator[Finding]:
    """Check the clock and what was stored last."""
    yield _clock(now, settings.data / "spool" / "tick")
    history = History(settings.database, settings.zone, settings.site.name)
    try:
        sensors = history.active_sensors()
        for sensor in sensors:
            yield from _sensor(history, sensor, int(now.timestamp()), running)
    except Unavailable as reason:
        yield wrong(f"stored readings can't be read: {reason}", "see the lines about wvr.db")
        return
    if not sensors:
        yield note("no reading is stored yet", "see README.md for how to connect a meter; ./wvr logs ingest")
    for sensor in sorted(settings.sensors.keys() - set(sensors)) if sensors else ():
        yield note(
            f"sensor {sensor} of site.toml has no reading yet",
            "check that site.toml and the meter's file spell it alike",
        )


def _clock(now: datetime, newest: Path) -> Finding:
    """Compare the machine's clock with 2024 and with the newest minute that ingest has closed (data/spool/tick)."""
    text = f"the clock shows {now:%Y-%m-%d %H:%M %Z}"
    try:
        ahead = (datetime.fromisoformat(newest.read_text(encoding="ascii").strip()) - now).total_seconds()
    except (OSError, ValueError):
        ahead = 0.0
    if now.year < MIN_YEAR:
        return wrong(text, "set it: sudo timedatectl set-ntp true; check the battery of the clock")
    if ahead > MAX_CLOCK_AHEAD:
        return wrong(
            f"{text}, but was {format_duration(ahead)} ahead before", "docs/how-to/troubleshoot.md, The clock is wrong"
        )
    return ok(text)


def _sensor(history: History, sensor: str, now: int, running: bool) -> Iterator[Finding]:
    span = history.reading_range(sensor)
    if span is None:
        return
    newest, age = span[1], now - span[1]
    states = {state.service: state for state in history.sensor_states(sensor)}
    late_seconds = _late_seconds(states.get("detector"))
    if age < -MAX_CLOCK_AHEAD:
        yield wrong(
            f"sensor {sensor}: the newest reading is {format_duration(-age)} in the future",
            "set the clock of the meter or of this machine",
        )
    elif running and age > max(MAX_READING_AGE, late_seconds):
        yield wrong(f"sensor {sensor}: no reading for {format_duration(age)}", "check the meter, its cable or its file")
    else:
        yield ok(f"sensor {sensor}: newest reading {format_duration(max(0, age))} ago")
    if doubted := history.doubted_ahead(sensor):
        yield note(
            f"sensor {sensor}: {len(doubted)} readings of the future are doubted, the newest of "
            f"{datetime.fromtimestamp(doubted[-1], UTC):%Y-%m-%d}",
            "set the clock of the meter",
        )
    verdict, issued = history.last_verdict(sensor), history.last_issued_at(sensor)
    max_lag = max(MAX_VERDICT_LAG, late_seconds)
    yield _check_lag(f"sensor {sensor}: verdicts", verdict, newest, now, max_lag, "detector")
    yield _check_lag(f"sensor {sensor}: forecasts", issued, newest, now, MAX_FORECAST_LAG, "forecaster")

    yield from (_check_state(state) for state in states.values())


def _late_seconds(state: SensorState | None) -> int:
    """Return the seconds without a reading that are usual for a sensor; 0 if unknown."""
    cadences = (state.flow_rate, state.pressure) if state else ()
    return min((60 * cadence.late_minutes for cadence in cadences if cadence), default=0)


def _check_state(state: SensorState) -> Finding:
    """Return what a service does with a sensor, and at which cadence it gets its values."""
    cadences = {"flow rate": state.flow_rate, "pressure": state.pressure}
    every = [f"{name} every {cadence.interval_minutes} min" for name, cadence in cadences.items() if cadence]
    what = f"sensor {state.sensor}: " + "; ".join([state.text.en, *every])
    return ok(what) if state.is_active else note(what, "nothing to do; it begins by itself once enough is known")


def _check_lag(what: str, last: int | None, newest: int, now: int, max_lag: int, service: str) -> Finding:
    if last is None:
        return note(f"{what}: none yet", f"if this persists: ./wvr logs {service}")
    if newest - last > max_lag:
        return wrong(
            f"{what} are {format_duration(newest - last)} behind the readings", f"./wvr status; ./wvr logs {service}"
        )
    return ok(f"{what} keep up with the readings, newest {format_duration(max(0, now - last))} ago")
