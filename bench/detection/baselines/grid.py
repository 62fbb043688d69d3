"""What the baselines share: a regular grid of minutes, a simple watch on the meter, and alarms from flags."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.detection.demand import LOCAL
from bench.detection.events import CLEAN_DAYS
from bench.detection.scoring import Alarm
from bench.detection.simulator import Record
from shared.domain.series import DAY, HOUR, MINUTE, Floats, Ints

Flags = NDArray[np.bool_]
TEN = 10
"""Minutes of a mean."""
PER_WEEK = 0.5
"""False alarms a week that each part's limit is set for."""


@dataclass(frozen=True)
class Shown:
    """(n,) minutes of flow and pressure, NaN where nothing came, with the time of each in epoch seconds."""

    at: Ints
    flow: Floats
    pressure: Floats
    expected: Floats
    """(n,) expected flow; only the oracle may look."""

    @property
    def learned(self) -> int:
        """Minutes from which limits are learned: the first three months."""
        return min(CLEAN_DAYS * 1440, len(self.at) // 2)


def shown(record: Record) -> Shown:
    """A record's lines on its grid, the first of lines with one stamp; stamps outside of it are lost."""
    lines = record.lines
    place = (lines.at - record.at[0]) // MINUTE
    inside = (place >= 0) & (place < len(record.at))
    flow, pressure = (np.full(len(record.at), np.nan) for _ in range(2))
    for values, source in ((flow, lines.flow), (pressure, lines.pressure)):
        values[place[inside][::-1]] = source[inside][::-1]
    return Shown(record.at, flow, pressure, record.expected)


def meter_alarms(record: Shown) -> list[Alarm]:
    """Missing for 15 minutes, one value for longer than ever in the first months, negative or tenfold what was seen."""
    found = []
    for channel, values in (("flow_rate", record.flow), ("pressure", record.pressure)):
        missing = np.isnan(values)
        found += alarms_of(record.at, _run_lengths(missing) >= 15, "silence", channel, HOUR)
        same = np.concatenate(([False], values[1:] == values[:-1]))
        runs = _run_lengths(same)
        found += alarms_of(record.at, runs > max(180, 1.5 * runs[: record.learned].max()), "stuck", channel, HOUR)
        highest = 3 * np.nanmax(values[: record.learned])
        with np.errstate(invalid="ignore"):
            found += alarms_of(record.at, (values < 0) | (values > highest), "out_of_range", channel, HOUR)
    return found


def alarms_of(at: Ints, flags: Flags, kind: str, channel: str, calm: int) -> list[Alarm]:
    """Alarms of flagged times; those closer than `calm` seconds are one."""
    times = at[flags]
    if not len(times):
        return []
    step = int(at[1] - at[0])
    cuts = np.flatnonzero(np.diff(times) > calm)
    starts, stops = times[np.concatenate(([0], cuts + 1))], times[np.append(cuts, len(times) - 1)] + step
    return [Alarm(kind, int(start), int(stop), channel) for start, stop in zip(starts, stops, strict=True)]


def means(values: Floats) -> Floats:
    """(n // 10,) ten-minute means, NaN where fewer than half of the minutes are known."""
    rows = values[: len(values) // TEN * TEN].reshape(-1, TEN)
    known = ~np.isnan(rows)
    count = known.sum(axis=1)
    return np.where(count >= TEN // 2, np.where(known, rows, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)


def limit_for(scores: Floats, at: Ints, per_week: float = PER_WEEK) -> float:
    """Limit that the daily maxima of these scores pass so often a week."""
    days = (at + LOCAL) // DAY
    maxima = [np.nanmax(one) for day in np.unique(days) if not np.isnan(one := scores[days == day]).all()]
    return float(np.quantile(maxima, 1 - per_week / 7)) if maxima else np.inf


def slots_of_week(at: Ints) -> Ints:
    """Half hour of the local week, 0 … 335."""
    found: Ints = (at + LOCAL + 3 * DAY) % (7 * DAY) // 1800
    return found


def profile(values: Floats, slots: Ints) -> tuple[Floats, Floats]:
    """(336,) median and spread (1.4826 MAD) of values by half hour of the week."""
    middle, spread = np.full(336, np.nan), np.full(336, np.nan)
    for slot in range(336):
        known = values[(slots == slot) & ~np.isnan(values)]
        if len(known):
            middle[slot] = np.median(known)
            spread[slot] = 1.4826 * np.median(np.abs(known - middle[slot]))
    return middle, np.maximum(spread, 0.25 * np.nanmedian(spread) + 1e-6)


def night_minima(at: Ints, tens: Floats) -> tuple[Ints, Floats]:
    """Of each night 22:00–05:00: epoch seconds of its end, and its lowest ten-minute mean."""
    hour = (at + LOCAL) % DAY // HOUR
    night = (at + LOCAL + 2 * HOUR) // DAY
    inside = ((hour >= 22) | (hour < 5)) & ~np.isnan(tens)
    nights, places = np.unique(night[inside], return_inverse=True)
    lowest = np.full(len(nights), np.inf)
    np.minimum.at(lowest, places, tens[inside])
    ends: Ints = nights * DAY - LOCAL + 5 * HOUR
    return ends, lowest


def _run_lengths(flags: Flags) -> Ints:
    """(n,) how many flags in a row end here."""
    count = np.arange(1, len(flags) + 1)
    last_off = np.maximum.accumulate(np.where(flags, 0, count))
    found: Ints = count - last_off
    return found
