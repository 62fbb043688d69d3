"""What the detector needs of stored history, and how a watch is rebuilt from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np

from services.detector.memory import KEPT_DAYS, LEARNED_DAYS, MINUTES, Day, Mask, Singles, ten_minute_means
from services.detector.methods.prediction import Quantiles
from services.detector.usual import day_ahead
from services.detector.watch import Watch
from shared.contract.messages import CHANNELS, Anomaly, Criteria, Message, Reading
from shared.domain.series import DAY, HOUR, Ints, Series
from shared.domain.timing import local_seconds, offset_seconds

EPOCH = datetime(1970, 1, 1).toordinal()  # noqa: DTZ001
UNJUDGED_DAYS = 15
"""Stored readings without a verdict are judged this many days back."""


class Archive(Protocol):
    """Stored history of the site, read-only; times are epoch seconds, stop is exclusive."""

    def sensors(self) -> list[str]: ...
    def span(self, sensor: str) -> tuple[int, int] | None: ...
    def readings(self, sensor: str, start: int, stop: int) -> Series: ...
    def unjudged(self, sensor: str, start: int, stop: int) -> Iterator[Reading]: ...
    def issued(self, sensor: str) -> int | None: ...
    def first_hours(self, sensor: str, start: int, stop: int) -> dict[int, dict[str, Quantiles]]: ...
    def criteria(self, sensor: str) -> Criteria | None: ...
    def open_anomalies(self, sensor: str) -> list[Anomaly]: ...
    def anomaly_days(self, sensor: str, start: int, stop: int) -> list[tuple[int, int]]: ...


class Rebuild:
    """Rebuilds the watch over one sensor as if it had seen the stored readings one by one."""

    def __init__(self, archive: Archive, zone: ZoneInfo, watch: Watch) -> None:
        self._archive, self._zone, self._watch = archive, zone, watch
        self.left: list[Reading] = []
        """Stored readings of hours whose prediction is not stored yet: they wait for it like those that come live."""

    def messages(self, afresh: bool = False) -> Iterator[Message]:
        """Criteria and open anomalies that hold, then what is owed for readings without a verdict.

        afresh: learn anew from all that is stored, as after an import.
        """
        watch, sensor = self._watch, self._watch.sensor
        span = self._archive.span(sensor)
        if span is None:
            return
        stop = span[1] + 60
        unjudged = list(self._archive.unjudged(sensor, stop - UNJUDGED_DAYS * DAY, stop))
        stop = self._leave(unjudged, span[0], stop)
        owed = {one.at: one for one in unjudged if one.at.timestamp() < stop}
        first = min([stop - 60, *(int(at.timestamp()) for at in owed)])
        midnight = (first + offset_seconds(first, self._zone)) // DAY * DAY
        series = self._archive.readings(sensor, first - KEPT_DAYS * DAY, stop)
        local = local_seconds(series.at, self._zone)
        before = local < midnight
        self._remember(series, local, before, midnight)
        stored = self._archive.criteria(sensor)
        at = datetime.fromtimestamp(first, self._zone)
        if stored and not afresh and stored.valid_from <= at and watch.station.can_go_by(stored):
            watch.station.adopt(stored)
        elif len(watch.station.memory.days) >= 2:
            watch.station.learn(at)
        if watch.station.criteria:
            yield watch.station.criteria
        watch.station.open_day(at.toordinal())
        yield from self._anomalies(watch, series, ~before, owed)

    def _leave(self, unjudged: list[Reading], first: int, stop: int) -> int:
        """Where the stored predictions end, if readings beyond are not judged yet; else `stop`."""
        issued = self._archive.issued(self._watch.sensor)
        limit = stop if issued is None else issued + HOUR
        later = [one for one in unjudged if one.at.timestamp() >= limit]
        if not later or (end := int(later[0].at.timestamp())) <= first:
            return stop
        owed = {one.at: one for one in later}
        series = self._archive.readings(self._watch.sensor, end, stop)
        for at, flow_rate, pressure in zip(
            series.at.tolist(), series.flow_rate.tolist(), series.pressure.tolist(), strict=True
        ):
            local = datetime.fromtimestamp(at, self._zone)
            self.left.append(owed.get(local) or self._stored(local, flow_rate, pressure))
        return end

    def _stored(self, at: datetime, flow_rate: float, pressure: float) -> Reading:
        watch = self._watch
        return Reading(watch.site, watch.sensor, at, _value(flow_rate), _value(pressure), "stored", 0, "stored")

    def _anomalies(self, watch: Watch, series: Series, today: Mask, owed: dict[datetime, Reading]) -> Iterable[Message]:
        """Runs the last day again; says only what was not said before."""
        still_open = self._archive.open_anomalies(watch.sensor)
        for anomaly in still_open:
            watch.alarms.restore(anomaly)
        yield from still_open
        self._foresee(series.at[today])
        for at, flow_rate, pressure in zip(
            series.at[today].tolist(), series.flow_rate[today].tolist(), series.pressure[today].tolist(), strict=True
        ):
            local = datetime.fromtimestamp(at, self._zone)
            reading = owed.get(local) or self._stored(local, flow_rate, pressure)
            said = list(watch.take(reading))
            if local in owed:
                yield from said
        for anomaly in still_open:
            if anomaly.kind == "silence":
                watch.alarms.restore(anomaly)

    def _foresee(self, at: Ints) -> None:
        """Hands the watch the predictions of the hours of some readings."""
        if len(at):
            found = self._archive.first_hours(self._watch.sensor, int(at[0]) // HOUR * HOUR, int(at[-1]) + 1)
            for issued, quantiles in found.items():
                self._watch.station.predictions[issued // HOUR] = quantiles.get("flow_rate"), quantiles.get("pressure")

    def _remember(self, series: Series, local: Ints, before: Mask, midnight: int) -> None:
        """Folds whole days into memory; sets runs, gaps and order as the last of them left them."""
        watch = self._watch
        offsets = series.at - local
        spans = self._archive.anomaly_days(watch.sensor, int(series.at[0]), int(series.at[-1]) + 60)
        shift = int(offsets[-1])
        watch.station.memory.spans = [
            _span(opened - shift, cleared - shift, int(local[-1]) + 60) for opened, cleared in spans
        ]
        numbers, slots = local[before] // DAY, local[before] // 60 % MINUTES
        forecasts = self._forecasts(int(midnight), shift)
        for number in np.unique(numbers):
            values = np.full((2, MINUTES), np.nan, dtype=np.float32)
            of_day = numbers == number
            for row, channel in enumerate(CHANNELS):
                values[row, slots[of_day]] = series.channel(channel)[before][of_day]
            usual = day_ahead(watch.station.memory, int(number) + EPOCH)
            known = forecasts.get(int(number), np.full((2, 24, 3), np.nan, dtype=np.float32))
            watch.station.memory.add(Day(int(number) + EPOCH, values, usual, known, ten_minute_means(values)))
        for gauge in (watch.station.flow, watch.station.pressure):
            gauge.system.remember(series.channel(gauge.channel)[before])
        watch.order.remember((series.at[before] // 60).tolist())

    def _forecasts(self, midnight: int, shift: int) -> dict[int, Singles]:
        """Stored forecasts by local day since the epoch, each (2, 24, 3)."""
        found = dict[int, Singles]()
        stop = midnight + shift
        for issued, quantiles in self._archive.first_hours(self._watch.sensor, stop - LEARNED_DAYS * DAY, stop).items():
            hour = (issued - shift) // HOUR
            day = found.setdefault(hour // 24, np.full((2, 24, 3), np.nan, dtype=np.float32))
            for row, channel in enumerate(CHANNELS):
                if channel in quantiles:
                    day[row, hour % 24] = quantiles[channel]
        return found


def _span(opened: int, cleared: int, now: int) -> tuple[int, int | None]:
    """Local minutes since ordinal 0 of a stored anomaly, from local epoch seconds."""
    begun = opened // 60 + EPOCH * MINUTES
    return begun, None if cleared >= now else cleared // 60 + EPOCH * MINUTES


def _value(value: float) -> float | None:
    return None if value != value else value
