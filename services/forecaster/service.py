"""The forecaster: at each full hour, a forecast of the next week for each sensor."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import ClassVar, Protocol
from zoneinfo import ZoneInfo

from services.forecaster.forecast_scores import LATE_HOURS, WINDOW_HOURS, ForecastScorer
from services.forecaster.forecast_week import ForecastModel, forecast, horizon_local_hours
from services.forecaster.forecasting_state import forecasting_state
from services.forecaster.hourly_history import KEPT_HOURS, HourlyHistory
from shared.contract.messages import (
    CHANNELS,
    PROFILE_MODEL_ID,
    Channel,
    Forecast,
    Message,
    ModelTrained,
    Prediction,
    Progress,
    Reading,
    Score,
    SensorRetired,
    SensorState,
    Tick,
)
from shared.domain.forecast_point import ForecastPoint
from shared.domain.holiday_calendar import HolidayCalendar
from shared.domain.hour_of_week import DAY_HOURS
from shared.domain.profile_forecast import FORECAST_HOURS
from shared.domain.series import DAY, HOUR, MINUTE, Series
from shared.domain.value_ranges import UNBOUNDED, ValueRanges
from shared.runtime.log import log

BACKFILL_DAYS = 100
"""Days back for which missing forecasts are computed."""
MAX_SILENT_HOURS = 168
"""Hours after its last reading for which a silent sensor is still forecast."""
MAX_HOURS_PER_TICK = 24
"""Hours of one sensor that are forecast at one tick; the remaining ones follow at the next ticks."""


class HistoryReader(Protocol):
    """Queries on stored history."""

    def sensors(self) -> list[str]: ...
    def retired(self) -> set[str]: ...
    def readings(self, sensor: str, start: int, stop: int) -> Series: ...
    def reading_range(self, sensor: str) -> tuple[int, int] | None: ...
    def last_issued_at(self, sensor: str) -> int | None: ...
    def hours_without_forecast(self, sensor: str, start: int, stop: int) -> list[int]: ...
    def prediction_at(self, sensor: str) -> Prediction | None: ...
    def forecasts_for_hours(self, sensor: str, start: int, stop: int) -> Iterable[ForecastPoint]: ...
    def scores(self, sensor: str, start: int, stop: int) -> Iterable[Score]: ...
    def sensor_states(self, sensor: str) -> list[SensorState]: ...


class ModelLoader(Protocol):
    """Loads the model in a folder relative to the data folder; None when there is no valid model with the checksum."""

    def __call__(self, path: str, checksum: str = "") -> ForecastModel | None: ...


class Forecaster:
    """Issues forecasts driven by a sensor's readings: the same ones whether ticks run ahead of them or not."""

    name: ClassVar[str] = "forecaster"
    produces: ClassVar[tuple[type[Message], ...]] = (Prediction, SensorState)
    commands: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        site: str,
        zone: ZoneInfo,
        history: HistoryReader,
        model_loader: ModelLoader,
        calendar: HolidayCalendar,
        ranges: ValueRanges = UNBOUNDED,
    ) -> None:
        """Make the service; values outside `ranges` enter no mean, and `history` returns none."""
        self.ranges = ranges
        self.site = site
        self.zone = zone
        self.history = history
        self.model_loader = model_loader
        self.calendar = calendar
        self.hourly_histories: dict[str, HourlyHistory] = {}
        self.models: dict[tuple[str, Channel], ForecastModel] = {}
        self.scorers: dict[str, ForecastScorer] = {}
        self.states: dict[str, SensorState] = {}
        self.retired: set[str] = set()
        """Sensors that have ended: they get no forecasts until their next reading."""
        self.last_import: Progress | None = None
        """Newest progress of an import."""

    def start(self) -> Iterator[Message]:
        """Recover from stored history; yield the forecasts that are missing in it, and the state of each sensor."""
        for sensor in self.history.sensors():
            stored = {state.service: state for state in self.history.sensor_states(sensor)}
            if "forecaster" in stored:
                self.states[sensor] = stored["forecaster"]
                yield stored["forecaster"]
        yield from self._with_states(self._recover())

    def _with_states(self, messages: Iterator[Message]) -> Iterator[Message]:
        """Yield messages; after a forecast that changes the state of its sensor, that state."""
        for message in messages:
            yield message
            if isinstance(message, Prediction):
                previous = self.states.get(message.sensor)
                state = forecasting_state(message, previous)
                if previous is None or (state.is_active, state.since) != (previous.is_active, previous.since):
                    self.states[message.sensor] = state
                    yield state

    def _recover(self) -> Iterator[Message]:
        """Load stored history; yield the forecasts that are missing in it, and last the newest stored one."""
        self.retired = self.history.retired()
        for sensor in self.history.sensors():
            for message in self._start_sensor(sensor):
                if sensor not in self.retired:
                    yield message

    def _start_sensor(self, sensor: str) -> Iterator[Message]:
        issued, missing = self.history.last_issued_at(sensor), self._unissued_hours(sensor)
        due = self._due_hours(sensor, issued)
        oldest = min((*missing, *due), default=None)
        hourly, stored = self._load_history(sensor, oldest), self._load_scores(sensor, issued, oldest)
        newest = self.history.prediction_at(sensor)
        # Queries may raise Unavailable and are repeated, so the state changes only after the last one.
        self.scorers[sensor].load_stored(*stored)
        for hour in missing:
            yield self._issue(sensor, hourly, hour)
        if issued is not None:
            hourly.last_issued_hour = issued // HOUR
            hourly.is_last_forecast_empty = newest is not None and _is_empty(newest)
        for previous, hour in pairwise([_last_hour_before(hourly, due), *due]):
            yield from self._issue_until(sensor, hourly, hour, previous * HOUR)
        yield from self._issue_current_hour(sensor, hourly)
        is_newest = issued is not None and hourly.last_issued_hour == issued // HOUR
        if newest and is_newest and hourly.is_last_forecast_empty == _is_empty(newest):
            yield newest

    def oldest_missing_output(self) -> str:
        """Return sensor and time of the oldest forecast that is missing in history; empty when none is."""
        for sensor in self.hourly_histories.keys() - self.retired:
            for hour in self._unissued_hours(sensor):
                return f"{sensor} {datetime.fromtimestamp(hour * HOUR, self.zone).isoformat()}"
        return ""

    def _unissued_hours(self, sensor: str) -> list[int]:
        """Return the hours before the newest stored forecast that have readings and no stored forecast."""
        issued = self.history.last_issued_at(sensor)
        if issued is None:
            return []
        return [at // HOUR for at in self.history.hours_without_forecast(sensor, issued - BACKFILL_DAYS * DAY, issued)]

    def _due_hours(self, sensor: str, issued: int | None) -> list[int]:
        """Return the hours with readings after the newest stored forecast; without one, all of them."""
        span = self.history.reading_range(sensor)
        if span is None:
            return []
        first = max(span[0] // HOUR * HOUR if issued is None else issued + HOUR, span[1] - BACKFILL_DAYS * DAY)
        return [at // HOUR for at in self.history.hours_without_forecast(sensor, first, span[1] + HOUR)]

    def handle(self, message: Message) -> Iterator[Message]:
        return self._with_states(type(self).HANDLERS[type(message)](self, message))

    def end_batch(self) -> Iterator[Message]:
        return iter(())

    def _on_reading(self, reading: Reading) -> Iterator[Message]:
        """Process a reading; one of a doubted time is not believed."""
        if reading.clock == "doubted":
            return
        at = int(reading.at.timestamp())
        self.retired.discard(reading.sensor)
        hourly = self.hourly_histories.get(reading.sensor) or self._add_sensor(reading.sensor)
        flow_rate, pressure = self.ranges.usable(reading.sensor, reading.flow_rate, reading.pressure)
        if reading.completes:
            hourly.complete(at, flow_rate, pressure)
            return
        if reading.belated:
            hourly.add(at, flow_rate, pressure)
            return
        hourly.on_reading_time(at)
        if reading.clock == "set_back" and hourly.set_back(at):
            log(self.name, "clock_setback_detected", logging.WARNING, sensor=reading.sensor)
        if hourly.last_issued_hour is None or at // HOUR > hourly.last_issued_hour:
            yield from self._issue_until(reading.sensor, hourly, at // HOUR, hourly.newest_reading)
        hourly.add(at, flow_rate, pressure)

    def _on_progress(self, progress: Progress) -> Iterator[Message]:
        """Load imported history and issue the current hour; a retained message delivered again changes nothing."""
        if progress.job != "import" or progress == self.last_import:
            return
        loaded = []
        if progress.step == progress.of > 0:
            loaded = [(sensor, self._load_history(sensor)) for sensor in self.history.sensors()]
        self.last_import = progress  # only now: the queries may raise Unavailable and are then repeated
        for sensor, hourly in loaded:
            if sensor not in self.retired:
                yield from self._issue_current_hour(sensor, hourly)

    def _on_sensor_retired(self, retired: SensorRetired) -> Iterator[Message]:
        """Issue no more forecasts of a sensor that has ended."""
        self.retired.add(retired.sensor)
        return iter(())

    def _issue_current_hour(self, sensor: str, hourly: HourlyHistory) -> Iterator[Message]:
        """Issue the forecast of the newest reading's hour, unless one with values was issued."""
        if hourly.newest_reading is None:
            return
        hourly.liveness.on_reading(hourly.newest_reading)
        hour = hourly.newest_reading // HOUR
        if hourly.last_issued_hour == hour and hourly.is_last_forecast_empty:
            if not _is_empty(issued := self._issue(sensor, hourly, hour)):
                yield issued
        else:
            yield from self._issue_until(sensor, hourly, hour, None)

    def _on_tick(self, tick: Tick) -> Iterator[Message]:
        """Issue forecasts of hours whose last minute has a reading, or whose sensor was silent since the last tick."""
        at = int(tick.at.timestamp())
        for sensor, hourly in self.hourly_histories.items():
            hour = (hourly.on_tick(at) + MINUTE) // HOUR
            newest, issued = hourly.newest_reading, hourly.last_issued_hour
            if newest is None or issued is None or hour <= issued or sensor in self.retired:
                continue
            if hourly.is_hour_complete(hour) or hourly.liveness.is_silent:
                last = min(hour, newest // HOUR + MAX_SILENT_HOURS, issued + MAX_HOURS_PER_TICK)
                yield from self._issue_until(sensor, hourly, last, newest)

    def _issue_until(self, sensor: str, hourly: HourlyHistory, hour: int, newest: int | None) -> Iterator[Message]:
        """Issue the forecast of each hour up to `hour`; in a long silence, only of its first week and its end.

        `newest`: time of the last reading before (epoch seconds).
        """
        if hourly.last_issued_hour is not None and newest is not None:
            stop = min(hour, newest // HOUR + MAX_SILENT_HOURS + 1)
            for silent_hour in range(max(hourly.last_issued_hour + 1, stop - 2 * MAX_SILENT_HOURS), stop):
                yield self._issue(sensor, hourly, silent_hour)
        if hourly.last_issued_hour is None or hour > hourly.last_issued_hour:
            yield self._issue(sensor, hourly, hour)

    def _issue(self, sensor: str, hourly: HourlyHistory, hour: int) -> Prediction:
        """Return the forecast at the start of an hour, with the scores that are due."""
        hourly.last_issued_hour = hour
        values, local_hours = hourly.window_before(hour)
        ahead = horizon_local_hours(hour, self.zone)
        flow_rate, pressure = (
            forecast(self.models.get((sensor, channel)), values[channel], local_hours, ahead, self.calendar)
            for channel in CHANNELS
        )
        scorer = self.scorers[sensor]
        scores = tuple(scorer.score_due(hour))
        for channel, week in zip(CHANNELS, (flow_rate, pressure), strict=True):
            scorer.add_forecast(hour, channel, week)
        issued = Prediction(
            site=self.site,
            sensor=sensor,
            issued_at=self._local_time(hour * HOUR),
            flow_rate=flow_rate,
            pressure=pressure,
            scores=scores,
        )
        hourly.is_last_forecast_empty = _is_empty(issued)
        return issued

    def _profile_forecast(self, hourly: HourlyHistory, hour: int, channel: Channel) -> Forecast:
        """Return the profile's forecast at the start of an hour of the last two weeks."""
        values, local_hours = hourly.window_before(hour)
        return forecast(None, values[channel], local_hours, horizon_local_hours(hour, self.zone), self.calendar)

    def _local_time(self, at: int) -> datetime:
        return datetime.fromtimestamp(at, self.zone)

    def _on_model_trained(self, trained: ModelTrained) -> Iterator[Message]:
        """Activate a promoted model, or the profile."""
        if not trained.promoted:
            return iter(())
        sensor, channel = trained.sensor, trained.channel
        model = self.model_loader(trained.path, trained.checksum)
        if trained.id == PROFILE_MODEL_ID and model is None:
            self.models.pop((sensor, channel), None)
            log(self.name, "profile_activated", sensor=sensor, channel=channel)
        elif model is not None:
            self.models[sensor, channel] = model
            log(self.name, "model_activated", sensor=sensor, channel=channel, model=model.id)
        else:
            log(self.name, "model_activation_failed", logging.ERROR, sensor=sensor, model=trained.id)
        return iter(())

    def _add_sensor(self, sensor: str) -> HourlyHistory:
        hourly = self.hourly_histories[sensor] = HourlyHistory(self.zone)
        self.scorers[sensor] = ForecastScorer(hourly.mean, partial(self._profile_forecast, hourly), self._local_time)
        for channel in CHANNELS:
            if model := self.model_loader(f"output/Learning_lstm/{channel}/{sensor}"):
                self.models[sensor, channel] = model
        return hourly

    def _load_history(self, sensor: str, oldest: int | None = None) -> HourlyHistory:
        """Load stored readings, as many as a forecast of the hour `oldest` needs."""
        hourly = self.hourly_histories.get(sensor) or self._add_sensor(sensor)
        if reading_range := self.history.reading_range(sensor):
            stop = reading_range[1] // HOUR + 1
            first = min(stop, oldest or stop) - KEPT_HOURS
            for start in range(first, stop, DAY_HOURS):  # all at once would take 20 MB
                day_stop = min(start + DAY_HOURS, stop)
                hourly.load_readings(self.history.readings(sensor, start * HOUR, day_stop * HOUR))
        return hourly

    def _load_scores(
        self, sensor: str, issued: int | None, oldest: int | None
    ) -> tuple[list[ForecastPoint], list[Score]]:
        """Return the stored forecasts that wait for their hour, or did so from `oldest` on, and the stored scores."""
        if issued is None:
            return [], []
        first = (min(issued // HOUR, oldest or issued // HOUR) - LATE_HOURS) * HOUR
        stop = issued + FORECAST_HOURS * HOUR
        scores = self.history.scores(sensor, first - WINDOW_HOURS * HOUR, stop)
        return list(self.history.forecasts_for_hours(sensor, first, stop)), list(scores)

    HANDLERS: ClassVar[dict[type[Message], Callable[..., Iterator[Message]]]] = {
        Reading: _on_reading,
        Tick: _on_tick,
        ModelTrained: _on_model_trained,
        Progress: _on_progress,
        SensorRetired: _on_sensor_retired,
    }
    consumes: ClassVar[tuple[type[Message], ...]] = tuple(HANDLERS)


def _last_hour_before(hourly: HourlyHistory, due: list[int]) -> int:
    """Return the last hour with readings before the first due hour."""
    return max((hour for hour in hourly.buckets if hour < due[0]), default=due[0] - 1) if due else 0


def _is_empty(prediction: Prediction) -> bool:
    return not prediction.flow_rate.p50 and not prediction.pressure.p50
