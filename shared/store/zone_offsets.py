"""The UTC offsets of a time zone, for views in local time."""

from __future__ import annotations

from itertools import pairwise
from zoneinfo import ZoneInfo

from shared.domain.local_time import offset_seconds
from shared.domain.series import DAY, HOUR

FIRST_SECOND, LAST_SECOND = 0, 4_102_444_800
"""From 1970 to 2100, epoch seconds."""


def zone_offsets(zone: ZoneInfo) -> list[tuple[int, int]]:
    """Return (start, seconds): the offset from each instant on, to the quarter of an hour."""
    offsets = [(-(2**40), offset_seconds(FIRST_SECOND, zone))]
    for day in range(FIRST_SECOND, LAST_SECOND, 7 * DAY):
        if offset_seconds(day + 7 * DAY, zone) != offsets[-1][1]:
            offsets.extend(_changes(day, day + 7 * DAY, zone))
    return offsets


def _changes(start: int, stop: int, zone: ZoneInfo) -> list[tuple[int, int]]:
    steps = [(at, offset_seconds(at, zone)) for at in range(start, stop + 1, HOUR // 4)]
    return [later for earlier, later in pairwise(steps) if earlier[1] != later[1]]
