"""Stored readings become hours to learn from: gathered, cleaned, split by time, looked at as the forecaster will."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np
from sklearn.preprocessing import RobustScaler

from shared.domain import profile
from shared.domain.features import MEMORY, PAST, Inputs, Scaler, Single, inputs
from shared.domain.profile import AHEAD, WEEK_HOURS, Outlook
from shared.domain.series import DAY, HOUR, Floats, Ints, Series, hourly_means
from shared.domain.timing import local_seconds

LONGEST_DAYS = 400
HELD_WEEKS, LONG_WEEKS = 4, 20
"""Weeks held back of at least LONG_WEEKS; of less, a sixth and at least one week."""
MOST_SAMPLES = 4400
WATCHED_EVERY, HELD_EVERY = 3, 1
"""Hours between the looks that are watched and held back."""


class Past(Protocol):
    """What is read of stored history."""

    def sensors(self) -> list[str]: ...
    def readings(self, sensor: str, start: int, stop: int) -> Series: ...
    def span(self, sensor: str) -> tuple[int, int] | None: ...
    def anomaly_days(self, sensor: str, start: int, stop: int) -> list[tuple[int, int]]: ...


@dataclass(frozen=True)
class Samples:
    """Looks and what came, one row an issue time."""

    past: Single
    """(n, PAST / STEP, 2 * STEP)"""
    ahead: Single
    """(n, 169, 17)"""
    truth: Single
    """(n, 169) what came minus the base, in scales of the residual; NaN where unknown or not to be learned."""

    def __len__(self) -> int:
        return len(self.past)


@dataclass(frozen=True)
class Hours:
    """Hourly means of one channel without a gap in time, NaN where unknown or abnormal."""

    sensor: str
    channel: str
    first: int
    """Epoch seconds of the first."""
    values: Floats
    local: Ints
    """Local hours, AHEAD more of them than values."""

    @property
    def days(self) -> int:
        """Days of which at least half of the hours are known."""
        days = (self.local[: len(self.values)] - self.local[0]) // 24
        known = np.bincount(days, weights=~np.isnan(self.values)) if len(days) else np.zeros(0)
        return int(np.count_nonzero(known >= 12))

    def look(self, hour: int, scaler: Scaler) -> Inputs | None:
        """What the network would have seen at the start of an hour (its index)."""
        past = slice(max(0, hour - MEMORY), hour)
        return inputs(self.values[past], self.local[past], self.local[hour : hour + AHEAD], scaler)

    def usual(self, hour: int) -> Outlook | None:
        """What the profile would have forecast at the start of an hour."""
        past = slice(max(0, hour - MEMORY), hour)
        found = profile.learn(self.values[past], self.local[past])
        return profile.forecast(found, self.local[hour : hour + AHEAD]) if found else None

    def truth(self, hour: int, stop: int) -> Floats:
        """The 169 hours from an hour on, NaN from `stop` on."""
        seen: Floats = np.full(AHEAD, np.nan)
        there = self.values[hour : min(hour + AHEAD, stop)]
        seen[: len(there)] = there
        return seen


@dataclass(frozen=True)
class Split:
    """Indices of hours: learned from before `watched`, stopped early by those before `held`, judged on the rest."""

    watched: int
    held: int
    end: int


def gather(past: Past, sensor: str, channels: tuple[str, ...], stop: int, zone: ZoneInfo) -> Iterator[Hours]:
    """Hours of each channel that was ever measured, up to `stop` (epoch seconds)."""
    span = past.span(sensor)
    stop = stop // HOUR * HOUR
    if span is None:
        return
    start = max(-(-span[0] // HOUR) * HOUR, stop - LONGEST_DAYS * DAY)
    readings = past.readings(sensor, start, stop)
    spans = past.anomaly_days(sensor, start, stop)
    starts = np.arange(start, stop + AHEAD * HOUR, HOUR)
    local = local_seconds(starts, zone) // HOUR
    for channel in channels:
        values = hourly_means(readings.at, readings.channel(channel), start, stop).values
        if not np.isnan(values).all():
            yield Hours(sensor, channel, start, _without(values, spans, start), local)


def _without(values: Floats, spans: list[tuple[int, int]], start: int) -> Floats:
    """Hours inside anomalies become unknown, unless that would be most of what is known."""
    clean = values.copy()
    for opened, cleared in spans:
        clean[max(0, (opened - start) // HOUR) : max(0, -(-(cleared - start) // HOUR))] = np.nan
    return clean if 2 * np.count_nonzero(~np.isnan(clean)) >= np.count_nonzero(~np.isnan(values)) else values


def split(hours: Hours) -> Split:
    """The newest weeks are held back, those before them watched for the early stop."""
    end = len(hours.values)
    held = HELD_WEEKS * WEEK_HOURS if end >= LONG_WEEKS * WEEK_HOURS else max(WEEK_HOURS, end // 6)
    rest = end - held
    watched = int(np.clip((rest - PAST) // 4, 48, HELD_WEEKS * WEEK_HOURS))
    return Split(rest - watched, rest, end)


def fit_scaler(hours: Hours, stop: int) -> tuple[RobustScaler, Scaler]:
    """Scaling of one channel from the hours before `stop`: column 0 the value, column 1 its residual."""
    pairs = []
    for hour in range(min(PAST, stop), stop + 1, 24):
        past = slice(max(0, hour - MEMORY), hour)
        if found := profile.learn(hours.values[past], hours.local[past]):
            pairs.append(np.stack([hours.values[past][-24:], found.residuals[-24:]], axis=1))
    fitted = RobustScaler().fit(np.concatenate(pairs))
    value, residual = (float(scale) for scale in fitted.scale_)
    return fitted, Scaler(float(fitted.center_[0]), value, residual)


def looks(hours: Hours, scaler: Scaler, start: int, stop: int, every: int) -> tuple[Ints, list[Inputs]]:
    """The looks of every so many hours for which enough is known, and their hours."""
    found = [(hour, look) for hour in range(start, stop, every) if (look := hours.look(hour, scaler))]
    return np.array([hour for hour, _ in found], dtype=np.int64), [look for _, look in found]


def samples(hours: Hours, scaler: Scaler, start: int, stop: int, every: int) -> Samples:
    """Looks with what came before `stop`, in scales of the residual. Raises ValueError when there are none."""
    at, seen = looks(hours, scaler, start, stop - 24, every)
    if not seen:
        raise ValueError("the readings have too many gaps to learn from")
    came = np.stack([hours.truth(int(hour), stop) - look.base for hour, look in zip(at, seen, strict=True)])
    past, ahead = np.stack([look.past for look in seen]), np.stack([look.ahead for look in seen])
    return Samples(past, ahead, (came / scaler.residual).astype(np.float32))
