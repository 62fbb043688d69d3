"""Times as meters write them become minutes in the site's own offset."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from shared.contract.messages import SUPPORTED_YEARS

DST_LATE_LINE = timedelta(minutes=5)
"""In the hour that comes twice, a smaller step back than this is a late line, not the second hour."""
MAX_DST_SENSORS = 1000
"""Sensors that are remembered within that hour."""
DAY = timedelta(days=1)
MINUTE_OFFSETS = [timedelta(minutes=minute) for minute in range(1440)]
"""Adding one is five times as fast as datetime.replace."""


class LineError(Exception):
    """A line that can't be taken; the text says why."""


class TimestampParser:
    """Reads timestamps. When clocks go back, lines without an offset are told apart by order, sensor by sensor."""

    def __init__(self, zone: ZoneInfo, dst_state: dict[str, datetime] | None = None) -> None:
        self._zone = zone
        self.dst_state = {} if dst_state is None else dst_state
        """Newest minute of each sensor within an hour that came twice; all that must outlive a restart."""
        self._offsets: dict[timedelta, timezone] = {}
        self._days: dict[int, datetime | None] = {}
        self._text: str | None = None
        self._minute = datetime.min.replace(tzinfo=UTC)

    def parse(self, text: str, sensor: str) -> datetime:
        """The minute of an ISO 8601 text, or `YYYY-MM-DD HH:MM[:SS]`, without an offset in local time.

        Its tzinfo is a fixed offset, so that differences and comparisons are those of real time. Raises LineError.
        """
        if text == self._text:
            return self._minute
        moment = _parse_iso(text)
        if moment.tzinfo is not None:
            minute = self._parse_with_offset(moment)
        else:
            day = moment.toordinal()
            midnight = self._days[day] if day in self._days else self._cache_day(moment)
            if midnight is None:
                return self._parse_on_dst_change(moment, sensor)
            minute = midnight + MINUTE_OFFSETS[moment.hour * 60 + moment.minute]
        self._text, self._minute = text, minute
        return minute

    def _parse_with_offset(self, moment: datetime) -> datetime:
        if moment.year not in SUPPORTED_YEARS:
            raise LineError(f"no believable year: {moment.year}")
        local = moment.astimezone(self._zone)
        if local.year not in SUPPORTED_YEARS:
            raise LineError(f"no believable year: {local.year}")
        return local.replace(second=0, microsecond=0, tzinfo=self._offset(local), fold=0)

    def _cache_day(self, moment: datetime) -> datetime | None:
        """The beginning of that day in its offset; None when that changes on that day."""
        if moment.year not in SUPPORTED_YEARS:
            raise LineError(f"no believable year: {moment.year}")
        midnight = datetime.combine(moment, time(), self._zone)
        first, last = self._offset(midnight), self._offset(midnight + DAY)
        steady = self._days[moment.toordinal()] = midnight.replace(tzinfo=first) if first is last else None
        return steady

    def _parse_on_dst_change(self, moment: datetime, sensor: str) -> datetime:
        moment = moment.replace(second=0, microsecond=0)
        first, second = (self._offset(moment.replace(tzinfo=self._zone, fold=fold)) for fold in (0, 1))
        if first is second:
            return moment.replace(tzinfo=first)
        if first.utcoffset(None) < second.utcoffset(None):
            raise LineError(f"clocks went forward: there was no {moment:%Y-%m-%d %H:%M} in {self._zone.key}")
        minute = moment.replace(tzinfo=first)
        before = self.dst_state.get(sensor)
        if before is not None and before.date() == moment.date():
            back = before.replace(tzinfo=None) - moment
            if before.tzinfo == second or back >= DST_LATE_LINE:
                minute = moment.replace(tzinfo=second)
        if before is None or minute > before or before.date() != moment.date():
            if before is None and len(self.dst_state) >= MAX_DST_SENSORS:
                del self.dst_state[next(iter(self.dst_state))]
            self.dst_state[sensor] = minute
        return minute

    def _offset(self, local: datetime) -> timezone:
        offset = local.utcoffset() or timedelta()
        return self._offsets.setdefault(offset, timezone(offset))


def _parse_iso(text: str) -> datetime:
    if text[10:11] != " " and "T" not in text:
        raise LineError(f"no time: {text[:40]!r}")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise LineError(f"no time: {text[:40]!r}") from None
