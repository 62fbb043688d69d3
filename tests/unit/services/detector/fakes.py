"""Fakes for the detector's surroundings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from datetime import datetime, timedelta
from functools import cached_property, lru_cache

import numpy as np

from services.detector.methods.forecast_deviation import Quantiles, current_hour_quantiles
from services.detector.service import Detector
from shared.contract.messages import (
    CHANNELS,
    AlarmSummary,
    Anomaly,
    Criteria,
    ExpectedDay,
    Forecast,
    Message,
    NightResult,
    Prediction,
    Reading,
    SensorState,
    Tick,
    Verdict,
)
from shared.domain.series import Series
from shared.settings import Settings
from tests.unit.services.detector.synthetic_site import KST, SHAPES, make_site

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
NO_FORECAST = Forecast("none")


class FakeEmptyHistory:
    """Empty stored history."""

    def retired(self) -> set[str]:
        return set()

    def sensors(self) -> list[str]:
        return []

    def reading_range(self, sensor: str) -> tuple[int, int] | None:  # noqa: ARG002
        return None

    def readings(self, sensor: str, start: int, stop: int) -> Series:  # noqa: ARG002
        return Series(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))

    def readings_without_verdict(self, sensor: str, start: int, stop: int) -> Iterator[Reading]:  # noqa: ARG002
        return iter(())

    def fault_free_readings(self, sensor: str, start: int, stop: int) -> Series:
        return self.readings(sensor, start, stop)

    def current_hour_forecasts(self, sensor: str, start: int, stop: int) -> dict[int, dict[str, Quantiles]]:  # noqa: ARG002
        return {}

    def criteria(self, sensor: str) -> list[Criteria]:  # noqa: ARG002
        return []

    def anomalies(self, sensor: str, start: int) -> list[Anomaly]:  # noqa: ARG002
        return []

    def anomaly(self, sensor: str, id_: str) -> Anomaly | None:
        return next((anomaly for anomaly in self.anomalies(sensor, 0) if anomaly.id == id_), None)

    def anomaly_spans(self, sensor: str, start: int, stop: int) -> list[tuple[int, int]]:  # noqa: ARG002
        return []

    def sensor_states(self, sensor: str) -> list[SensorState]:  # noqa: ARG002
        return []


class FakeHistory(FakeEmptyHistory):
    """History as db_writer would have stored it from the messages so far."""

    def __init__(
        self,
        readings: list[Reading],
        messages: Iterable[Message],
        with_verdicts: bool = True,
        earlier: Series | None = None,
    ) -> None:
        """earlier: readings before the others; they have normal verdicts that are not among the messages."""
        self.stored_readings, self._said, self._judged = readings, list(messages), with_verdicts
        self._earlier = earlier
        self._predictions = {
            int(message.issued_at.timestamp()): message for message in self._said if isinstance(message, Prediction)
        }
        self._verdicts = {message.at for message in self._said if isinstance(message, Verdict)}

    def add_predictions(self, *predictions: Prediction) -> None:
        """Add stored predictions."""
        self._predictions |= {int(prediction.issued_at.timestamp()): prediction for prediction in predictions}

    def sensors(self) -> list[str]:
        return ["001"] if self._earlier is not None else sorted({reading.sensor for reading in self.stored_readings})

    def reading_range(self, sensor: str) -> tuple[int, int] | None:  # noqa: ARG002
        return int(self._series.at[0]), int(self._series.at[-1])

    @cached_property
    def _series(self) -> Series:
        rows = [(reading.at.timestamp(), reading.flow_rate, reading.pressure) for reading in self.stored_readings]
        table = np.array(rows, dtype=np.float64).reshape(-1, 3)
        if self._earlier is not None:
            columns = self._earlier.at.astype(np.float64), self._earlier.flow_rate, self._earlier.pressure
            table = np.concatenate([np.stack(columns, axis=1), table])
        return Series(table[:, 0].astype(np.int64), table[:, 1], table[:, 2])

    def readings(self, sensor: str, start: int, stop: int) -> Series:  # noqa: ARG002
        series = self._series
        chosen = (start <= series.at) & (series.at < stop)
        return Series(series.at[chosen], series.flow_rate[chosen], series.pressure[chosen])

    def readings_without_verdict(self, sensor: str, start: int, stop: int) -> Iterator[Reading]:  # noqa: ARG002
        missing = [
            reading for reading in (self.stored_readings if self._judged else ()) if reading.at not in self._verdicts
        ]
        return (reading for reading in missing if start <= reading.at.timestamp() < stop)

    def fault_free_readings(self, sensor: str, start: int, stop: int) -> Series:
        series = self.readings(sensor, start, stop)
        flow, pressure = series.flow_rate.copy(), series.pressure.copy()
        flow[np.isin(series.at, self._faults("flow_rate"))] = np.nan
        pressure[np.isin(series.at, self._faults("pressure"))] = np.nan
        return Series(series.at, flow, pressure)

    def _faults(self, channel: str) -> list[int]:
        faulty = [
            message for message in self._said if isinstance(message, Verdict) and getattr(message, channel).system.flag
        ]
        return [int(message.at.timestamp()) for message in faulty]

    def current_hour_forecasts(self, sensor: str, start: int, stop: int) -> dict[int, dict[str, Quantiles]]:  # noqa: ARG002
        issued = {
            at: current_hour_quantiles(prediction) for at, prediction in self._predictions.items() if start <= at < stop
        }
        return {
            at: {
                channel: channel_quantiles
                for channel, channel_quantiles in zip(CHANNELS, quantiles, strict=True)
                if channel_quantiles
            }
            for at, quantiles in issued.items()
        }

    def criteria(self, sensor: str) -> list[Criteria]:  # noqa: ARG002
        return [message for message in self._said if isinstance(message, Criteria)]

    def anomalies(self, sensor: str, start: int) -> list[Anomaly]:  # noqa: ARG002
        newest = {anomaly.id: anomaly for anomaly in self._said if isinstance(anomaly, Anomaly)}
        return [
            anomaly
            for anomaly in newest.values()
            if anomaly.cleared_at is None or anomaly.cleared_at.timestamp() >= start
        ]

    def anomaly_spans(self, sensor: str, start: int, stop: int) -> list[tuple[int, int]]:
        spans = [(anomaly.opened_at.timestamp(), anomaly.cleared_at) for anomaly in self.anomalies(sensor, start)]
        return [
            (int(opened_at), int(cleared_at.timestamp()) if cleared_at else stop)
            for opened_at, cleared_at in spans
            if opened_at < stop
        ]


def make_prediction(at: datetime, flow: float | None = None, pressure: float | None = None) -> Prediction:
    """Return a prediction of an hour with these p50, ten per cent wide; an empty one without values."""
    return Prediction(site="site1", sensor="001", issued_at=at, flow_rate=_forecast(flow), pressure=_forecast(pressure))


def _forecast(p50: float | None) -> Forecast:
    return NO_FORECAST if p50 is None else Forecast("test", (0.9 * p50,), (p50,), (1.1 * p50,))


class FakeForecaster:
    """Forecasts each hour as the mean of the same hour on the days before."""

    def __init__(self) -> None:
        self._hours: dict[int, list[tuple[float, float]]] = {}
        self._sums, self._hour = [0.0, 0.0, 0.0], -1

    def forecast_for(self, reading: Reading) -> Prediction:
        """Return the prediction of the reading's hour."""
        return self._forecast_at(reading.at.replace(minute=0))

    def _forecast_at(self, at: datetime) -> Prediction:
        previous = self._hours.get(at.hour, [])[-7:]
        flow, pressure = (sum(row[index] for row in previous) / len(previous) if previous else None for index in (0, 1))
        return make_prediction(at, flow, pressure or None)

    def follow(self, series: Series) -> Iterator[Prediction]:
        """Yield the predictions of all hours of stored readings; continue after them."""
        hours = series.at // 3600
        is_known = ~np.isnan(series.flow_rate) & ~np.isnan(series.pressure)
        columns = is_known, np.where(is_known, series.flow_rate, 0.0), np.where(is_known, series.pressure, 0.0)
        counts, flows, pressures = (np.bincount(hours - hours[0], column.astype(np.float64)) for column in columns)
        for index, (count, flow, pressure) in enumerate(zip(counts, flows, pressures, strict=True)):
            at = datetime.fromtimestamp(3600 * int(hours[0] + index), KST)
            self._finish_hour(at.hour)
            yield self._forecast_at(at)
            self._sums = [float(flow), float(pressure), float(count)]

    def _finish_hour(self, next_hour: int) -> None:
        flow, pressure, count = self._sums
        if count:
            self._hours.setdefault(self._hour, []).append((flow / count, pressure / count))
        self._hour, self._sums = next_hour, [0.0, 0.0, 0.0]

    def observe(self, reading: Reading) -> None:
        """Add a reading; the first of an hour finishes the hour before."""
        if reading.at.hour != self._hour:
            self._finish_hour(reading.at.hour)
        if reading.flow_rate is not None and reading.pressure is not None:
            values = (reading.flow_rate, reading.pressure, 1.0)
            self._sums = [total + value for total, value in zip(self._sums, values, strict=True)]


class LearnedDetector:
    """A detector that starts with stored history of some days, and the forecaster that has followed them.

    The start calibrates at the last stored midnight, as the first start of a site with imported history does. History
    that ends with the first minute of a day gives the criteria that a running detector learns at that midnight.
    """

    def __init__(self, series: Series, settings: Settings | None = None) -> None:
        self._series, self.forecaster = series, FakeForecaster()
        self._predictions = list(self.forecaster.follow(series))
        self._history = FakeHistory([], self._predictions, earlier=series)
        self.detector = make_detector(self._history, settings)
        self._criteria = [message for message in self.detector.start() if isinstance(message, Criteria)]

    def copy(self) -> tuple[Detector, FakeForecaster]:
        """Return an independent detector and forecaster with the learned state."""
        return deepcopy((self.detector, self.forecaster), {id(self._history): self._history})

    def replay(self, readings: Iterable[Reading], forecasts: bool = True, ticks: bool = False) -> list[Message]:
        """Return all messages for the readings after the learned ones."""
        detector, forecaster = self.copy()
        return replay(detector, readings, forecaster if forecasts else None, ticks)

    def history_with(self, readings: Sequence[Reading], messages: Iterable[Message]) -> FakeHistory:
        """Return stored history of the learned days, and of the readings after them with their messages."""
        return FakeHistory(list(readings), [*self._predictions, *self._criteria, *messages], earlier=self._series)


@lru_cache(maxsize=4)
def learned_site(shape: str, days: int, seed: int, minutes: int) -> LearnedDetector:
    """Return a detector that has learned the first minutes of an undisturbed site; days: those of the whole site."""
    return LearnedDetector(make_site(SHAPES[shape], days, seed).series(0, minutes))


def replay(
    detector: Detector, readings: Iterable[Reading], forecasts: FakeForecaster | None = None, ticks: bool = False
) -> list[Message]:
    """Return all messages for readings in order, each hour's prediction first; predictions included."""
    messages: list[Message] = []
    hour = None
    for reading in readings:
        if (now := int(reading.at.timestamp()) // 3600) != hour:
            hour = now
            prediction = forecasts.forecast_for(reading) if forecasts else make_prediction(reading.at.replace(minute=0))
            messages.append(prediction)
            messages += detector.handle(prediction)
        messages += detector.handle(reading)
        if forecasts:
            forecasts.observe(reading)
        if ticks:
            messages += detector.handle(Tick("site1", reading.at))
    return messages


def verdicts(messages: Iterable[Message]) -> list[Verdict]:
    """Return the verdicts among messages."""
    return [message for message in messages if isinstance(message, Verdict)]


def anomalies(messages: Iterable[Message]) -> list[Anomaly]:
    """Return the anomalies among messages."""
    return [message for message in messages if isinstance(message, Anomaly)]


def opened(messages: Iterable[Message]) -> list[Anomaly]:
    """Return the opened anomalies among messages."""
    return [anomaly for anomaly in anomalies(messages) if anomaly.state == "opened"]


def make_detector(archive: FakeEmptyHistory | None = None, settings: Settings | None = None) -> Detector:
    """Return a detector with default settings and empty history."""
    return Detector(settings or Settings(), archive or FakeEmptyHistory())


def time_of(message: Message) -> datetime:
    """Return the time from which a message is valid."""
    if isinstance(message, Prediction):
        return message.issued_at
    if isinstance(message, Criteria):
        return message.valid_from
    assert isinstance(message, Verdict | Anomaly | SensorState | ExpectedDay | NightResult | AlarmSummary)
    return message.at
