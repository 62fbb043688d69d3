"""Detector service: evaluates every reading with four methods and maintains the resulting alarms."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar

from services.detector.methods.forecast_deviation import current_hour_quantiles
from services.detector.operator_commands import OperatorCommands
from services.detector.recovery import BACKFILL_DAYS, HistoryReader, StateRecovery, load_forecasts
from services.detector.sensor_monitor import SensorMonitor
from shared.contract.messages import (
    AlarmSummary,
    Anomaly,
    Command,
    Criteria,
    ExpectedDay,
    Message,
    NightResult,
    Prediction,
    Progress,
    Reading,
    Response,
    SensorRetired,
    SensorState,
    Tick,
    Verdict,
)
from shared.domain.cadence import HOLD_SHARE, BatchHabit
from shared.domain.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from shared.domain.series import DAY
from shared.settings import Settings

MAX_PENDING = 20_000
"""Maximum readings of a sensor that wait for forecasts; ingest sends no more ahead."""
MAX_FORECAST_HOURS = 24 * 60
"""Maximum forecasts kept ahead of the readings."""
FORECAST_TIMEOUT_TICKS, BACKLOG_FORECAST_TIMEOUT_TICKS = 2, 10
"""Ticks that live and backlog readings wait for the forecast of their hour.

In a backlog ticks may come at once, and a forecaster that backfills needs several of them.
"""
LIVE_WINDOW = timedelta(hours=1)
"""Readings within this time of a tick are live."""


class PendingReadings:
    """A sensor's monitor, and its readings that wait for the forecast of their hour."""

    def __init__(self, monitor: SensorMonitor) -> None:
        self.monitor = monitor
        self.pending: deque[Reading] = deque()
        self.released_through = -1
        """Hour since the epoch up to which readings pass without waiting."""
        self.ticks_waited = 0
        self.ticks_without_reading = 0
        """Ticks since the last reading."""
        self.is_recovered = False
        """Whether no tick and no reading came since the state was recovered from history."""
        self.is_retired = False
        """Whether the sensor has ended: its next reading makes it active again."""
        self.batches = BatchHabit()
        self.verdicts_complete_before = 0
        """Epoch seconds before which history has every verdict."""

    def count_tick(self, at: datetime) -> None:
        """Count a tick without a reading; the first one after a restart counts for the time since the last reading."""
        last = self.monitor.sequencer.last_at
        if self.is_recovered and last:
            silent = int((at - last).total_seconds()) // 60 - 1
            self.ticks_without_reading = max(0, min(silent, self.late_minutes(at) - self.monitor.silence_minutes))
        self.is_recovered = False
        self.ticks_without_reading += 1

    def end_wait(self, reading: Reading) -> None:
        """Record the wait that a reading ends; one without a gap between the readings was one for a batch."""
        waited, last = self.ticks_without_reading, self.monitor.sequencer.last_at
        if waited >= self.monitor.silence_minutes and last:
            gap_minutes = (reading.at - last).total_seconds() / 60
            if 0 < gap_minutes <= self.monitor.interval_minutes * HOLD_SHARE:
                self.batches.add(reading.at.toordinal(), waited)
        self.monitor.silent_minutes = waited or self.monitor.silent_minutes
        self.ticks_without_reading, self.is_recovered, self.is_retired = 0, False, False

    def late_minutes(self, at: datetime) -> int:
        """Return the minutes without a reading after which the sensor is silent."""
        return max(self.monitor.late_minutes, self.batches.late_minutes(at.toordinal()))

    def is_late(self, at: datetime) -> bool:
        """Whether the sensor has just been silent for as long as its habit allows."""
        minutes = self.ticks_without_reading
        return not self.is_retired and minutes >= self.monitor.silence_minutes and minutes == self.late_minutes(at)

    def may_pass(self, reading: Reading) -> bool:
        """Return whether a reading does not wait for a forecast, and release its hour: all of it passes then."""
        if reading.clock == "doubted":
            return True
        hour = int(reading.at.timestamp()) // 3600
        newest = self.monitor.sequencer.newest_minute
        if reading.clock == "set_back" and newest is not None and hour < newest // 60:
            self.released_through = hour  # its forecast was dropped as one of the past
        if hour > self.released_through and hour not in self.monitor.model.forecasts:
            return False
        self.released_through = max(hour, self.released_through)
        return True


class Detector:
    """Consumes readings, forecasts and ticks; verdicts depend on readings and forecasts only."""

    name: ClassVar[str] = "detector"
    produces: ClassVar[tuple[type[Message], ...]] = (
        Verdict,
        Anomaly,
        AlarmSummary,
        Criteria,
        ExpectedDay,
        NightResult,
        SensorState,
        Response,
    )

    def __init__(self, settings: Settings, history: HistoryReader, calendar: HolidayCalendar = NO_HOLIDAYS) -> None:
        self._settings, self._history, self._calendar = settings, history, calendar
        self._queues: dict[str, PendingReadings] = {}
        self._last_tick_at: datetime | None = None
        self._last_import: Progress | None = None
        self._summaries: dict[str, AlarmSummary] = {}
        """Newest published alarm summaries by sensor."""

    def start(self) -> Iterator[Message]:
        """Recover each sensor from stored history; yield criteria, open anomalies and missing verdicts."""
        yield from self._recover(relearn=False)

    def handle(self, message: Message) -> Iterator[Message]:
        return type(self).HANDLERS[type(message)](self, message)

    def end_batch(self) -> Iterator[Message]:
        return iter(())

    def oldest_missing_output(self) -> str:
        """Return the oldest stored reading without a verdict, or an anomaly wrongly open in history; empty for none."""
        for sensor, queue in self._queues.items():
            if not queue.is_retired and (stored_range := self._history.reading_range(sensor)):
                start = max(stored_range[1] - BACKFILL_DAYS * DAY, queue.verdicts_complete_before)
                for reading in self._history.readings_without_verdict(sensor, start, stored_range[1] + 1):
                    return f"{sensor} {reading.at.isoformat()}"
                queue.verdicts_complete_before = stored_range[1] - DAY
                open_ids = {alarm.anomaly.id for alarm in queue.monitor.alarms.open.values()}
                open_ids |= {window.id for window in queue.monitor.maintenance.windows}
                for anomaly in self._history.anomalies(sensor, stored_range[1]):
                    if anomaly.state != "cleared" and anomaly.id not in open_ids:
                        return anomaly.id
        return ""

    def _recover(self, relearn: bool) -> Iterator[Message]:
        retired = self._history.retired()
        for sensor in self._history.sensors():
            if self._settings.accepts_sensor(sensor):
                pending = self._pending_not_stored(self._queues[sensor]) if sensor in self._queues else []
                queue = self._queues[sensor] = PendingReadings(SensorMonitor(self._settings, sensor, self._calendar))
                queue.is_recovered = True
                recovery = StateRecovery(self._history, self._settings.zone, queue.monitor)
                queue.is_retired = sensor in retired
                for message in recovery.recover(relearn):
                    if not queue.is_retired:
                        yield message
                for reading in (*recovery.not_yet_evaluable, *pending):
                    yield from self._on_reading(reading)

    def _pending_not_stored(self, queue: PendingReadings) -> list[Reading]:
        """Return the waiting readings that history lacks: recovery evaluates the stored ones."""
        if not queue.pending:
            return []
        stored = set(self._history.readings(queue.monitor.sensor, *_time_range(queue.pending)).at.tolist())
        return [reading for reading in queue.pending if int(reading.at.timestamp()) not in stored]

    def _on_reading(self, reading: Reading) -> Iterator[Message]:
        queue = self._queues.get(reading.sensor)
        if queue is None:
            queue = self._queues[reading.sensor] = PendingReadings(
                SensorMonitor(self._settings, reading.sensor, self._calendar)
            )
        if reading.completes:
            queue.monitor.model.complete(reading)
            return iter(())
        queue.end_wait(reading)
        if queue.pending:
            queue.pending.append(reading)
            return self._drop_wait(queue) if len(queue.pending) > MAX_PENDING else iter(())
        if queue.may_pass(reading):
            return queue.monitor.process(reading, int(reading.at.timestamp()) // 60)
        queue.pending.append(reading)
        queue.ticks_waited = 0
        return iter(())

    def _drain(self, queue: PendingReadings) -> Iterator[Message]:
        """Evaluate waiting readings up to the first one whose hour has no forecast yet."""
        while queue.pending:
            reading, released_before = queue.pending[0], queue.released_through
            if not queue.may_pass(reading):
                return
            if queue.released_through > released_before:
                queue.ticks_waited = 0
            yield from queue.monitor.process(queue.pending.popleft(), int(reading.at.timestamp()) // 60)

    def _drop_wait(self, queue: PendingReadings) -> Iterator[Message]:
        """Release the oldest hour when too many readings wait."""
        queue.released_through = self._hour_to_release(queue, whole_backlog=False)
        return self._drain(queue)

    def _on_prediction(self, prediction: Prediction) -> Iterator[Message]:
        queue = self._queues.get(prediction.sensor)
        if queue is None:
            queue = self._queues[prediction.sensor] = PendingReadings(
                SensorMonitor(self._settings, prediction.sensor, self._calendar)
            )
        hour = int(prediction.issued_at.timestamp()) // 3600
        if hour > queue.released_through:
            forecasts = queue.monitor.model.forecasts
            forecasts[hour] = current_hour_quantiles(prediction)
            if len(forecasts) > MAX_FORECAST_HOURS:
                del forecasts[next(iter(forecasts))]
        return self._drain(queue)

    def _on_progress(self, progress: Progress) -> Iterator[Message]:
        """Learn again after an import; a retained message delivered again changes nothing."""
        if progress.job == "import" and progress.step == progress.of > 0 and progress != self._last_import:
            yield from self._recover(relearn=True)
            self._last_import = progress

    def _on_sensor_retired(self, retired: SensorRetired) -> Iterator[Message]:
        """Clear the alarms of a sensor that has ended."""
        if queue := self._queues.get(retired.sensor):
            queue.is_retired = True
            self._summaries.pop(retired.sensor, None)
            yield from queue.monitor.clear_all(retired.at)

    def _on_tick(self, tick: Tick) -> Iterator[Message]:
        at = self._last_tick_at = tick.at
        for queue in self._queues.values():
            queue.count_tick(at)
            if queue.pending:
                queue.ticks_waited += 1
                load_forecasts(self._history, queue.monitor, *_time_range(queue.pending))
                yield from self._drain(queue)
                is_backlog = bool(queue.pending) and abs(at - queue.pending[0].at) > LIVE_WINDOW
                if queue.pending and queue.ticks_waited >= (
                    BACKLOG_FORECAST_TIMEOUT_TICKS if is_backlog else FORECAST_TIMEOUT_TICKS
                ):
                    queue.released_through = self._hour_to_release(queue, whole_backlog=is_backlog)
                    yield from self._drain(queue)
            if queue.is_late(at):
                yield from queue.monitor.on_silence(at)
        yield from self._changed_summaries()

    def _hour_to_release(self, queue: PendingReadings, whole_backlog: bool) -> int:
        """Return the last hour to release without a forecast.

        Forecasts come in order, so every hour before one with a forecast is released. Without such an hour it is the
        first waiting hour, or the last one for a whole backlog.
        """
        hours = [int(reading.at.timestamp()) // 3600 for reading in queue.pending if reading.clock != "doubted"]
        first, last = hours[0], hours[-1]
        hours_with_forecast = [hour for hour in queue.monitor.model.forecasts if first < hour <= last]
        return max(first, min(hours_with_forecast) - 1 if hours_with_forecast else last if whole_backlog else first)

    def _on_command(self, command: Command) -> Iterator[Message]:
        if command.name in OperatorCommands.HANDLERS:
            monitors = {sensor: queue.monitor for sensor, queue in self._queues.items()}
            yield from OperatorCommands(self._history, monitors, self._now).carry_out(command)
            yield from self._changed_summaries()

    @property
    def _now(self) -> datetime | None:
        """Time of the newest tick; that of the newest reading before the first tick, None before both."""
        read = [queue.monitor.sequencer.last_at for queue in self._queues.values()]
        return self._last_tick_at or max((at for at in read if at), default=None)

    def _changed_summaries(self) -> Iterator[AlarmSummary]:
        """Yield the alarm summaries that differ from those published last."""
        now = self._now
        for sensor, queue in self._queues.items():
            if now and not queue.is_retired:
                summary = queue.monitor.summary(now)
                before = self._summaries.get(sensor)
                if before is None or replace(before, at=summary.at) != summary:
                    self._summaries[sensor] = summary
                    yield summary

    HANDLERS: ClassVar[dict[type[Message], Callable[..., Iterator[Message]]]] = {
        Reading: _on_reading,
        Tick: _on_tick,
        Prediction: _on_prediction,
        Progress: _on_progress,
        SensorRetired: _on_sensor_retired,
        Command: _on_command,
    }
    consumes: ClassVar[tuple[type[Message], ...]] = tuple(HANDLERS)
    commands: ClassVar[tuple[str, ...]] = tuple(OperatorCommands.HANDLERS)


def _time_range(readings: Iterable[Reading]) -> tuple[int, int]:
    """Return the epoch seconds of the first reading and just after the last."""
    times = [int(reading.at.timestamp()) for reading in readings]
    return min(times), max(times) + 1
