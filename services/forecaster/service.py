"""Each full hour the week ahead of every sensor, from the model in use or else the profile."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import ClassVar, Protocol
from zoneinfo import ZoneInfo

from services.forecaster.memory import REMEMBERED, Meter
from services.forecaster.scores import LATE, WINDOW, Scores
from services.forecaster.week import Model, forecast, hours_ahead
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
from shared.domain.calendar import Calendar
from shared.domain.foreseen import Foreseen
from shared.domain.profile import AHEAD
from shared.domain.series import DAY, HOUR, MINUTE, Series
from shared.domain.weeks import DAY_HOURS
from shared.runtime.log import log

MISSED_DAYS = 100
"""Hours without a forecast are made up for this many days back."""
LONGEST = 168
"""Hours after its last reading for which a silent sensor is still forecast."""
AT_ONCE = 24
"""Hours of one sensor that are forecast with one tick; the next ones follow with the next tick."""


class Past(Protocol):
    """What is read of stored history."""

    def sensors(self) -> list[str]: ...
    def readings(self, sensor: str, start: int, stop: int) -> Series: ...
    def span(self, sensor: str) -> tuple[int, int] | None: ...
    def issued(self, sensor: str) -> int | None: ...
    def unforecast(self, sensor: str, start: int, stop: int) -> list[int]: ...
    def predictions(self, sensor: str) -> Prediction | None: ...
    def forecasts_of(self, sensor: str, start: int, stop: int) -> Iterable[Foreseen]: ...
    def scores(self, sensor: str, start: int, stop: int) -> Iterable[Score]: ...


class Load(Protocol):
    """Opens the model in a folder relative to the data folder; with a checksum, only the one that has it."""

    def __call__(self, path: str, checksum: str = "") -> Model | None: ...


class Forecaster:
    """Forecasts are driven by a sensor's own readings: the same whether ticks run ahead of them or not."""

    name: ClassVar[str] = "forecaster"
    consumes: ClassVar[tuple[type[Message], ...]] = (Reading, Tick, ModelTrained, Progress)
    produces: ClassVar[tuple[type[Message], ...]] = (Prediction,)
    commands: ClassVar[tuple[str, ...]] = ()

    def __init__(self, site: str, zone: ZoneInfo, past: Past, load: Load, calendar: Calendar) -> None:
        """`load`: None when there is no model, or it is bad."""
        self.site = site
        self.zone = zone
        self.past = past
        self.load = load
        self.calendar = calendar
        self.meters: dict[str, Meter] = {}
        self.models: dict[tuple[str, Channel], Model] = {}
        self.scores: dict[str, Scores] = {}

    def start(self) -> Iterator[Message]:
        """Rebuilds the memory from stored history; yields the forecasts that it lacks, and last the newest one."""
        for sensor in self.past.sensors():
            issued, missed = self.past.issued(sensor), self._missed(sensor)
            due = self._due(sensor, issued)
            oldest = min((*missed, *due), default=None)
            meter, stored = self._recall(sensor, oldest), self._stored_scores(sensor, issued, oldest)
            newest = self.past.predictions(sensor)
            # What is read may be unavailable: only from here on does the memory change in a way that must end whole.
            self.scores[sensor].recall(*stored)
            for hour in missed:
                yield self._predict(sensor, meter, hour)
            if issued is not None:
                meter.issued = issued // HOUR
            for before, hour in pairwise([_last_before(meter, due), *due]):
                yield from self._through(sensor, meter, hour, before * HOUR)
            if meter.newest is not None:
                meter.pace.hear(meter.newest)
                yield from self._through(sensor, meter, meter.newest // HOUR, None)
            if newest and issued is not None and meter.issued == issued // HOUR:
                yield newest

    def owed(self) -> str:
        """The oldest hour that history lacks; empty when none."""
        for sensor in self.meters:
            for hour in self._missed(sensor):
                return f"{sensor} {datetime.fromtimestamp(hour * HOUR, self.zone).isoformat()}"
        return ""

    def _missed(self, sensor: str) -> list[int]:
        """Hours of the last days that have readings and no stored forecast, though a later one has."""
        issued = self.past.issued(sensor)
        if issued is None:
            return []
        return [at // HOUR for at in self.past.unforecast(sensor, issued - MISSED_DAYS * DAY, issued)]

    def _due(self, sensor: str, issued: int | None) -> list[int]:
        """Hours with readings after the newest stored forecast; all of them where none is stored yet."""
        span = self.past.span(sensor)
        if span is None:
            return []
        first = max(span[0] // HOUR * HOUR if issued is None else issued + HOUR, span[1] - MISSED_DAYS * DAY)
        return [at // HOUR for at in self.past.unforecast(sensor, first, span[1] + HOUR)]

    def handle(self, message: Message) -> Iterator[Message]:
        if isinstance(message, Reading):
            return self._read(message)
        if isinstance(message, Tick):
            return self._tick(int(message.at.timestamp()))
        if isinstance(message, ModelTrained) and message.promoted:
            self._take_up(message)
        elif isinstance(message, Progress) and message.job == "import" and message.step == message.of > 0:
            for sensor in self.past.sensors():
                self._recall(sensor)
        return iter(())

    def settle(self) -> Iterator[Message]:
        return iter(())

    def _read(self, reading: Reading) -> Iterator[Message]:
        """A reading far ahead of all others waits for the next one: if that is back again, a clock was wrong."""
        at = int(reading.at.timestamp())
        meter = self.meters.get(reading.sensor) or self._meet(reading.sensor)
        meter.hear(at)
        if doubted := meter.doubted:
            meter.doubted = None
            if at >= doubted[0] - HOUR // 2:
                yield from self._take(reading.sensor, meter, *doubted)
        if meter.issued is not None and at // HOUR > meter.issued + 1:
            meter.doubted = (at, reading.flow_rate, reading.pressure)
            return
        yield from self._take(reading.sensor, meter, at, reading.flow_rate, reading.pressure)

    def _take(
        self, sensor: str, meter: Meter, at: int, flow_rate: float | None, pressure: float | None
    ) -> Iterator[Message]:
        if meter.turns_back(at):
            log(self.name, "the meter's clock was set back", logging.WARNING, sensor=sensor)
        if meter.issued is None or at // HOUR > meter.issued:
            yield from self._through(sensor, meter, at // HOUR, meter.newest)
        meter.add(at, flow_rate, pressure)

    def _tick(self, at: int) -> Iterator[Message]:
        """An hour is over when its last minute is there, or when the sensor was silent since the tick before."""
        for sensor, meter in self.meters.items():
            hour = (meter.tick(at) + MINUTE) // HOUR
            if meter.newest is not None and meter.issued is not None and hour > meter.issued:
                complete = meter.newest >= hour * HOUR - MINUTE
                if complete or meter.pace.silent:
                    upto = min(hour, meter.newest // HOUR + LONGEST, meter.issued + AT_ONCE)
                    yield from self._through(sensor, meter, upto, meter.newest)

    def _through(self, sensor: str, meter: Meter, hour: int, newest: int | None) -> Iterator[Message]:
        """Every hour up to `hour` that has no forecast yet; of a long silence the first week and its end."""
        if meter.issued is not None and newest is not None:
            last = min(hour, newest // HOUR + LONGEST + 1)
            for missed in range(max(meter.issued + 1, last - 2 * LONGEST), last):
                yield self._predict(sensor, meter, missed)
        if meter.issued is None or hour > meter.issued:
            yield self._predict(sensor, meter, hour)

    def _predict(self, sensor: str, meter: Meter, hour: int) -> Prediction:
        meter.issued = hour
        values, local_hours = meter.before(hour)
        ahead = hours_ahead(hour, self.zone)
        flow_rate, pressure = (
            forecast(self.models.get((sensor, channel)), values[channel], local_hours, ahead, self.calendar)
            for channel in CHANNELS
        )
        scores = self.scores[sensor]
        told = tuple(scores.judge(hour))
        for channel, week in zip(CHANNELS, (flow_rate, pressure), strict=True):
            scores.expect(hour, channel, week)
        return Prediction(self.site, sensor, self._local(hour * HOUR), flow_rate, pressure, told)

    def _usual(self, meter: Meter, hour: int, channel: Channel) -> Forecast:
        """What the profile would forecast at the start of an hour of the last two weeks."""
        values, local_hours = meter.before(hour)
        return forecast(None, values[channel], local_hours, hours_ahead(hour, self.zone), self.calendar)

    def _local(self, at: int) -> datetime:
        return datetime.fromtimestamp(at, self.zone)

    def _take_up(self, trained: ModelTrained) -> None:
        model = self.load(trained.path, trained.checksum)
        if trained.id == PROFILE_MODEL_ID and model is None:
            self.models.pop((trained.sensor, trained.channel), None)
            log(self.name, "goes back to the profile", sensor=trained.sensor, channel=trained.channel)
        elif model is not None:
            self.models[trained.sensor, trained.channel] = model
            log(self.name, "took up a model", sensor=trained.sensor, channel=trained.channel, model=model.id)
        else:
            log(self.name, "kept the old model", logging.ERROR, sensor=trained.sensor, model=trained.id)

    def _meet(self, sensor: str) -> Meter:
        meter = self.meters[sensor] = Meter(self.zone)
        self.scores[sensor] = Scores(meter.mean, partial(self._usual, meter), self._local)
        for channel in CHANNELS:
            if model := self.load(f"output/Learning_lstm/{channel}/{sensor}"):
                self.models[sensor, channel] = model
        return meter

    def _recall(self, sensor: str, oldest: int | None = None) -> Meter:
        """Takes over what is stored; enough of it for a forecast of the hour `oldest` too."""
        meter = self.meters.get(sensor) or self._meet(sensor)
        if span := self.past.span(sensor):
            newest = span[1] // HOUR + 1
            first = min(newest, oldest or newest) - REMEMBERED
            for start in range(first, newest, DAY_HOURS):  # at once they would take 20 MB
                stop = min(start + DAY_HOURS, newest)
                meter.recall(self.past.readings(sensor, start * HOUR, stop * HOUR))
        return meter

    def _stored_scores(self, sensor: str, issued: int | None, oldest: int | None) -> tuple[list[Foreseen], list[Score]]:
        """Stored forecasts that wait for their hour, or waited for it from `oldest` on; and what was scored."""
        if issued is None:
            return [], []
        first = (min(issued // HOUR, oldest or issued // HOUR) - LATE) * HOUR
        stop = issued + AHEAD * HOUR
        scored = self.past.scores(sensor, first - WINDOW * HOUR, stop)
        return list(self.past.forecasts_of(sensor, first, stop)), list(scored)


def _last_before(meter: Meter, due: list[int]) -> int:
    """The last hour with readings before the first that is due."""
    return max((hour for hour in meter.hours if hour < due[0]), default=due[0] - 1) if due else 0
