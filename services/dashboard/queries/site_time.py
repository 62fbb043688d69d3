"""Times of the site: epoch seconds to its wall clock and back, local days and months."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MINUTE, HOUR, DAY = 60, 3600, 86_400
FIRST_YEAR, LAST_YEAR = 1971, 2098
"""Years that a page may ask for; a day more on either side is still a valid time."""


def wall_seconds(at: int, zone: ZoneInfo) -> int:
    """Return epoch seconds shifted to the site's wall clock: read as UTC, they show its local time."""
    offset = datetime.fromtimestamp(at, zone).utcoffset()
    return at + int(offset.total_seconds()) if offset else at


def wall_text(at: int, zone: ZoneInfo) -> str:
    """Return an instant as in a page's address: local, to the minute, such as 2026-03-01T00:00."""
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%dT%H:%M")


def epoch_of_wall(text: str, zone: ZoneInfo) -> int:
    """Return epoch seconds of a local time such as 2026-03-01 or 2026-03-01T00:00. Raises ValueError."""
    local = datetime.fromisoformat(text)
    if not FIRST_YEAR <= local.year <= LAST_YEAR:
        raise ValueError(f"{text}: a year from {FIRST_YEAR} to {LAST_YEAR}")
    return int((local if local.tzinfo else local.replace(tzinfo=zone)).timestamp()) // MINUTE * MINUTE


def midnight(day: date, zone: ZoneInfo) -> int:
    """Return the epoch second at which a local day begins."""
    return epoch_at(day, 0, zone)


def next_midnight(day: date, zone: ZoneInfo) -> int:
    """Return the epoch second at which a local day ends."""
    return midnight(day + timedelta(days=1), zone)


def epoch_at(day: date, hour: int, zone: ZoneInfo) -> int:
    """Return the epoch second of a full hour of a local day."""
    return int(datetime.combine(day, time(hour), zone).timestamp())


def local_date(at: int, zone: ZoneInfo) -> date:
    """Return the local day of an instant."""
    return datetime.fromtimestamp(at, zone).date()


def local_days(start: int, stop: int, zone: ZoneInfo) -> Iterator[date]:
    """Yield the local days that overlap [start, stop)."""
    day = local_date(start, zone)
    while midnight(day, zone) < stop:
        yield day
        day += timedelta(days=1)


def month_span(month: str, zone: ZoneInfo) -> tuple[int, int]:
    """Return [start, stop), epoch seconds, of a local month such as 2026-03. Raises ValueError."""
    first = date.fromisoformat(f"{month}-01")
    return epoch_of_wall(first.isoformat(), zone), midnight(next_month(first), zone)


def next_month(first: date) -> date:
    """Return the first day of the next month."""
    return (first + timedelta(days=31)).replace(day=1)


def previous_month(first: date) -> date:
    """Return the first day of the month before."""
    return (first - timedelta(days=1)).replace(day=1)


def is_real_hour(day: date, hour: int, zone: ZoneInfo) -> bool:
    """Return whether the clock shows this hour on this day: the spring change skips one."""
    local = datetime.combine(day, time(hour), zone)
    return local.astimezone(UTC).astimezone(zone).hour == hour
