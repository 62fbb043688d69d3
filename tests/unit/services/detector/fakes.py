"""Fakes for the detector's surroundings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import numpy as np

from services.detector.methods.forecast_deviation import Quantiles, current_hour_quantiles
from services.detector.service import Detector
from shared.contract.messages import CHANNELS, Anomaly, Criteria, Forecast, Message, Prediction, Reading, Tick, Verdict
from shared.domain.series import Series
from shared.settings import Settings

MINUTE = timedelta(minutes=1)
NO_FORECAST = Forecast("none")


class FakeEmptyHistory:
    """Empty stored history."""

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

    def anomaly_spans(self, sensor: str, start: int, stop: int) -> list[tuple[int, int]]:  # noqa: ARG002
        return []


class FakeHistory(FakeEmptyHistory):
    """History as db_writer would have stored it from the messages so far."""

    def __init__(self, readings: list[Reading], messages: Iterable[Message], with_verdicts: bool = True) -> None:
        self.stored_readings, self._said, self._judged = readings, list(messages), with_verdicts
        self._predictions = {
            int(message.issued_at.timestamp()): message for message in self._said if isinstance(message, Prediction)
        }
        self._verdicts = {message.at for message in self._said if isinstance(message, Verdict)}

    def add_predictions(self, *predictions: Prediction) -> None:
        """Add stored predictions."""
        self._predictions |= {int(prediction.issued_at.timestamp()): prediction for prediction in predictions}

    def sensors(self) -> list[str]:
        return sorted({reading.sensor for reading in self.stored_readings})

    def reading_range(self, sensor: str) -> tuple[int, int] | None:  # noqa: ARG002
        return int(self.stored_readings[0].at.timestamp()), int(self.stored_readings[-1].at.timestamp())

    def readings(self, sensor: str, start: int, stop: int) -> Series:  # noqa: ARG002
        rows = [(int(reading.at.timestamp()), reading.flow_rate, reading.pressure) for reading in self.stored_readings]
        table = np.array([row for row in rows if start <= row[0] < stop], dtype=np.float64).reshape(-1, 3)
        return Series(table[:, 0].astype(np.int64), table[:, 1], table[:, 2])

    def readings_without_verdict(self, sensor: str, start: int, stop: int) -> Iterator[Reading]:  # noqa: ARG002
        missing = (
            [reading for reading in self.stored_readings if reading.at not in self._verdicts] if self._judged else []
        )
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
        previous = self._hours.get(reading.at.hour, [])[-7:]
        flow, pressure = (sum(row[index] for row in previous) / len(previous) if previous else None for index in (0, 1))
        return make_prediction(reading.at.replace(minute=0), flow, pressure or None)

    def observe(self, reading: Reading) -> None:
        """Add a reading; the first of an hour finishes the hour before."""
        if reading.at.hour != self._hour:
            flow, pressure, count = self._sums
            if count:
                self._hours.setdefault(self._hour, []).append((flow / count, pressure / count))
            self._hour, self._sums = reading.at.hour, [0.0, 0.0, 0.0]
        if reading.flow_rate is not None and reading.pressure is not None:
            values = (reading.flow_rate, reading.pressure, 1.0)
            self._sums = [total + value for total, value in zip(self._sums, values, strict=True)]


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
    assert isinstance(message, Verdict | Anomaly)
    return message.at
