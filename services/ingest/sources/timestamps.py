"""Parses timestamps into moments with the site's UTC offset."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from shared.contract.messages import SUPPORTED_YEARS
from shared.contract.texts import localized

DST_LATE_LINE = timedelta(minutes=5)
"""In the repeated hour, a smaller step back is a late line and not the second hour."""
MAX_DST_SENSORS = 1000
"""Sensors whose minute in the repeated hour is remembered."""
DAY = timedelta(days=1)
MINUTE_OFFSETS = [timedelta(minutes=minute) for minute in range(1440)]
"""Adding one of these is five times as fast as datetime.replace."""


class LineError(Exception):
    """An invalid line; `text` gives the reason in Korean and English."""

    def __init__(self, ko: str, en: str, **values: Any) -> None:
        self.text = localized(ko, en, **values)
        super().__init__(self.text.en)


class TimestampParser:
    """Parses timestamps.

    In the repeated hour at the end of DST, the order of a sensor's lines resolves a missing offset.
    """

    def __init__(self, zone: ZoneInfo, dst_state: dict[str, datetime] | None = None) -> None:
        self._zone = zone
        self.doubts: Counter[str] = Counter()
        """What a person should check, by its text, to the number of timestamps."""
        self.dst_state = {} if dst_state is None else dst_state
        """Newest minute of each sensor in the repeated hour; the only state that a restart needs."""
        self._offsets: dict[timedelta, timezone] = {}
        self._days: dict[int, datetime | None] = {}
        self._text: str | None = None
        self._moment = datetime.min.replace(tzinfo=UTC)

    def parse(self, text: str, sensor: str) -> datetime:
        """Return the time of an ISO 8601 text or of `YYYY-MM-DD HH:MM[:SS]`, which is local time without an offset.

        Its tzinfo is a fixed offset, so that differences and comparisons are in real time. Raises LineError.
        """
        if text == self._text:
            return self._moment
        written = _parse_iso(text)
        if written.tzinfo is not None:
            moment = self._parse_with_offset(written)
        else:
            day = written.toordinal()
            midnight = self._days[day] if day in self._days else self._cache_day(written)
            if midnight is None:
                return self._parse_on_dst_change(written, sensor)
            moment = midnight + MINUTE_OFFSETS[written.hour * 60 + written.minute]
            if written.second or written.microsecond:
                moment = moment.replace(second=written.second, microsecond=written.microsecond)
        self._text, self._moment = text, moment
        return moment

    def _parse_with_offset(self, moment: datetime) -> datetime:
        if moment.year not in SUPPORTED_YEARS:
            raise _year_error(moment.year)
        local = moment.astimezone(self._zone)
        if local.utcoffset() != moment.utcoffset():
            self.doubts[f"offset {moment:%z} of the file, {local:%z} of the site ({self._zone.key}): converted"] += 1
        if local.year not in SUPPORTED_YEARS:
            raise _year_error(local.year)
        return local.replace(tzinfo=self._offset(local), fold=0)

    def _cache_day(self, moment: datetime) -> datetime | None:
        """Return midnight of that day with its offset; None if the offset changes on that day."""
        if moment.year not in SUPPORTED_YEARS:
            raise _year_error(moment.year)
        start = datetime.combine(moment, time(), self._zone)
        first, last = self._offset(start), self._offset(start + DAY)
        midnight = self._days[moment.toordinal()] = start.replace(tzinfo=first) if first is last else None
        return midnight

    def _parse_on_dst_change(self, moment: datetime, sensor: str) -> datetime:
        first, second = (self._offset(moment.replace(tzinfo=self._zone, fold=fold)) for fold in (0, 1))
        if first is second:
            return moment.replace(tzinfo=first)
        if first.utcoffset(None) < second.utcoffset(None):
            raise LineError(
                "존재하지 않는 현지 시각입니다: {moment:%Y-%m-%d %H:%M}은(는) {zone}의 서머타임 시작 시각에 해당합니다",
                "invalid local time: {moment:%Y-%m-%d %H:%M} does not exist in {zone} (start of DST)",
                moment=moment,
                zone=self._zone.key,
            )
        self.doubts[f"in the hour that {self._zone.key} repeats, without an offset: their order decides"] += 1
        minute = moment.replace(tzinfo=first)
        previous = self.dst_state.get(sensor)
        if previous is not None and previous.date() == moment.date():
            back = previous.replace(tzinfo=None) - moment
            if previous.tzinfo == second or back >= DST_LATE_LINE:
                minute = moment.replace(tzinfo=second)
        if previous is None or minute > previous or previous.date() != moment.date():
            if previous is None and len(self.dst_state) >= MAX_DST_SENSORS:
                del self.dst_state[next(iter(self.dst_state))]
            self.dst_state[sensor] = minute
        return minute

    def _offset(self, local: datetime) -> timezone:
        offset = local.utcoffset() or timedelta()
        return self._offsets.setdefault(offset, timezone(offset))


def _parse_iso(text: str) -> datetime:
    if text[10:11] != " " and "T" not in text:
        raise _timestamp_error(text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise _timestamp_error(text) from None


def _year_error(year: int) -> LineError:
    return LineError(
        "연도 {year}은(는) 사용할 수 없습니다: {first}년부터 {last}년까지 가능합니다",
        "invalid year: expected {first} to {last}, found {year}",
        year=year,
        first=SUPPORTED_YEARS.start,
        last=SUPPORTED_YEARS.stop - 1,
    )


def _timestamp_error(text: str) -> LineError:
    return LineError(
        "시각을 읽을 수 없습니다: YYYY-MM-DD HH:MM 형식이어야 하는데 {text!r}입니다",
        "invalid timestamp: expected YYYY-MM-DD HH:MM, found {text!r}",
        text=text[:40],
    )
