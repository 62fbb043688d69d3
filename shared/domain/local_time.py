"""Local time of a site for arrays of epoch seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np

from shared.domain.series import HOUR, Ints

EPOCH_MONDAY_SECONDS = 4 * 86_400
"""The epoch began on a Thursday; the first Monday 00:00 came four days later."""


def local_seconds(at: Ints, zone: ZoneInfo) -> Ints:
    """Epoch seconds shifted to local wall time, daylight saving included. Offsets are looked up once an hour."""
    hours, place = np.unique(at // HOUR, return_inverse=True)
    offsets = np.array([offset_seconds(int(hour) * HOUR, zone) for hour in hours], dtype=np.int64)
    return at + offsets[place] if len(at) else at


def offset_seconds(at: int, zone: ZoneInfo) -> int:
    """UTC offset in seconds that the zone has at an instant."""
    offset = datetime.fromtimestamp(at, UTC).astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def local_time(at: int, zone: ZoneInfo) -> datetime:
    """An instant, epoch seconds, in the offset that the zone has then.

    The offset is fixed: two times of one zone would be compared by their clock faces, where an hour may come twice.
    """
    return datetime.fromtimestamp(at, timezone(timedelta(seconds=offset_seconds(at, zone))))


def hour_of_week(local: Ints) -> Ints:
    """0 … 167 from Monday 00:00, of local wall seconds."""
    return (local - EPOCH_MONDAY_SECONDS) // HOUR % 168


def minute_of_day(local: Ints) -> Ints:
    """0 … 1439 of local wall seconds."""
    return local // 60 % 1440
