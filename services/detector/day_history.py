"""The detector's history of one sensor: complete days of minute values, and the spans of anomalies."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from shared.contract.messages import CHANNELS, Channel
from shared.domain.cadence import NO_CADENCE, DayCadence, day_cadence, hold_minutes, hold_values
from shared.domain.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from shared.domain.series import Floats, Ints

Float32s = NDArray[np.float32]
Mask = NDArray[np.bool_]

MINUTES_PER_DAY = 1440
CALIBRATION_DAYS = 100
"""Days that criteria are fitted to: a little more than three months."""
RARE_EVENT_DAYS = 180
"""Days that limits of rare events are fitted to, so that unnoticed events of one quarter do not set them."""
HISTORY_DAYS = RARE_EVENT_DAYS + 50
"""The expected values of a day need six weeks before it."""
SUNDAY = 6
WARM_UP_DAYS = 14
"""Days after which the expected values rest on every weekday; earlier days are poor data for limits."""
ACCEPTED_AFTER_MINUTES = 2 * MINUTES_PER_DAY
"""Minutes after which an anomaly is accepted as the site's new state; it is then used for fitting."""
MAX_ANOMALY_SPANS = 2000
"""Maximum number of anomaly spans kept."""
MIN_VALUES_PER_DAY = 360
"""Minutes with a value that a day needs to be used for fitting."""


@dataclass(frozen=True)
class Day:
    """One local day of one sensor; rows 0 and 1 are flow rate (m³/h) and pressure (bar), NaN where unknown."""

    ordinal: int
    """Proleptic ordinal of the local date; 1 was a Monday."""
    values: Float32s
    """(2, 1440) by local minute; of a slow meter, a value counts until the next one is due."""
    expected: Float32s
    """(2, 1440) expected values, computed before the day began."""
    forecasts: Float32s
    """(2, 24, 3) p10, p50, p90 of each hour, issued at its start."""
    ten_minute_means: Floats
    """(2, 144)"""
    cadences: tuple[DayCadence, DayCadence] = (NO_CADENCE, NO_CADENCE)
    """Of flow rate and pressure."""


def make_day(ordinal: int, measured: Float32s, expected: Float32s, forecasts: Float32s) -> Day:
    """Return a day from its (2, 1440) measured values; each one counts until the next one is due."""
    cadences = tuple(day_cadence(np.flatnonzero(~np.isnan(channel))) for channel in measured)
    values = np.stack(
        [
            hold_values(channel, hold_minutes(cadence.interval_minutes))
            for channel, cadence in zip(measured, cadences, strict=True)
        ],
        dtype=np.float32,
    )
    return Day(ordinal, values, expected, forecasts, average_to_ten_minutes(values), (cadences[0], cadences[1]))


def types_of_weekdays(weekdays: Ints) -> Ints:
    """Map weekdays (0 is Monday) to day types: 0 Monday to Friday, 1 Saturday, 2 Sunday."""
    types: Ints = np.maximum(weekdays, 4) - 4
    return types


def average_to_ten_minutes(values: Float32s | Floats) -> Floats:
    """Average (…, 1440) minutes to (…, 144) ten-minute means; NaN where fewer than five of ten are known."""
    blocks = values.astype(np.float64).reshape(*values.shape[:-1], 144, 10)
    is_known = ~np.isnan(blocks)
    count = is_known.sum(axis=-1)
    means: Floats = np.where(is_known, blocks, 0.0).sum(axis=-1) / np.maximum(count, 1)
    return np.where(count >= 5, means, np.nan)


def interpolate_to_minutes(ten_minute_means: Floats) -> Floats:
    """Interpolate (144,) ten-minute means linearly to (1440,) minutes; NaN where no mean is known."""
    is_known = ~np.isnan(ten_minute_means)
    if not is_known.any():
        return np.full(MINUTES_PER_DAY, np.nan)
    middles = np.arange(len(ten_minute_means)) * 10 + 4.5
    minutes: Floats = np.interp(
        np.arange(MINUTES_PER_DAY), middles[is_known], ten_minute_means[is_known], period=MINUTES_PER_DAY
    )
    return minutes


@dataclass
class DayHistory:
    """Finished days, oldest first; days without any reading are absent."""

    calendar: HolidayCalendar = NO_HOLIDAYS
    days: deque[Day] = field(default_factory=deque)
    anomaly_spans: list[tuple[int, int | None]] = field(default_factory=list)
    """(opened, cleared or None) of anomalies, in local minutes since ordinal 0."""
    quarantined: list[Day] = field(default_factory=list)
    """Days that are doubtful since the meter's clock was set back."""

    def add(self, day: Day) -> None:
        if self.days and self.days[-1].ordinal >= day.ordinal:
            self.drop_from(day.ordinal)
        self.days.append(day)
        while self.days and self.days[0].ordinal <= day.ordinal - HISTORY_DAYS:
            self.days.popleft()
        oldest = (day.ordinal - HISTORY_DAYS) * MINUTES_PER_DAY
        self.anomaly_spans = [span for span in self.anomaly_spans if span[1] is None or span[1] >= oldest][
            -MAX_ANOMALY_SPANS:
        ]

    def cadences(self, channel: Channel) -> list[DayCadence]:
        """Return the cadences of the known days of a channel, oldest first."""
        row = CHANNELS.index(channel)
        return [day.cadences[row] for day in self.days if day.cadences[row].interval_minutes]

    def complete(self, ordinal: int, row: int, minute: int, value: float) -> None:
        """Add a value to a finished day that lacks it; it counts until the next one is due."""
        for index, day in enumerate(self.days):
            if day.ordinal == ordinal and np.isnan(day.values[row, minute]):
                stop = minute + hold_minutes(day.cadences[row].interval_minutes)
                known = np.flatnonzero(~np.isnan(day.values[row, minute:stop]))
                day.values[row, minute : minute + int(known[0]) if len(known) else stop] = value
                self.days[index] = replace(day, ten_minute_means=average_to_ten_minutes(day.values))

    def days_before(self, ordinal: int, count: int) -> list[Day]:
        """Return the known ones of the `count` days before a day."""
        return [day for day in self.days if ordinal - count <= day.ordinal < ordinal]

    def weekday(self, ordinal: int) -> int:
        """Return 0 for Monday to 6 for Sunday; a public holiday counts as Sunday."""
        return SUNDAY if self.calendar.is_holiday(ordinal) else (ordinal - 1) % 7

    def types_of_ordinals(self, ordinals: Iterable[int]) -> Ints:
        """Return (n,) day types: 0 Monday to Friday, 1 Saturday, 2 Sunday and public holidays."""
        return types_of_weekdays(np.array([self.weekday(ordinal) for ordinal in ordinals], dtype=np.int64))

    def drop_from(self, ordinal: int) -> None:
        """Drop the days from an ordinal on."""
        self.days = deque(day for day in self.days if day.ordinal < ordinal)

    def quarantine(self, ordinal: int) -> None:
        """Set aside the days from an ordinal on, until it is known which of the meter's clock times were wrong."""
        self.quarantined = [day for day in self.days if day.ordinal >= ordinal] or self.quarantined
        self.drop_from(ordinal)

    def release_quarantine(self, ordinal: int) -> None:
        """Restore the quarantined days when a later day begins: the clock was wrong in between."""
        if self.quarantined and ordinal > self.quarantined[-1].ordinal:
            self.drop_from(self.quarantined[0].ordinal)
            self.days.extend(self.quarantined)
            self.quarantined = []

    def anomalous_days(self, now: int, include_long: bool = False) -> set[int]:
        """Return the ordinals of days with an anomaly, as known at local minute `now`.

        include_long: also those of anomalies that lasted ACCEPTED_AFTER_MINUTES or longer.
        """
        ordinals: set[int] = set()
        for opened, cleared in self.anomaly_spans:
            end = now if cleared is None else min(cleared, now)
            if opened < now and (include_long or end - opened < ACCEPTED_AFTER_MINUTES):
                first = max(opened, now - HISTORY_DAYS * MINUTES_PER_DAY)
                ordinals.update(range(first // MINUTES_PER_DAY, end // MINUTES_PER_DAY + 1))
        return ordinals


@dataclass(frozen=True)
class TrainingDays:
    """Days of one channel to fit a method to; n days of 1440 minutes."""

    ordinals: Ints
    day_types: Ints
    """(n,)"""
    values: Floats
    expected: Floats
    forecasts: Floats
    """(n, 24, 3)"""
    ten_minute_means: Floats
    """(n, 144)"""
    has_enough_data: Mask
    """(n,) whether MIN_VALUES_PER_DAY minutes have a value."""
    anomaly_free: Mask
    """(n,) whether the day has enough data and no anomaly."""

    @property
    def reference(self) -> Mask:
        """(n,) anomaly-free days, or all days with enough data when fewer than half are anomaly-free."""
        return self.anomaly_free if 2 * self.anomaly_free.sum() >= self.has_enough_data.sum() else self.has_enough_data

    @property
    def residuals(self) -> Floats:
        """(n, 1440) observed minus expected values."""
        return self.values - self.expected


def training_days(history: DayHistory, ordinal: int, channel: Channel, count: int = CALIBRATION_DAYS) -> TrainingDays:
    """Return the last `count` days before a day, of one channel."""
    days = history.days_before(ordinal, count)
    settled = [day for day in days if day.ordinal >= history.days[0].ordinal + WARM_UP_DAYS]
    days = settled if 2 * len(settled) >= len(days) else days[len(days) // 2 :]
    row = CHANNELS.index(channel)
    values = _stack([day.values[row] for day in days], (MINUTES_PER_DAY,))
    has_enough_data = np.count_nonzero(~np.isnan(values), axis=1) >= MIN_VALUES_PER_DAY
    ordinals = np.array([day.ordinal for day in days], dtype=np.int64)
    return TrainingDays(
        ordinals,
        history.types_of_ordinals(ordinals.tolist()),
        values,
        _stack([day.expected[row] for day in days], (MINUTES_PER_DAY,)),
        _stack([day.forecasts[row] for day in days], (24, 3)),
        _stack([day.ten_minute_means[row] for day in days], (144,)),
        has_enough_data,
        has_enough_data
        & ~np.isin(ordinals, list(history.anomalous_days(ordinal * MINUTES_PER_DAY, include_long=True))),
    )


def _stack(rows: list[Float32s] | list[Floats], shape: tuple[int, ...]) -> Floats:
    return np.array(rows, dtype=np.float64).reshape(-1, *shape)
