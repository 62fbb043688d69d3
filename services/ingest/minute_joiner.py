"""Makes one reading of the samples of a minute that arrive apart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from services.ingest.known_minutes import KnownMinutes
from services.ingest.minutes import Samples, Values, is_in_conflict, joined, minute_of
from services.ingest.sources.parser import Measurement
from shared.domain.lateness import ALLOWED_LATENESS_SECONDS
from shared.domain.series import MINUTE

MAX_WAIT = timedelta(minutes=2)
"""Time of ticks that the first half of a minute waits for the second."""
ALLOWED_LATENESS = timedelta(seconds=ALLOWED_LATENESS_SECONDS)
CLOCK_TOLERANCE = timedelta(hours=1)
"""A meter whose newest reading is farther ahead of the ticks has a wrong clock."""
MAX_SINGLE_MINUTES = 10
"""After so many minutes in a row with one sample, a sensor is not waited for."""
MAX_HELD_MINUTES = 2000
"""Minutes of a sensor that wait at most."""


class Joined(NamedTuple):
    """A minute to publish."""

    measurement: Measurement
    completes: bool = False
    """Whether these values complete a minute that was published without them."""
    is_second: bool = False
    """Whether the minute was published with other values."""
    belated: bool = False
    """Whether the minute is late although the meter's clock is right."""


class _Sensor:
    """What is known of how a sensor sends, and its minutes that wait."""

    def __init__(self) -> None:
        self.is_split = False
        """Whether its channels arrive apart."""
        self.is_sampled = False
        """Whether it gives several samples a minute."""
        self.single_minutes = 0
        """Minutes in a row of such a sensor that had one sample only."""
        self.last_sample: datetime | None = None
        """Time of the newest sample that was published at once."""
        self.held: dict[datetime, Samples] = {}
        self.held_since: dict[datetime, datetime] = {}
        """Minute that waits to the minute of ticks in which that began: the meter's clock may be wrong."""
        self.newest: dict[int, datetime] = {}
        """Channel (0 or 1) to its newest minute."""
        self.newest_published: datetime | None = None


class MinuteJoiner:
    """Publishes a minute at once, unless its sensor is known to send its channels or samples apart.

    Such a minute waits for both channels, for a later one of the channel that is missing, or for ticks. A half that
    comes later still completes the minute. A minute counts as published when the next one is asked for, so a sample or
    tick may be repeated if publishing fails.
    """

    def __init__(self, known: KnownMinutes) -> None:
        self._known = known
        self._sensors: dict[str, _Sensor] = {}
        self._now: datetime | None = None
        """Minute of the newest tick."""

    @property
    def is_holding(self) -> bool:
        """Whether a minute waits; it is nowhere else."""
        return any(sensor.held for sensor in self._sensors.values())

    def add(self, sample: Measurement) -> Iterator[Joined]:
        """Yield the minutes that a sample makes ready."""
        minute = minute_of(sample.at)
        sensor = self._sensors.get(sample.sensor)
        if sensor is None:
            sensor = self._sensors[sample.sensor] = _Sensor()
            if (newest := self._known.newest_near(sample.sensor, _number(minute))) is not None:
                sensor.newest_published = minute + timedelta(minutes=newest - _number(minute))
        if minute in sensor.held:
            sensor.held[minute].add(sample)
            sensor.is_sampled = sensor.is_sampled or sensor.held[minute].is_several
        elif (before := self._known.get(sample.sensor, _number(minute))) is not None:
            yield from self._complete(sensor, minute, before, sample)
            return
        elif sensor.is_split or sensor.is_sampled:
            sensor.held[minute] = Samples(sample)
            if self._now is not None:
                sensor.held_since[minute] = self._now + timedelta(minutes=1)
        else:
            sensor.last_sample = sample.at
            yield from self._publish(sample.sensor, sensor, minute, (sample.flow_rate, sample.pressure))
            return
        for channel, value in enumerate((sample.flow_rate, sample.pressure)):
            if value is not None and (channel not in sensor.newest or minute > sensor.newest[channel]):
                sensor.newest[channel] = minute
        yield from self._release(sample.sensor, sensor)

    def on_tick(self, at: datetime) -> Iterator[Joined]:
        """Yield the minutes that do not wait longer when the minute `at` has closed."""
        self._now = at
        for name, sensor in self._sensors.items():
            for minute in sorted(sensor.held):
                waited = at - sensor.held_since.setdefault(minute, at)
                if waited < MAX_WAIT and not (sensor.is_sampled and minute <= at):
                    break
                yield from self._take(name, sensor, minute)

    def _complete(self, sensor: _Sensor, minute: datetime, before: Values, sample: Measurement) -> Iterator[Joined]:
        """Yield the values that a published minute lacks, or a second, different value for it."""
        values = (sample.flow_rate, sample.pressure)
        last = sensor.last_sample
        if is_in_conflict(before, values):
            if last is not None and last != sample.at and minute_of(last) == minute:
                sensor.is_sampled = True
            if not sensor.is_sampled:
                yield Joined(sample._replace(at=minute), is_second=True)
        elif (after := joined(before, values)) != before:
            sensor.is_split = True
            late = (new if old is None else None for old, new in zip(before, after, strict=True))
            yield Joined(Measurement(sample.sensor, minute, *late), completes=True)
            self._known.put(sample.sensor, _number(minute), after)

    def _release(self, name: str, sensor: _Sensor) -> Iterator[Joined]:
        """Yield the minutes of a sensor, oldest first, up to the first one that has to wait."""
        newest = max(sensor.newest.values(), default=None)
        for minute in sorted(sensor.held):
            values = sensor.held[minute].values()
            is_ready = len(sensor.held) > MAX_HELD_MINUTES
            if sensor.is_sampled:
                is_ready = is_ready or (newest is not None and newest > minute)
            elif not is_ready:
                is_ready = all(
                    value is not None or (channel in sensor.newest and sensor.newest[channel] > minute)
                    for channel, value in enumerate(values)
                )
            if not is_ready:
                return
            yield from self._take(name, sensor, minute)

    def _take(self, name: str, sensor: _Sensor, minute: datetime) -> Iterator[Joined]:
        """Yield a minute that has waited; a sensor that no longer sends apart is not waited for again."""
        samples = sensor.held[minute]
        values = samples.values()
        yield from self._publish(name, sensor, minute, values)
        del sensor.held[minute]
        sensor.held_since.pop(minute, None)
        sensor.is_split = sensor.is_split and None not in values
        sensor.single_minutes = 0 if samples.is_several else sensor.single_minutes + 1
        sensor.is_sampled = sensor.is_sampled and sensor.single_minutes < MAX_SINGLE_MINUTES

    def _publish(self, name: str, sensor: _Sensor, minute: datetime, values: Values) -> Iterator[Joined]:
        yield Joined(Measurement(name, minute, *values), belated=self._is_belated(sensor.newest_published, minute))
        self._known.put(name, _number(minute), values)
        if sensor.newest_published is None or minute > sensor.newest_published:
            sensor.newest_published = minute

    def _is_belated(self, newest: datetime | None, minute: datetime) -> bool:
        """Whether a new minute is older than the newest one, which shows that the meter's clock is right."""
        if newest is None or not minute < newest <= minute + ALLOWED_LATENESS:
            return False
        return self._now is None or newest - self._now <= CLOCK_TOLERANCE


def _number(minute: datetime) -> int:
    return int(minute.timestamp()) // MINUTE
