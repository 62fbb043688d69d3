"""What the detector needs of stored history, and how a watch is rebuilt from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np

from services.detector.memory import KEPT_DAYS, LEARNED_DAYS, MINUTES, Day, Singles, ten_minute_means
from services.detector.methods.prediction import Quantiles
from services.detector.usual import day_ahead
from services.detector.watch import Watch
from shared.contract.messages import CHANNELS, Anomaly, Criteria, Message, Reading, Verdict
from shared.domain.local_time import local_seconds, offset_seconds
from shared.domain.series import DAY, HOUR, Series

EPOCH = datetime(1970, 1, 1).toordinal()  # noqa: DTZ001
UNJUDGED_DAYS = 100
"""Stored readings without a verdict are judged this many days back."""
LONGEST = 60 * DAY
"""An anomaly that has been open for longer is taken up as it was last said; of others each minute is run again."""
RUNS = 8 * DAY
"""Longer than any run of one value that is judged."""


class Archive(Protocol):
    """Stored history of the site, read-only; times are epoch seconds, stop is exclusive."""

    def sensors(self) -> list[str]: ...
    def reading_range(self, sensor: str) -> tuple[int, int] | None: ...
    def readings(self, sensor: str, start: int, stop: int) -> Series: ...
    def fault_free_readings(self, sensor: str, start: int, stop: int) -> Series: ...
    def readings_without_verdict(self, sensor: str, start: int, stop: int) -> Iterator[Reading]: ...
    def current_hour_forecasts(self, sensor: str, start: int, stop: int) -> dict[int, dict[str, Quantiles]]: ...
    def criteria(self, sensor: str) -> list[Criteria]: ...
    def anomalies(self, sensor: str, start: int) -> list[Anomaly]: ...
    def anomaly_spans(self, sensor: str, start: int, stop: int) -> list[tuple[int, int]]: ...


class Rebuild:
    """Rebuilds the watch over one sensor as if it had seen the stored readings one by one.

    Whole days are folded into memory; from the day before the oldest alarm that may still be open, each minute is run
    again.
    """

    def __init__(self, archive: Archive, zone: ZoneInfo, watch: Watch) -> None:
        self._archive, self._zone, self._watch = archive, zone, watch
        self.left: list[Reading] = []
        """Stored readings of hours whose prediction is not stored yet: they wait for it like those that come live."""

    def messages(self, afresh: bool = False) -> Iterator[Message]:
        """Criteria and open anomalies that hold, then what is owed for readings without a verdict.

        afresh: learn anew from all that is stored, as after an import.
        """
        watch, sensor = self._watch, self._watch.sensor
        span = self._archive.reading_range(sensor)
        if span is None:
            return
        end = span[1] + 60
        unjudged = list(self._archive.readings_without_verdict(sensor, end - UNJUDGED_DAYS * DAY, end))
        stop = self._leave(unjudged, end)
        owed = {one.at: one for one in unjudged if one.at.timestamp() < stop}
        first = min([stop - 60, *(int(at.timestamp()) for at in owed)])
        stored = [] if afresh else self._archive.criteria(sensor)
        criteria = [one for one in stored if watch.station.can_go_by(one)]
        known = any(one.valid_from.timestamp() <= first for one in criteria)
        begin = self._begin(first, span[0]) if known else self._midnight(first)
        self._remember(begin)
        station = watch.station
        self._adopt(criteria if known else [], begin, first)
        if station.criteria:
            yield station.criteria
        station.open_day(datetime.fromtimestamp(begin, self._zone).toordinal())
        foresee(self._archive, watch, begin, span[1] + 60)
        yield from self._run_again(self._archive.readings(sensor, begin, stop), begin, first, owed)

    def _leave(self, unjudged: list[Reading], stop: int) -> int:
        """Where the first prediction is missing that a reading without a verdict needs; else `stop`."""
        sensor, hours = self._watch.sensor, {_hour(one): one for one in reversed(unjudged)}
        if not hours:
            return stop
        missing = hours.keys() - self._archive.current_hour_forecasts(sensor, min(hours), max(hours) + 1).keys()
        if not missing:
            return stop
        end = int(hours[min(missing)].at.timestamp())
        owed = {one.at: one for one in unjudged}
        later = self._minutes(self._archive.readings(sensor, end, stop))
        self.left = [owed.get(one.at) or one for one in later]
        return end

    def _begin(self, first: int, oldest: int) -> int:
        """The local midnight before the day before `first` and before any anomaly that reaches into what follows."""
        earliest = max(self._midnight(first) - LONGEST, self._midnight(oldest))
        begin = self._midnight(self._midnight(first) - 1)
        spans = self._archive.anomaly_spans(self._watch.sensor, earliest, first + 1)
        for opened, cleared in sorted(spans, reverse=True):
            if opened < begin + DAY and cleared >= begin:
                begin = self._midnight(self._midnight(opened) - 1)
        return max(begin, earliest)

    def _midnight(self, at: int) -> int:
        local = datetime.fromtimestamp(at, self._zone)
        return int(local.replace(hour=0, minute=0, second=0, microsecond=0).timestamp())

    def _adopt(self, criteria: list[Criteria], begin: int, first: int) -> None:
        """Goes by the criteria that held at `begin`, and takes up the later ones on their days; learns without any."""
        station = self._watch.station
        for one in criteria:
            if one.valid_from.timestamp() <= begin:
                station.adopt(one)
            else:
                station.decided[one.valid_from.toordinal()] = one
        if not criteria and len(station.memory.days) >= 2:
            station.learn(datetime.fromtimestamp(first, self._zone))

    def _run_again(self, series: Series, begin: int, first: int, owed: dict[datetime, Reading]) -> Iterator[Message]:
        """Runs the minutes again; says only what is owed."""
        watch, stored = self._watch, {one.id: one for one in self._archive.anomalies(self._watch.sensor, begin)}
        for anomaly in stored.values():
            if anomaly.kind == "works":
                self._quiet_in(anomaly, begin)
            elif anomaly.opened_at.timestamp() < begin and anomaly.state != "cleared":
                watch.alarms.restore(anomaly)
            elif anomaly.kind == "silence":
                watch.note(replace(anomaly, state="opened"))
                watch.note(anomaly)
        said: dict[str, Anomaly] = {}
        since = min(first, int(series.at[-1]) if len(series) else first) - HOUR
        for reading, second in zip(self._minutes(series), series.at.tolist(), strict=True):
            for message in watch.take(owed.get(reading.at) or reading, second // 60):
                if isinstance(message, Anomaly):
                    said[message.id] = message
                    if message.at.timestamp() >= since:
                        yield from _lacking(message, stored.get(message.id))
                elif not isinstance(message, Verdict) or reading.at in owed:
                    yield message
        yield from self._still_open(stored, said)

    def _quiet_in(self, works: Anomaly, begin: int) -> None:
        self._watch.works.remember(works)
        if works.opened_at.timestamp() >= begin:
            self._watch.note(replace(works, state="opened"))
        if works.state == "cleared":
            self._watch.note(works)

    def _still_open(self, stored: dict[str, Anomaly], said: dict[str, Anomaly]) -> Iterator[Anomaly]:
        """Open anomalies, and the ends of those that history takes for open."""
        alarms = self._watch.alarms
        for anomaly in stored.values():
            if anomaly.state != "cleared" and anomaly.id not in said:
                if anomaly.kind == "works":
                    yield anomaly
                else:
                    alarms.restore(anomaly)
        for alarm in alarms.open.values():
            known = stored.get(alarm.said.id)
            alarm.said = replace(alarm.said, acknowledged=bool(known and known.acknowledged))
            yield alarm.said
        for anomaly in said.values():
            if anomaly.state == "cleared" and (known := stored.get(anomaly.id)) and known.state != "cleared":
                yield from _lacking(anomaly, known)

    def _minutes(self, series: Series) -> Iterator[Reading]:
        watch = self._watch
        columns = (series.at.tolist(), series.flow_rate.tolist(), series.pressure.tolist())
        for at, flow_rate, pressure in zip(*columns, strict=True):
            local = datetime.fromtimestamp(at, self._zone)
            yield Reading(watch.site, watch.sensor, local, _value(flow_rate), _value(pressure), "stored", 0, "stored")

    def _remember(self, begin: int) -> None:
        """Folds the days before `begin` into memory; sets runs, gaps and order as the last of them left them."""
        watch, sensor, shift = self._watch, self._watch.sensor, offset_seconds(begin, self._zone)
        start = begin - KEPT_DAYS * DAY
        watch.station.memory.spans = [
            _span(opened + shift, cleared + shift, begin + shift)
            for opened, cleared in self._archive.anomaly_spans(sensor, start, begin)
        ]
        series = self._archive.fault_free_readings(sensor, start, begin)
        local = local_seconds(series.at, self._zone)
        numbers, slots = local // DAY, local // 60 % MINUTES
        forecasts = self._forecasts(begin, shift)
        for number in np.unique(numbers):
            values = np.full((2, MINUTES), np.nan, dtype=np.float32)
            of_day = numbers == number
            for row, channel in enumerate(CHANNELS):
                values[row, slots[of_day]] = series.channel(channel)[of_day]
            usual = day_ahead(watch.station.memory, int(number) + EPOCH)
            known = forecasts.get(int(number), np.full((2, 24, 3), np.nan, dtype=np.float32))
            watch.station.memory.add(Day(int(number) + EPOCH, values, usual, known, ten_minute_means(values)))
        newest = self._archive.readings(sensor, begin - RUNS, begin)
        for gauge in (watch.station.flow, watch.station.pressure):
            gauge.system.remember(series.channel(gauge.channel))
            gauge.system.remember(newest.channel(gauge.channel))
        watch.order.remember((newest.at // 60).tolist())

    def _forecasts(self, stop: int, shift: int) -> dict[int, Singles]:
        """Stored forecasts by local day since the epoch, each (2, 24, 3)."""
        found = dict[int, Singles]()
        for issued, quantiles in self._archive.current_hour_forecasts(
            self._watch.sensor, stop - LEARNED_DAYS * DAY, stop
        ).items():
            hour = (issued + shift) // HOUR
            day = found.setdefault(hour // 24, np.full((2, 24, 3), np.nan, dtype=np.float32))
            for row, channel in enumerate(CHANNELS):
                if channel in quantiles:
                    day[row, hour % 24] = quantiles[channel]
        return found


def _lacking(anomaly: Anomaly, known: Anomaly | None) -> Iterator[Anomaly]:
    """An anomaly when history lacks it, or knows only what was before.

    Said among the verdicts, not behind them: what gets lost on the way then takes later verdicts with it, and is owed.
    """
    if known is None or known.at < anomaly.at:
        yield replace(anomaly, acknowledged=bool(known and known.acknowledged))


def foresee(archive: Archive, watch: Watch, start: int, stop: int) -> None:
    """Hands a watch the stored predictions of the hours of [start, stop) epoch seconds that it has not heard of."""
    for issued, quantiles in archive.current_hour_forecasts(watch.sensor, start // HOUR * HOUR, stop).items():
        found = quantiles.get("flow_rate"), quantiles.get("pressure")
        watch.station.predictions.setdefault(issued // HOUR, found)


def _hour(reading: Reading) -> int:
    return int(reading.at.timestamp()) // HOUR * HOUR


def _span(opened: int, cleared: int, now: int) -> tuple[int, int | None]:
    """Local minutes since ordinal 0 of a stored anomaly, from local epoch seconds."""
    begun = opened // 60 + EPOCH * MINUTES
    return begun, None if cleared >= now else cleared // 60 + EPOCH * MINUTES


def _value(value: float) -> float | None:
    return None if value != value else value
