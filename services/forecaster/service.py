"""Each full hour the week ahead of every sensor, from the model in use or else the profile."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import ClassVar, Protocol
from zoneinfo import ZoneInfo

from services.forecaster.forecast_scores import LATE_HOURS, WINDOW_HOURS, ForecastScorer
from services.forecaster.forecast_week import ForecastModel, forecast, horizon_local_hours
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
    Tick,
)
from shared.domain.forecast_point import ForecastPoint
from shared.domain.holiday_calendar import HolidayCalendar
from shared.domain.hour_of_week import DAY_HOURS
from shared.domain.profile_forecast import FORECAST_HOURS
from shared.domain.series import DAY, HOUR, MINUTE, Series
from shared.runtime.log import log

BACKFILL_DAYS = 100
"""Hours without a forecast are made up for this many days back."""
MAX_SILENT_HOURS = 168
"""Hours after its last reading for which a silent sensor is still forecast."""
MAX_HOURS_PER_TICK = 24
"""Hours of one sensor that are forecast with one tick; the next ones follow with the next tick."""


class HistoryReader(Protocol):
    """What is read of stored history."""

    def sensors(self) -> list[str]: ...
    def readings(self, sensor: str, start: int, stop: int) -> Series: ...
    def reading_range(self, sensor: str) -> tuple[int, int] | None: ...
    def last_issued_at(self, sensor: str) -> int | None: ...
    def hours_without_forecast(self, sensor: str, start: int, stop: int) -> list[int]: ...
    def prediction_at(self, sensor: str) -> Prediction | None: ...
    def forecasts_for_hours(self, sensor: str, start: int, stop: int) -> Iterable[ForecastPoint]: ...
    def scores(self, sensor: str, start: int, stop: int) -> Iterable[Score]: ...


class ModelLoader(Protocol):
    """Opens the model in a folder relative to the data folder; with a checksum, only the one that has it."""

    def __call__(self, path: str, checksum: str = "") -> ForecastModel | None: ...


class Forecaster:
    """Forecasts are driven by a sensor's own readings: the same whether ticks run ahead of them or not."""

    name: ClassVar[str] = "forecaster"
    consumes: ClassVar[tuple[type[Message], ...]] = (Reading, Tick, ModelTrained, Progress)
    produces: ClassVar[tuple[type[Message], ...]] = (Prediction,)
    commands: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, site: str, zone: ZoneInfo, history: HistoryReader, load_model: ModelLoader, calendar: HolidayCalendar
    ) -> None:
        """`load`: None when there is no model, or it is bad."""
        self.site = site
        self.zone = zone
        self.history = history
        self.load_model = load_model
        self.calendar = calendar
        self.hourly_histories: dict[str, HourlyHistory] = {}
        self.models: dict[tuple[str, Channel], ForecastModel] = {}
        self.scorers: dict[str, ForecastScorer] = {}

    def start(self) -> Iterator[Message]:
        """Rebuilds the memory from stored history; yields the forecasts that it lacks, and last the newest one."""
        for sensor in self.history.sensors():
            issued, missed = self.history.last_issued_at(sensor), self._unissued_hours(sensor)
            due = self._due_hours(sensor, issued)
            oldest = min((*missed, *due), default=None)
            meter, stored = self._load_history(sensor, oldest), self._load_scores(sensor, issued, oldest)
            newest = self.history.prediction_at(sensor)
            # What is read may be unavailable: only from here on does the memory change in a way that must end whole.
            self.scorers[sensor].load_stored(*stored)
            for hour in missed:
                yield self._issue(sensor, meter, hour)
            if issued is not None:
                meter.last_issued_hour = issued // HOUR
            for before, hour in pairwise([_last_hour_before(meter, due), *due]):
                yield from self._issue_until(sensor, meter, hour, before * HOUR)
            if meter.newest_reading is not None:
                meter.liveness.on_reading(meter.newest_reading)
                yield from self._issue_until(sensor, meter, meter.newest_reading // HOUR, None)
            if newest and issued is not None and meter.last_issued_hour == issued // HOUR:
                yield newest

    def oldest_missing_output(self) -> str:
        """The oldest hour that history lacks; empty when none."""
        for sensor in self.hourly_histories:
            for hour in self._unissued_hours(sensor):
                return f"{sensor} {datetime.fromtimestamp(hour * HOUR, self.zone).isoformat()}"
        return ""

    def _unissued_hours(self, sensor: str) -> list[int]:
        """Hours of the last days that have readings and no stored forecast, though a later one has."""
        issued = self.history.last_issued_at(sensor)
        if issued is None:
            return []
        return [at // HOUR for at in self.history.hours_without_forecast(sensor, issued - BACKFILL_DAYS * DAY, issued)]

    def _due_hours(self, sensor: str, issued: int | None) -> list[int]:
        """Hours with readings after the newest stored forecast; all of them where none is stored yet."""
        span = self.history.reading_range(sensor)
        if span is None:
            return []
        first = max(span[0] // HOUR * HOUR if issued is None else issued + HOUR, span[1] - BACKFILL_DAYS * DAY)
        return [at // HOUR for at in self.history.hours_without_forecast(sensor, first, span[1] + HOUR)]

    def handle(self, message: Message) -> Iterator[Message]:
        if isinstance(message, Reading):
            return self._on_reading(message)
        if isinstance(message, Tick):
            return self._on_tick(int(message.at.timestamp()))
        if isinstance(message, ModelTrained) and message.promoted:
            self._activate_model(message)
        elif isinstance(message, Progress) and message.job == "import" and message.step == message.of > 0:
            for sensor in self.history.sensors():
                self._load_history(sensor)
        return iter(())

    def end_batch(self) -> Iterator[Message]:
        return iter(())

    def _on_reading(self, reading: Reading) -> Iterator[Message]:
        """A reading far ahead of all others waits for the next one: if that is back again, a clock was wrong."""
        at = int(reading.at.timestamp())
        meter = self.hourly_histories.get(reading.sensor) or self._add_sensor(reading.sensor)
        meter.on_reading_time(at)
        if doubted := meter.jump_candidate:
            meter.jump_candidate = None
            if at >= doubted[0] - HOUR // 2:
                yield from self._accept(reading.sensor, meter, *doubted)
        if meter.last_issued_hour is not None and at // HOUR > meter.last_issued_hour + 1:
            meter.jump_candidate = (at, reading.flow_rate, reading.pressure)
            return
        yield from self._accept(reading.sensor, meter, at, reading.flow_rate, reading.pressure)

    def _accept(
        self, sensor: str, meter: HourlyHistory, at: int, flow_rate: float | None, pressure: float | None
    ) -> Iterator[Message]:
        if meter.detect_clock_setback(at):
            log(self.name, "the meter's clock was set back", logging.WARNING, sensor=sensor)
        if meter.last_issued_hour is None or at // HOUR > meter.last_issued_hour:
            yield from self._issue_until(sensor, meter, at // HOUR, meter.newest_reading)
        meter.add(at, flow_rate, pressure)

    def _on_tick(self, at: int) -> Iterator[Message]:
        """An hour is over when its last minute is there, or when the sensor was silent since the tick before."""
        for sensor, meter in self.hourly_histories.items():
            hour = (meter.on_tick(at) + MINUTE) // HOUR
            if (
                meter.newest_reading is not None
                and meter.last_issued_hour is not None
                and hour > meter.last_issued_hour
            ):
                complete = meter.newest_reading >= hour * HOUR - MINUTE
                if complete or meter.liveness.is_silent:
                    upto = min(
                        hour,
                        meter.newest_reading // HOUR + MAX_SILENT_HOURS,
                        meter.last_issued_hour + MAX_HOURS_PER_TICK,
                    )
                    yield from self._issue_until(sensor, meter, upto, meter.newest_reading)

    def _issue_until(self, sensor: str, meter: HourlyHistory, hour: int, newest: int | None) -> Iterator[Message]:
        """Every hour up to `hour` that has no forecast yet; of a long silence the first week and its end."""
        if meter.last_issued_hour is not None and newest is not None:
            last = min(hour, newest // HOUR + MAX_SILENT_HOURS + 1)
            for missed in range(max(meter.last_issued_hour + 1, last - 2 * MAX_SILENT_HOURS), last):
                yield self._issue(sensor, meter, missed)
        if meter.last_issued_hour is None or hour > meter.last_issued_hour:
            yield self._issue(sensor, meter, hour)

    def _issue(self, sensor: str, meter: HourlyHistory, hour: int) -> Prediction:
        meter.last_issued_hour = hour
        values, local_hours = meter.window_before(hour)
        ahead = horizon_local_hours(hour, self.zone)
        flow_rate, pressure = (
            forecast(self.models.get((sensor, channel)), values[channel], local_hours, ahead, self.calendar)
            for channel in CHANNELS
        )
        scores = self.scorers[sensor]
        told = tuple(scores.score_due(hour))
        for channel, week in zip(CHANNELS, (flow_rate, pressure), strict=True):
            scores.add_forecast(hour, channel, week)
        return Prediction(self.site, sensor, self._local_time(hour * HOUR), flow_rate, pressure, told)

    def _profile_forecast(self, meter: HourlyHistory, hour: int, channel: Channel) -> Forecast:
        """What the profile would forecast at the start of an hour of the last two weeks."""
        values, local_hours = meter.window_before(hour)
        return forecast(None, values[channel], local_hours, horizon_local_hours(hour, self.zone), self.calendar)

    def _local_time(self, at: int) -> datetime:
        return datetime.fromtimestamp(at, self.zone)

    def _activate_model(self, trained: ModelTrained) -> None:
        model = self.load_model(trained.path, trained.checksum)
        if trained.id == PROFILE_MODEL_ID and model is None:
            self.models.pop((trained.sensor, trained.channel), None)
            log(self.name, "goes back to the profile", sensor=trained.sensor, channel=trained.channel)
        elif model is not None:
            self.models[trained.sensor, trained.channel] = model
            log(self.name, "took up a model", sensor=trained.sensor, channel=trained.channel, model=model.id)
        else:
            log(self.name, "kept the old model", logging.ERROR, sensor=trained.sensor, model=trained.id)

    def _add_sensor(self, sensor: str) -> HourlyHistory:
        meter = self.hourly_histories[sensor] = HourlyHistory(self.zone)
        self.scorers[sensor] = ForecastScorer(meter.mean, partial(self._profile_forecast, meter), self._local_time)
        for channel in CHANNELS:
            if model := self.load_model(f"output/Learning_lstm/{channel}/{sensor}"):
                self.models[sensor, channel] = model
        return meter

    def _load_history(self, sensor: str, oldest: int | None = None) -> HourlyHistory:
        """Takes over what is stored; enough of it for a forecast of the hour `oldest` too."""
        meter = self.hourly_histories.get(sensor) or self._add_sensor(sensor)
        if span := self.history.reading_range(sensor):
            newest = span[1] // HOUR + 1
            first = min(newest, oldest or newest) - KEPT_HOURS
            for start in range(first, newest, DAY_HOURS):  # at once they would take 20 MB
                stop = min(start + DAY_HOURS, newest)
                meter.load_readings(self.history.readings(sensor, start * HOUR, stop * HOUR))
        return meter

    def _load_scores(
        self, sensor: str, issued: int | None, oldest: int | None
    ) -> tuple[list[ForecastPoint], list[Score]]:
        """Stored forecasts that wait for their hour, or waited for it from `oldest` on; and what was scored."""
        if issued is None:
            return [], []
        first = (min(issued // HOUR, oldest or issued // HOUR) - LATE_HOURS) * HOUR
        stop = issued + FORECAST_HOURS * HOUR
        scored = self.history.scores(sensor, first - WINDOW_HOURS * HOUR, stop)
        return list(self.history.forecasts_for_hours(sensor, first, stop)), list(scored)


def _last_hour_before(meter: HourlyHistory, due: list[int]) -> int:
    """The last hour with readings before the first that is due."""
    return max((hour for hour in meter.buckets if hour < due[0]), default=due[0] - 1) if due else 0
