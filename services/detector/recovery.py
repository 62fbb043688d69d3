"""Recovery of a sensor's state from stored history, after a restart or an import."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np

from services.detector.daily_messages import expected_day_message
from services.detector.day_history import (
    CALIBRATION_DAYS,
    HISTORY_DAYS,
    MINUTES_PER_DAY,
    Float32s,
    make_day,
)
from services.detector.expected_day import expected_day
from services.detector.methods.forecast_deviation import Quantiles
from services.detector.sensor_monitor import SensorMonitor
from shared.contract.anomaly_kinds import anomaly_kind
from shared.contract.messages import CHANNELS, Anomaly, Criteria, Message, Reading, SensorState, Verdict
from shared.domain.local_time import local_seconds, offset_seconds
from shared.domain.series import DAY, HOUR, Series
from shared.runtime.log import log

EPOCH_ORDINAL = datetime(1970, 1, 1).toordinal()  # noqa: DTZ001
BACKFILL_DAYS = 100
"""Days back for which stored readings without a verdict are evaluated."""
MAX_ALARM_REPLAY_SECONDS = 60 * DAY
"""An anomaly that has been open for longer is restored as stored; the minutes of others are replayed."""
CLOSED_LOOKBACK_SECONDS = 28 * DAY
"""A deviation for which an operator closed the anomaly is accepted as normal after this time."""
STUCK_LOOKBACK_SECONDS = 8 * DAY
"""Longer than any stuck run that is evaluated."""


class HistoryReader(Protocol):
    """Stored history of the site, read-only; times are epoch seconds, stop is exclusive."""

    def sensors(self) -> list[str]: ...
    def retired(self) -> set[str]: ...
    def reading_range(self, sensor: str) -> tuple[int, int] | None: ...
    def readings(self, sensor: str, start: int, stop: int) -> Series: ...
    def fault_free_readings(self, sensor: str, start: int, stop: int) -> Series: ...
    def readings_without_verdict(self, sensor: str, start: int, stop: int) -> Iterator[Reading]: ...
    def current_hour_forecasts(self, sensor: str, start: int, stop: int) -> dict[int, dict[str, Quantiles]]: ...
    def criteria(self, sensor: str) -> list[Criteria]: ...
    def anomalies(self, sensor: str, start: int) -> list[Anomaly]: ...
    def anomaly(self, sensor: str, id_: str) -> Anomaly | None: ...
    def sensor_states(self, sensor: str) -> list[SensorState]: ...
    def anomaly_spans(self, sensor: str, start: int, stop: int) -> list[tuple[int, int]]: ...


class StateRecovery:
    """Recovers the monitor of one sensor as if it had processed the stored readings one by one.

    Complete days go into the day history. The minutes from the day before the oldest anomaly that may still be open are
    replayed.
    """

    def __init__(self, history: HistoryReader, zone: ZoneInfo, monitor: SensorMonitor) -> None:
        self._history, self._zone, self._monitor = history, zone, monitor
        self.not_yet_evaluable: list[Reading] = []
        """Stored readings of hours whose forecast is not stored yet: they wait for it like live readings."""

    def recover(self, relearn: bool = False) -> Iterator[Message]:
        """Yield the valid criteria and the open anomalies, then the missing verdicts.

        relearn: calibrate again from all stored readings, as after an import.
        """
        monitor, sensor = self._monitor, self._monitor.sensor
        stored_range = self._history.reading_range(sensor)
        if stored_range is None:
            return
        end = stored_range[1] + 60
        without_verdict = list(self._history.readings_without_verdict(sensor, end - BACKFILL_DAYS * DAY, end))
        stop = self._stop_at_missing_forecast(without_verdict, end)
        missing = {item.at: item for item in without_verdict if item.at.timestamp() < stop}
        first = min([stop - 60, *(int(at.timestamp()) for at in missing)])
        stored = [] if relearn else self._history.criteria(sensor)
        criteria = [item for item in stored if monitor.model.accepts_criteria(item)]
        has_criteria = any(item.valid_from.timestamp() <= first for item in criteria)
        replay_from = self._replay_from(first, stored_range[0]) if has_criteria else self._local_midnight(first)
        self._load_days(replay_from)
        model = monitor.model
        self._apply_criteria(criteria if has_criteria else [], replay_from, first)
        if model.criteria:
            yield model.criteria
        model.start_day(datetime.fromtimestamp(replay_from, self._zone).toordinal())
        states = self._history.sensor_states(sensor)
        monitor.state = next((state for state in states if state.service == "detector"), None)
        load_forecasts(self._history, monitor, replay_from, stored_range[1] + 60)
        yield from self._replay(self._history.readings(sensor, replay_from, stop), replay_from, first, missing)
        newest = datetime.fromtimestamp(stop - 60, self._zone)
        yield monitor.update_state(newest)
        yield expected_day_message(model, newest)

    def _stop_at_missing_forecast(self, without_verdict: list[Reading], stop: int) -> int:
        """Return the time of the first reading without a verdict whose forecast is missing; else `stop`."""
        sensor = self._monitor.sensor
        first_by_hour = {_hour_start(reading): reading for reading in reversed(without_verdict)}
        if not first_by_hour:
            return stop
        missing = (
            first_by_hour.keys()
            - self._history.current_hour_forecasts(sensor, min(first_by_hour), max(first_by_hour) + 1).keys()
        )
        if not missing:
            return stop
        end = int(first_by_hour[min(missing)].at.timestamp())
        by_time = {reading.at: reading for reading in without_verdict}
        readings = self._to_readings(self._history.readings(sensor, end, stop))
        self.not_yet_evaluable = [by_time.get(reading.at) or reading for reading in readings]
        return end

    def _replay_from(self, first: int, oldest: int) -> int:
        """Return the local midnight to replay from: before `first` and any anomaly that lasts beyond it."""
        earliest = max(self._local_midnight(first) - MAX_ALARM_REPLAY_SECONDS, self._local_midnight(oldest))
        start = self._local_midnight(self._local_midnight(first) - 1)
        spans = self._history.anomaly_spans(self._monitor.sensor, earliest, first + 1)
        for opened, cleared in sorted(spans, reverse=True):
            if opened < start + DAY and cleared >= start:
                start = self._local_midnight(self._local_midnight(opened) - 1)
        return max(start, earliest)

    def _local_midnight(self, at: int) -> int:
        local = datetime.fromtimestamp(at, self._zone)
        return int(local.replace(hour=0, minute=0, second=0, microsecond=0).timestamp())

    def _apply_criteria(self, criteria: list[Criteria], start: int, first: int) -> None:
        """Apply the criteria valid at `start` and schedule later ones; calibrate when there are none."""
        model = self._monitor.model
        for item in criteria:
            if item.valid_from.timestamp() <= start:
                model.apply_criteria(item)
            else:
                model.scheduled_criteria[item.valid_from.toordinal()] = item
        if not criteria and len(model.history.days) >= 2:
            model.calibrate(datetime.fromtimestamp(first, self._zone))

    def _replay(self, series: Series, start: int, first: int, missing: dict[datetime, Reading]) -> Iterator[Message]:
        """Replay the stored minutes; yield only what is missing in history."""
        monitor = self._monitor
        stored = {
            stored_anomaly.id: stored_anomaly for stored_anomaly in self._history.anomalies(self._monitor.sensor, start)
        }
        for anomaly in stored.values():
            if anomaly.kind == "works":
                self._restore_maintenance(anomaly, start)
            elif anomaly.opened_at.timestamp() < start and anomaly.state != "cleared":
                monitor.alarms.restore(_with_valid_trigger(anomaly))
            elif anomaly.kind == "silence":
                monitor.record_anomaly_span(replace(anomaly, state="opened"))
                monitor.record_anomaly_span(anomaly)
        published: dict[str, Anomaly] = {}
        publish_from = min(first, int(series.at[-1]) if len(series) else first) - HOUR
        for anomaly in self._history.anomalies(monitor.sensor, start - CLOSED_LOOKBACK_SECONDS):
            if anomaly.closed and anomaly.opened_at.timestamp() < start and anomaly.kind != "works":
                monitor.alarms.restore_closed(_with_valid_trigger(anomaly))
        closings = deque(sorted(_closings(stored.values(), start)))
        for reading, second in zip(self._to_readings(series), series.at.tolist(), strict=True):
            while closings and closings[0][0] <= second:
                monitor.close_again(stored[closings.popleft()[1]])
            for message in monitor.process(missing.get(reading.at) or reading, second // 60):
                if isinstance(message, Anomaly):
                    published[message.id] = message
                    if message.at.timestamp() >= publish_from:
                        yield from _if_not_stored(message, stored.get(message.id))
                elif not isinstance(message, Verdict) or reading.at in missing:
                    yield message
        for _, id_ in closings:
            monitor.close_again(stored[id_])
        yield from self._emit_open_anomalies(stored, published)

    def _restore_maintenance(self, window: Anomaly, start: int) -> None:
        self._monitor.maintenance.record(window)
        if window.opened_at.timestamp() >= start:
            self._monitor.record_anomaly_span(replace(window, state="opened"))
        if window.state == "cleared":
            self._monitor.record_anomaly_span(window)

    def _emit_open_anomalies(self, stored: dict[str, Anomaly], published: dict[str, Anomaly]) -> Iterator[Anomaly]:
        """Yield the open anomalies, and the ends of those that are open in history."""
        alarms = self._monitor.alarms
        for anomaly in stored.values():
            if anomaly.state != "cleared" and anomaly.id not in published:
                if anomaly.kind == "works":
                    yield anomaly
                else:
                    alarms.restore(_with_valid_trigger(anomaly))
        for alarm in alarms.open.values():
            stored_anomaly = stored.get(alarm.anomaly.id)
            alarm.anomaly = _with_operator_fields(alarm.anomaly, stored_anomaly)
            yield alarm.anomaly
        for anomaly in published.values():
            if (
                anomaly.state == "cleared"
                and (stored_anomaly := stored.get(anomaly.id))
                and stored_anomaly.state != "cleared"
            ):
                yield from _if_not_stored(anomaly, stored_anomaly)

    def _to_readings(self, series: Series) -> Iterator[Reading]:
        monitor = self._monitor
        columns = (series.at.tolist(), series.flow_rate.tolist(), series.pressure.tolist())
        for at, flow_rate, pressure in zip(*columns, strict=True):
            local = datetime.fromtimestamp(at, self._zone)
            yield Reading(
                site=monitor.site,
                sensor=monitor.sensor,
                at=local,
                flow_rate=_none_if_nan(flow_rate),
                pressure=_none_if_nan(pressure),
                boot_id="stored",
                seq=0,
                source="stored",
            )

    def _load_days(self, stop: int) -> None:
        """Load the days before `stop` into the day history; seed stuck runs, gaps and the sequencer."""
        monitor, sensor, shift = self._monitor, self._monitor.sensor, offset_seconds(stop, self._zone)
        start = stop - HISTORY_DAYS * DAY
        monitor.model.history.anomaly_spans = [
            _local_minute_span(opened + shift, cleared + shift, stop + shift)
            for opened, cleared in self._history.anomaly_spans(sensor, start, stop)
        ]
        series = monitor.model.value_ranges.usable_series(
            sensor, self._history.fault_free_readings(sensor, start, stop)
        )
        local = local_seconds(series.at, self._zone)
        days, slots = local // DAY, local // 60 % MINUTES_PER_DAY
        forecasts = self._forecast_arrays(stop, shift)
        for day in np.unique(days):
            measured = np.full((2, MINUTES_PER_DAY), np.nan, dtype=np.float32)
            is_day = days == day
            for row, channel in enumerate(CHANNELS):
                measured[row, slots[is_day]] = series.channel(channel)[is_day]
            expected = expected_day(monitor.model.history, int(day) + EPOCH_ORDINAL)
            day_forecasts = forecasts.get(int(day), np.full((2, 24, 3), np.nan, dtype=np.float32))
            monitor.model.history.add(make_day(int(day) + EPOCH_ORDINAL, measured, expected, day_forecasts))
        newest = self._history.readings(sensor, stop - STUCK_LOOKBACK_SECONDS, stop)
        for channel_model in (monitor.model.flow, monitor.model.pressure):
            channel_model.health.seed(series.channel(channel_model.channel))
            channel_model.health.seed(newest.channel(channel_model.channel))
        monitor.sequencer.seed((newest.at // 60).tolist())

    def _forecast_arrays(self, stop: int, shift: int) -> dict[int, Float32s]:
        """Return stored forecasts by local day since the epoch, each (2, 24, 3)."""
        arrays = dict[int, Float32s]()
        for issued, quantiles in self._history.current_hour_forecasts(
            self._monitor.sensor, stop - CALIBRATION_DAYS * DAY, stop
        ).items():
            hour = (issued + shift) // HOUR
            array = arrays.setdefault(hour // 24, np.full((2, 24, 3), np.nan, dtype=np.float32))
            for row, channel in enumerate(CHANNELS):
                if channel in quantiles:
                    array[row, hour % 24] = quantiles[channel]
        return arrays


def _closings(anomalies: Iterable[Anomaly], start: int) -> Iterator[tuple[float, str]]:
    """Yield when operators closed anomalies that were opened from `start` on, epoch seconds, and their ids."""
    for anomaly in anomalies:
        is_later = anomaly.opened_at.timestamp() >= start
        if anomaly.closed and anomaly.cleared_at and is_later and anomaly.kind != "works":
            yield anomaly.cleared_at.timestamp(), anomaly.id


def _if_not_stored(anomaly: Anomaly, stored: Anomaly | None) -> Iterator[Anomaly]:
    """Yield an anomaly when history lacks it or has an older state.

    It is published between the verdicts. If it is lost on the way, the verdicts after it are lost too and are
    backfilled.
    """
    if stored is None or stored.at < anomaly.at:
        yield _with_operator_fields(anomaly, stored)


def _with_operator_fields(anomaly: Anomaly, stored: Anomaly | None) -> Anomaly:
    """Return an anomaly with what operators have entered in history."""
    if stored is None:
        return replace(anomaly, acknowledged=False, confirmed_cause=None, closed=False, note="", by="")
    return replace(
        anomaly,
        acknowledged=stored.acknowledged,
        confirmed_cause=stored.confirmed_cause,
        closed=stored.closed,
        note=stored.note,
        by=stored.by,
    )


def _with_valid_trigger(stored: Anomaly) -> Anomaly:
    """Return a stored anomaly; if its trigger does not raise its kind, the trigger becomes that of the kind."""
    try:
        anomaly_kind(stored.trigger, stored.kind)
    except ValueError as error:
        log("detector", "anomaly_trigger_replaced", logging.ERROR, error, sensor=stored.sensor, id=stored.id)
        return replace(stored, trigger=stored.kind)
    return stored


def load_forecasts(history: HistoryReader, monitor: SensorMonitor, start: int, stop: int) -> None:
    """Add the stored forecasts of the hours of [start, stop), epoch seconds, that a monitor does not have yet."""
    for issued, quantiles in history.current_hour_forecasts(monitor.sensor, start // HOUR * HOUR, stop).items():
        hour_forecasts = quantiles.get("flow_rate"), quantiles.get("pressure")
        monitor.model.forecasts.setdefault(issued // HOUR, hour_forecasts)


def _hour_start(reading: Reading) -> int:
    return int(reading.at.timestamp()) // HOUR * HOUR


def _local_minute_span(opened: int, cleared: int, now: int) -> tuple[int, int | None]:
    """Convert a stored anomaly's local epoch seconds to local minutes since ordinal 0."""
    opened_minute = opened // 60 + EPOCH_ORDINAL * MINUTES_PER_DAY
    return opened_minute, None if cleared >= now else cleared // 60 + EPOCH_ORDINAL * MINUTES_PER_DAY


def _none_if_nan(value: float) -> float | None:
    return None if value != value else value
