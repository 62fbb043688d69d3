"""Minutes of readings: which minute a sample belongs to, and the samples of a minute joined."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from services.ingest.sources.line_reader import BadLine
from services.ingest.sources.parser import Measurement
from shared.contract.messages import SUPPORTED_YEARS

EARLY = timedelta(seconds=5)
"""A logger that is called each minute stamps its sample up to so much before the full minute."""
Values = tuple[float | None, float | None]
"""Flow rate and pressure."""


def minute_of(at: datetime) -> datetime:
    """Return the minute to which a sample belongs: that of its time, or the next one just before that begins.

    >>> minute_of(datetime.fromisoformat("2025-03-03T00:00:59+09:00")).minute
    1
    """
    if not at.second and not at.microsecond:
        return at
    late = (at + EARLY).replace(second=0, microsecond=0)
    return late if late.year in SUPPORTED_YEARS else at.replace(second=0, microsecond=0)


class Samples:
    """The samples of one sensor and minute."""

    __slots__ = ("_samples",)

    def __init__(self, first: Measurement) -> None:
        self._samples: dict[datetime, Values] = {first.at: (first.flow_rate, first.pressure)}

    def add(self, sample: Measurement) -> bool:
        """Add a sample; one of the same time joins the other channel. Return False if its value differs."""
        before = self._samples.get(sample.at)
        values = (sample.flow_rate, sample.pressure)
        if before is not None and is_in_conflict(before, values):
            return False
        self._samples[sample.at] = values if before is None else joined(before, values)
        return True

    @property
    def is_several(self) -> bool:
        """Whether a channel has several samples."""
        channels = zip(*self._samples.values(), strict=True)
        return len(self._samples) > 1 and any(len(values) - values.count(None) > 1 for values in channels)

    def values(self) -> Values:
        """Return the mean of the samples of each channel."""
        flow_rates, pressures = zip(*self._samples.values(), strict=True)
        return _mean(flow_rates), _mean(pressures)


def is_in_conflict(before: Values, after: Values) -> bool:
    """Whether a channel has two different values."""
    return any(old is not None and new is not None and old != new for old, new in zip(before, after, strict=True))


def joined(before: Values, after: Values) -> Values:
    """Return the values with each channel that the first lacks from the second."""
    return (
        after[0] if before[0] is None else before[0],
        after[1] if before[1] is None else before[1],
    )


def join_minutes(items: Iterable[Measurement | BadLine]) -> Iterator[Measurement | BadLine]:
    """Yield one measurement for each minute of a sensor, of items in order of time.

    A second, different value for the same time is yielded after the first.
    """
    opened: dict[str, tuple[datetime, Samples]] = {}
    newest: datetime | None = None
    for item in items:
        if isinstance(item, BadLine):
            yield item
            continue
        minute = minute_of(item.at)
        if newest is None or minute > newest:
            yield from _close(opened)
            newest = minute
        if item.sensor in opened and opened[item.sensor][0] != minute:
            yield _measurement(item.sensor, *opened.pop(item.sensor))
        if item.sensor not in opened:
            opened[item.sensor] = minute, Samples(item)
        elif not opened[item.sensor][1].add(item):
            yield _measurement(item.sensor, *opened.pop(item.sensor))
            yield item._replace(at=minute)
    yield from _close(opened)


def _close(opened: dict[str, tuple[datetime, Samples]]) -> Iterator[Measurement]:
    for sensor, (minute, samples) in opened.items():
        yield _measurement(sensor, minute, samples)
    opened.clear()


def _measurement(sensor: str, minute: datetime, samples: Samples) -> Measurement:
    return Measurement(sensor, minute, *samples.values())


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return known[0] if known else None
    return math.fsum(known) / len(known)
