"""Hand-written stand-ins for what surrounds the detector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import numpy as np

from services.detector.methods.prediction import Quantiles, first_hours
from services.detector.service import Detector
from shared.contract.messages import CHANNELS, Anomaly, Criteria, Forecast, Message, Prediction, Reading, Tick, Verdict
from shared.domain.series import Series
from shared.settings import Settings

MINUTE = timedelta(minutes=1)
NO_FORECAST = Forecast("none")


class EmptyArchive:
    """History of a site that has none."""

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


class KeptArchive(EmptyArchive):
    """History as db_writer would have stored it from what was said so far."""

    def __init__(self, readings: list[Reading], said: Iterable[Message], judged: bool = True) -> None:
        self.kept, self._said, self._judged = readings, list(said), judged
        self._predictions = {int(one.issued_at.timestamp()): one for one in self._said if isinstance(one, Prediction)}
        self._verdicts = {one.at for one in self._said if isinstance(one, Verdict)}

    def foretell(self, *predictions: Prediction) -> None:
        """Stores predictions too."""
        self._predictions |= {int(one.issued_at.timestamp()): one for one in predictions}

    def sensors(self) -> list[str]:
        return sorted({one.sensor for one in self.kept})

    def reading_range(self, sensor: str) -> tuple[int, int] | None:  # noqa: ARG002
        return int(self.kept[0].at.timestamp()), int(self.kept[-1].at.timestamp())

    def readings(self, sensor: str, start: int, stop: int) -> Series:  # noqa: ARG002
        rows = [(int(one.at.timestamp()), one.flow_rate, one.pressure) for one in self.kept]
        table = np.array([row for row in rows if start <= row[0] < stop], dtype=np.float64).reshape(-1, 3)
        return Series(table[:, 0].astype(np.int64), table[:, 1], table[:, 2])

    def readings_without_verdict(self, sensor: str, start: int, stop: int) -> Iterator[Reading]:  # noqa: ARG002
        owed = [one for one in self.kept if one.at not in self._verdicts] if self._judged else []
        return (one for one in owed if start <= one.at.timestamp() < stop)

    def fault_free_readings(self, sensor: str, start: int, stop: int) -> Series:
        found = self.readings(sensor, start, stop)
        flow, pressure = found.flow_rate.copy(), found.pressure.copy()
        flow[np.isin(found.at, self._faults("flow_rate"))] = np.nan
        pressure[np.isin(found.at, self._faults("pressure"))] = np.nan
        return Series(found.at, flow, pressure)

    def _faults(self, channel: str) -> list[int]:
        found = [one for one in self._said if isinstance(one, Verdict) and getattr(one, channel).system.flag]
        return [int(one.at.timestamp()) for one in found]

    def current_hour_forecasts(self, sensor: str, start: int, stop: int) -> dict[int, dict[str, Quantiles]]:  # noqa: ARG002
        issued = {at: first_hours(one) for at, one in self._predictions.items() if start <= at < stop}
        return {
            at: {channel: known for channel, known in zip(CHANNELS, both, strict=True) if known}
            for at, both in issued.items()
        }

    def criteria(self, sensor: str) -> list[Criteria]:  # noqa: ARG002
        return [one for one in self._said if isinstance(one, Criteria)]

    def anomalies(self, sensor: str, start: int) -> list[Anomaly]:  # noqa: ARG002
        newest = {one.id: one for one in self._said if isinstance(one, Anomaly)}
        return [one for one in newest.values() if one.cleared_at is None or one.cleared_at.timestamp() >= start]

    def anomaly_spans(self, sensor: str, start: int, stop: int) -> list[tuple[int, int]]:
        found = [(one.opened_at.timestamp(), one.cleared_at) for one in self.anomalies(sensor, start)]
        return [(int(since), int(until.timestamp()) if until else stop) for since, until in found if since < stop]


def foretold(at: datetime, flow: float | None = None, pressure: float | None = None) -> Prediction:
    """A prediction of an hour whose p50 are these, ten per cent wide; without them an empty one."""
    return Prediction("site1", "001", at, _forecast(flow), _forecast(pressure))


def _forecast(middle: float | None) -> Forecast:
    return NO_FORECAST if middle is None else Forecast("test", (0.9 * middle,), (middle,), (1.1 * middle,))


class Forecasts:
    """Foretells each hour as the mean of the same hour of the day on the days before; a plain, honest forecaster."""

    def __init__(self) -> None:
        self._hours: dict[int, list[tuple[float, float]]] = {}
        self._sums, self._hour = [0.0, 0.0, 0.0], -1

    def before(self, reading: Reading) -> Prediction:
        """The prediction of the reading's hour."""
        past = self._hours.get(reading.at.hour, [])[-7:]
        flow, pressure = (sum(row[place] for row in past) / len(past) if past else None for place in (0, 1))
        return foretold(reading.at.replace(minute=0), flow, pressure or None)

    def learn(self, reading: Reading) -> None:
        """Takes a reading; closes the hour before with the first of an hour."""
        if reading.at.hour != self._hour:
            flow, pressure, count = self._sums
            if count:
                self._hours.setdefault(self._hour, []).append((flow / count, pressure / count))
            self._hour, self._sums = reading.at.hour, [0.0, 0.0, 0.0]
        if reading.flow_rate is not None and reading.pressure is not None:
            values = (reading.flow_rate, reading.pressure, 1.0)
            self._sums = [total + value for total, value in zip(self._sums, values, strict=True)]


def replay(
    detector: Detector, readings: Iterable[Reading], forecasts: Forecasts | None = None, ticks: bool = False
) -> list[Message]:
    """All that is said of readings in order, each hour's prediction before it; the predictions too."""
    said: list[Message] = []
    hour = None
    for reading in readings:
        if (now := int(reading.at.timestamp()) // 3600) != hour:
            hour = now
            prediction = forecasts.before(reading) if forecasts else foretold(reading.at.replace(minute=0))
            said.append(prediction)
            said += detector.handle(prediction)
        said += detector.handle(reading)
        if forecasts:
            forecasts.learn(reading)
        if ticks:
            said += detector.handle(Tick("site1", reading.at))
    return said


def verdicts(said: Iterable[Message]) -> list[Verdict]:
    """The verdicts among messages."""
    return [one for one in said if isinstance(one, Verdict)]


def anomalies(said: Iterable[Message]) -> list[Anomaly]:
    """The anomalies among messages."""
    return [one for one in said if isinstance(one, Anomaly)]


def opened(said: Iterable[Message]) -> list[Anomaly]:
    """The anomalies at their opening."""
    return [one for one in anomalies(said) if one.state == "opened"]


def detector(archive: EmptyArchive | None = None, settings: Settings | None = None) -> Detector:
    """A detector with default settings and no past."""
    return Detector(settings or Settings(), archive or EmptyArchive())


def time_of(message: Message) -> datetime:
    """When a message of the detector or a prediction holds from."""
    if isinstance(message, Prediction):
        return message.issued_at
    if isinstance(message, Criteria):
        return message.valid_from
    assert isinstance(message, Verdict | Anomaly)
    return message.at
