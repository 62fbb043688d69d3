"""Sensors that give a value every 3 to 60 minutes are judged like others, and are silent by their own habit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache

import numpy as np
import pytest

from services.detector.service import Detector
from shared.contract.messages import CHANNELS, Anomaly, Criteria, Message, Reading, SensorState, Tick
from shared.domain.series import Series
from shared.settings import Settings
from shared.settings.sections import Meter, Sensor
from tests.unit.services.detector.fakes import (
    FakeEmptyHistory,
    FakeForecaster,
    LearnedDetector,
    make_detector,
    make_prediction,
    opened,
    verdicts,
)
from tests.unit.services.detector.synthetic_site import DAY, MONDAY, SHAPES, SyntheticSite, make_site

LEARNED_DAYS, BURST_MINUTE = 21, 21 * DAY + 10 * 60
MINUTE = timedelta(minutes=1)
INTERVALS = (3, 15, 60)


@cache
def site() -> SyntheticSite:
    built = make_site(SHAPES["homes"], LEARNED_DAYS + 3, seed=1)
    built.burst(BURST_MINUTE, 12 * 60, 0.4)
    return built


def resampled(interval: int, start: int, stop: int) -> list[Reading]:
    """Return the means of each interval of [start, stop), in minutes, at the interval's first minute."""
    built, slots = site(), np.arange(start, stop, interval)
    minutes = slots[:, None] + np.arange(interval)
    means = [np.nanmean(values[minutes], axis=1) for values in (built.flow, built.pressure)]
    sources = site().readings(start, stop)[::interval]
    return [
        replace(reading, flow_rate=float(flow), pressure=float(pressure), seq=seq)
        for seq, (reading, flow, pressure) in enumerate(zip(sources, *means, strict=True))
    ]


def series_of(readings: Sequence[Reading]) -> Series:
    at = np.array([int(reading.at.timestamp()) for reading in readings])
    flow, pressure = (np.array([getattr(reading, channel) for reading in readings]) for channel in CHANNELS)
    return Series(at, flow, pressure)


@cache
def learned(interval: int) -> LearnedDetector:
    return LearnedDetector(series_of(resampled(interval, 0, LEARNED_DAYS * DAY + interval)))


def in_event_time(
    detector: Detector, readings: Sequence[Reading], forecaster: FakeForecaster | None, extra_minutes: int = 0
) -> Iterator[Message]:
    """Yield all messages of a detector that gets each reading in its minute and a tick every minute."""
    by_minute = {reading.at: reading for reading in readings}
    at = readings[0].at
    while at <= readings[-1].at + extra_minutes * MINUTE:
        if at.minute == 0:
            nearest = by_minute.get(at, readings[0])
            forecast = forecaster.forecast_for(replace(nearest, at=at)) if forecaster else make_prediction(at)
            yield from detector.handle(forecast)
        if reading := by_minute.get(at):
            yield from detector.handle(reading)
            if forecaster:
                forecaster.observe(reading)
        yield from detector.handle(Tick("site1", at))
        at += MINUTE


def silences(messages: Sequence[Message]) -> list[Anomaly]:
    return [anomaly for anomaly in opened(messages) if anomaly.kind == "silence"]


@cache
def after_learning(interval: int) -> tuple[Message, ...]:
    """Return the messages of two days with a burst, and of twelve hours of silence after them."""
    detector, forecaster = learned(interval).copy()
    readings = resampled(interval, LEARNED_DAYS * DAY + interval, (LEARNED_DAYS + 2) * DAY)
    return tuple(in_event_time(detector, readings, forecaster, extra_minutes=720))


@pytest.mark.parametrize("interval", INTERVALS)
def test_every_reading_is_judged(interval: int) -> None:
    judged = [verdict for verdict in verdicts(after_learning(interval)) if verdict.flow_rate.value.flag is not None]
    assert len(judged) == len(verdicts(after_learning(interval))) == 2 * DAY // interval - 1


@pytest.mark.parametrize("interval", INTERVALS)
def test_burst_is_found_at_its_first_readings(interval: int) -> None:
    shifts = [anomaly for anomaly in opened(after_learning(interval)) if anomaly.kind in ("step", "burst")]
    delays = [(anomaly.opened_at - MONDAY) / MINUTE - BURST_MINUTE for anomaly in shifts]
    assert 0 <= min(delays) <= max(30, 2 * interval)


@pytest.mark.parametrize("interval", INTERVALS)
def test_silence_opens_once_when_the_sensor_is_late(interval: int) -> None:
    last = verdicts(after_learning(interval))[-1].at
    (silence,) = silences(after_learning(interval))
    assert 3 * interval <= (silence.opened_at - last) / MINUTE + 1 <= max(60, 3 * interval)


@pytest.mark.parametrize("interval", [15, 60])
def test_new_sensor_has_criteria_on_the_third_day_and_says_so(interval: int) -> None:
    messages = list(in_event_time(make_detector(), resampled(interval, 0, 3 * DAY), None))
    criteria = next(message for message in messages if isinstance(message, Criteria))
    states = [message for message in messages if isinstance(message, SensorState)]
    assert criteria.valid_from == MONDAY + timedelta(days=2)
    assert [(state.is_active, state.at.day - MONDAY.day) for state in states] == [(False, 0), (False, 1), (True, 2)]
    assert states[1].text.en == "judged from day 3 on: 1 of 2 days known"
    assert states[1].text.ko == "3일째부터 판정합니다: 필요한 2일 중 1일의 값이 있습니다"
    assert states[-1].flow_rate
    assert states[-1].flow_rate.interval_minutes == interval
    assert not silences(messages)


def test_batched_uplinks_are_no_silence_once_they_are_a_habit() -> None:
    """Readings of four hours arrive together; after the first such waits no silence opens."""
    detector = make_detector()
    messages: list[Message] = []
    readings = resampled(15, 0, 6 * DAY)
    for number, reading in enumerate(readings):
        messages += detector.handle(make_prediction(reading.at.replace(minute=0)))
        messages += detector.handle(reading)
        if number % 16 == 15:
            for minute in range(240):
                messages += detector.handle(Tick("site1", reading.at + minute * MINUTE))
    assert len(silences(messages)) <= 2
    assert not [silence for silence in silences(messages) if silence.opened_at > MONDAY + timedelta(days=1)]


def test_habitual_holes_of_one_channel_are_no_alarm() -> None:
    """The pressure is missing for two hours three times a day, as at a logger that saves its battery."""
    readings = [
        replace(reading, pressure=None) if reading.at.hour % 8 in (1, 2) else reading
        for reading in resampled(15, 0, 5 * DAY)
    ]
    assert not silences(list(in_event_time(make_detector(), readings, None)))


def test_longer_hole_of_one_channel_opens_its_own_silence() -> None:
    readings = [
        replace(reading, pressure=None) if reading.at - MONDAY > timedelta(days=4, hours=10) else reading
        for reading in resampled(15, 0, 5 * DAY)
    ]
    (silence,) = silences(list(in_event_time(make_detector(), readings, None)))
    assert silence.channel == "pressure"


def test_interval_and_lateness_can_be_set() -> None:
    meter = Meter(every="15m", late="3h")
    settings = Settings(sensors={"001": Sensor(flow_rate=meter, pressure=meter)})
    readings = resampled(15, 0, 60)
    messages = list(in_event_time(make_detector(settings=settings), readings, None, extra_minutes=400))
    (silence,) = silences(messages)
    assert (silence.opened_at - readings[-1].at) / MINUTE + 1 == 180


class FakeSilentHistory(FakeEmptyHistory):
    """Stored readings of a sensor."""

    def __init__(self, series: Series) -> None:
        self._series = series

    def sensors(self) -> list[str]:
        return ["001"]

    def reading_range(self, sensor: str) -> tuple[int, int]:  # noqa: ARG002
        return int(self._series.at[0]), int(self._series.at[-1])

    def readings(self, sensor: str, start: int, stop: int) -> Series:  # noqa: ARG002
        part = (self._series.at >= start) & (self._series.at < stop)
        return Series(self._series.at[part], self._series.flow_rate[part], self._series.pressure[part])


def test_restart_does_not_start_the_wait_again() -> None:
    """A detector that starts two hours after the last reading of a 15-minute sensor reports its silence soon."""
    readings = resampled(15, 0, 5 * DAY)
    detector = make_detector(FakeSilentHistory(series_of(readings)))
    list(detector.start())
    first = readings[-1].at + timedelta(hours=2)
    messages = [message for minute in range(30) for message in detector.handle(Tick("site1", first + minute * MINUTE))]
    (silence,) = silences(messages)
    assert silence.opened_at - first == 9 * MINUTE
