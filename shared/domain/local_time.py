"""Local time of a site for arrays of epoch seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np

from shared.domain.series import HOUR, Ints

EPOCH_MONDAY_SECONDS = 4 * 86_400
"""The first Monday 00:00 after the epoch, which began on a Thursday."""


def local_seconds(at: Ints, zone: ZoneInfo) -> Ints:
    """Return epoch seconds shifted to local wall time, daylight saving included; one offset is used for each hour."""
    hours, index = np.unique(at // HOUR, return_inverse=True)
    offsets = np.array([offset_seconds(int(hour) * HOUR, zone) for hour in hours], dtype=np.int64)
    return at + offsets[index] if len(at) else at


def offset_seconds(at: int, zone: ZoneInfo) -> int:
    """Return the zone's UTC offset in seconds at an instant (epoch seconds)."""
    offset = datetime.fromtimestamp(at, UTC).astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def local_time(at: int, zone: ZoneInfo) -> datetime:
    """Return an instant (epoch seconds) as a datetime with the zone's offset at that instant.

    The offset is fixed: Python compares two times of one ZoneInfo by their wall time, where an hour may occur twice.
    """
    return datetime.fromtimestamp(at, timezone(timedelta(seconds=offset_seconds(at, zone))))


def hour_of_week(local: Ints) -> Ints:
    """Return the hour of the week, 0 … 167 from Monday 00:00, of local wall seconds."""
    return (local - EPOCH_MONDAY_SECONDS) // HOUR % 168


def minute_of_day(local: Ints) -> Ints:
    """Return the minute of the day, 0 … 1439, of local wall seconds."""
    return local // 60 % 1440
