"""Rewrites the dates and times of loggers, spreadsheets and Korean systems as ISO 8601."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from itertools import pairwise

from services.ingest.sources.timestamps import LineError

ORDERS = ("year first", "day first", "month first")
"""Orders of day, month and year; the setting `dates` of a `[source.NAME]` table is one of them."""
DAY = timedelta(days=1)
EXCEL_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - local time of the site
EXCEL_DAYS = range(20_000, 80_000)
"""Serial dates of spreadsheets: 1954 to 2119."""
UNIX_SECONDS = range(1_000_000_000, 2_000_000_000)
"""Unix times that are accepted: 2001 to 2033."""
_CENTURY = 2000
"""Two-digit years are of this century."""
_DATE = r"(?P<a>\d{1,4})\s*[-./년]\s*(?P<b>\d{1,2})\s*[-./월]\s*(?P<c>\d{1,4})\s*[.일]?"
_DATE_ONLY = re.compile(_DATE)
_COMPACT = r"(?P<compact>\d{8})"
_NOON = r"(?P<noon>오전|오후|am|pm|a\.m\.|p\.m\.)"
_CLOCK = r"(?P<hour>\d{1,2})\s*[:시]\s*(?P<minute>\d{1,2})\s*분?(\s*:?\s*(?P<second>\d{1,2})([.,]\d+)?\s*초?)?"
_ZONE = r"(?P<zone>z|utc|gmt|kst|[+-]\d{2}:?\d{2}|[+-]\d{2})"
_TEXT = re.compile(
    rf"({_DATE}|{_COMPACT})(\s*t?\s*({_NOON.replace('noon', 'before')}\s*)?"
    rf"({_CLOCK}|(?P<digits>\d{{4}}|\d{{6}}))(\s*{_NOON.replace('noon', 'after')})?(\s*{_ZONE})?)"
)
_DIGITS = re.compile(r"(\d{8})(\d{4})(\d{2})?")
_ZONES = {"z": "+00:00", "utc": "+00:00", "gmt": "+00:00", "kst": "+09:00"}


class AmbiguousDate(LineError):
    """A date that means different days in different orders."""


class Dates:
    """Rewrites the timestamps of a file whose order of day, month and year is known."""

    def __init__(self, order: str = "") -> None:
        """Make a rewriter; an order of "" accepts only dates that mean the same in all orders."""
        self._orders = (order,) if order else ORDERS

    def to_iso(self, text: str) -> str:
        """Return `YYYY-MM-DD HH:MM:SS` with the offset that the text has. Raises LineError.

        >>> Dates().to_iso("2025. 3. 3. 오후 1:05")
        '2025-03-03 13:05:00'
        """
        plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
        if moment := _from_number(plain):
            return moment
        if compact := _DIGITS.fullmatch(plain):
            plain = f"{compact[1]} {compact[2]}{compact[3] or ''}"
        match = _TEXT.fullmatch(plain)
        if not match:
            raise _unreadable(text)
        days = set(_possible_days(match, self._orders))
        if not days:
            raise _unreadable(text)
        if len(days) > 1:
            raise AmbiguousDate(
                "날짜 {text!r}의 일·월·연 순서를 알 수 없습니다: [source.이름] 테이블에 "
                'dates = "day first"처럼 적으세요 (year first, day first, month first)',
                'ambiguous date {text!r}: write dates = "day first" (or "month first", "year first") '
                "in a [source.NAME] table of site.toml",
                text=text[:40],
            )
        moment_of_day = _clock(match, text)
        return (datetime.combine(days.pop(), datetime.min.time()) + moment_of_day).isoformat(" ") + _zone(match)


def is_time(text: str) -> bool:
    """Whether a text is a timestamp, in whatever order of day, month and year."""
    for order in ORDERS:
        with suppress(LineError):
            return bool(Dates(order).to_iso(text))
    return False


def date_part(text: str) -> str:
    """Return the date of a timestamp whose parts are separated; "" for others."""
    match = _DATE_ONLY.match(unicodedata.normalize("NFKC", text).strip())
    return match[0] if match else ""


def find_order(dates: Sequence[str]) -> str:
    """Return the order that the dates of a file allow: the only possible one, or the one whose days follow each other.

    `dates` are date parts in the order of the file. Return "" if the file does not settle it.
    """
    possible = {order: days for order in ORDERS if (days := _days(dates, order)) is not None}
    orders = [order for order, days in possible.items() if len(possible) == 1 or _follow_each_other(days)]
    return orders[0] if len(orders) == 1 else ""


def _days(dates: Iterable[str], order: str) -> list[date] | None:
    """Return the days of all dates in that order; None if one of them is impossible in it only."""
    days: list[date] = []
    for text in dates:
        match = _DATE_ONLY.fullmatch(text)
        day = next(iter(_possible_days(match, (order,))), None) if match else None
        if day is not None:
            days.append(day)
        elif match and any(_possible_days(match, ORDERS)):
            return None
    return days


def _follow_each_other(days: list[date]) -> bool:
    steps = [abs(after - before) for before, after in pairwise(days)]
    return bool(steps) and all(step == DAY for step in steps)


def _possible_days(match: re.Match[str], orders: Iterable[str]) -> Iterator[date]:
    """Yield the day of a date in each of the orders in which it is possible."""
    if compact := match.groupdict().get("compact"):
        forms = dict.fromkeys(ORDERS, (compact[:4], compact[4:6], compact[6:]))
    else:
        a, b, c = match["a"], match["b"], match["c"]
        forms = {"year first": (a, b, c), "day first": (c, b, a), "month first": (c, a, b)}
        if len(a) == 4:
            forms = dict.fromkeys(ORDERS, (a, b, c))
    for year, month, day in (forms[order] for order in orders):
        if len(year) in (2, 4) and len(month) <= 2 and len(day) <= 2:
            with suppress(ValueError):
                yield date(int(year) + (_CENTURY if len(year) == 2 else 0), int(month), int(day))


def _clock(match: re.Match[str], text: str) -> timedelta:
    """Return the time of day; 24:00 is the end of the day."""
    if digits := match["digits"]:
        hour, minute, second = int(digits[:2]), int(digits[2:4]), int(digits[4:] or 0)
    else:
        hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
    noon = match["before"] or match["after"]
    if noon:
        if not 1 <= hour <= 12 and not (hour == 0 and noon in ("오전", "am", "a.m.")):
            raise _unreadable(text)
        hour = hour % 12 + (12 if noon in ("오후", "pm", "p.m.") else 0)
    if minute > 59 or second > 59 or hour > 24 or (hour == 24 and (minute or second)):
        raise _unreadable(text)
    return timedelta(hours=hour, minutes=minute, seconds=second)


def _zone(match: re.Match[str]) -> str:
    zone = match["zone"] or ""
    if not zone or zone in _ZONES:
        return _ZONES.get(zone, "")
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return f"{zone[0]}{digits[:2]}:{digits[2:]}"


def _from_number(text: str) -> str:
    """Return the time of a spreadsheet's serial date or of Unix seconds; "" for other texts."""
    if re.fullmatch(r"\d{5}([.]\d+)?", text) and int(float(text)) in EXCEL_DAYS:
        return (EXCEL_EPOCH + timedelta(seconds=round(float(text) * 86_400))).isoformat(" ")
    if re.fullmatch(r"\d{10}", text) and int(text) in UNIX_SECONDS and not _is_short_date(text):
        return (datetime(1970, 1, 1) + timedelta(seconds=int(text))).isoformat(" ") + "+00:00"  # noqa: DTZ001
    return ""


def _is_short_date(text: str) -> bool:
    """Whether ten digits may also be YYMMDDHHMM."""
    return 1 <= int(text[2:4]) <= 12 and 1 <= int(text[4:6]) <= 31 and int(text[6:8]) <= 24 and int(text[8:]) <= 59


def _unreadable(text: str) -> LineError:
    return LineError(
        "시각을 읽을 수 없습니다: YYYY-MM-DD HH:MM 형식이어야 하는데 {text!r}입니다",
        "invalid timestamp: expected YYYY-MM-DD HH:MM, found {text!r}",
        text=text[:40],
    )
