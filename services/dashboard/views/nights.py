"""Minimum night flow by night, and before and after each repair."""

from __future__ import annotations

from datetime import date, timedelta
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from services.dashboard.queries.nights import (
    EARLIER_NIGHT_HOURS,
    REPAIR_NIGHTS,
    Night,
    mean_minimum,
    read_nights,
    read_repaired,
)
from services.dashboard.queries.site_time import MINUTE, local_date, midnight, next_midnight
from services.dashboard.web.night_chart import night_chart
from services.dashboard.web.stored import StoredPage, stored_endpoint

FRAGMENTS = ()
SPAN_DAYS = {"month": 31, "quarter": 92, "year": 365}
DEFAULT_DAYS = 92
MAX_DAYS = 4000
HOURS_PER_DAY = 24


@stored_endpoint
def show(stored: StoredPage) -> Response:
    first, last = asked_days(stored)
    nights = _nights(stored, first, last)
    zone = stored.database.zone
    repairs = read_repaired(stored.database, stored.sensor, midnight(first, zone), _end(stored, last))
    night_use = stored.page.settings.dma.night_use_m3h
    return stored.page.response(
        "nights.html",
        view="nights",
        stored=stored,
        sensor=stored.sensor,
        days=[first, last],
        queries={name: _query(name, first, last) for name in stored.sensors},
        spans={name: (_span_query(stored, days), days == (last - first).days + 1) for name, days in SPAN_DAYS.items()},
        nights=nights[::-1],
        repairs=repairs[::-1],
        repair_nights=REPAIR_NIGHTS,
        mean=mean_minimum(nights),
        lowest=min((night.minimum_m3h for night in nights), default=None),
        highest=max((night.minimum_m3h for night in nights), default=None),
        abnormal=sum(night.flag == 1 for night in nights),
        has_earlier=any(night.usual_m3h is None for night in nights),
        earlier_hours=(EARLIER_NIGHT_HOURS[0], EARLIER_NIGHT_HOURS[-1] + 1),
        night_use=night_use,
        hours_per_day=HOURS_PER_DAY,
    )


@stored_endpoint
def chart(stored: StoredPage) -> Response:
    first, last = asked_days(stored)
    ends = midnight(first, stored.database.zone), _end(stored, last)
    return night_chart(stored, _nights(stored, first, last), *ends).response()


def asked_days(stored: StoredPage) -> tuple[date, date]:
    """Return the first and last day of the address, the last 92 days without one."""
    today = local_date(stored.present - MINUTE, stored.database.zone)
    last = stored.asked_day("to", today)
    first = stored.asked_day("from", last - timedelta(days=DEFAULT_DAYS - 1))
    return max(min(first, last), last - timedelta(days=MAX_DAYS)), last


def _nights(stored: StoredPage, first: date, last: date) -> list[Night]:
    start = midnight(first, stored.database.zone)
    return read_nights(stored.database, stored.sensor, start, _end(stored, last))


def _end(stored: StoredPage, last: date) -> int:
    return next_midnight(last, stored.database.zone)


def _query(sensor: str, first: date, last: date) -> str:
    return urlencode({"sensor": sensor, "from": first.isoformat(), "to": last.isoformat()})


def _span_query(stored: StoredPage, days: int) -> str:
    today = local_date(stored.present - MINUTE, stored.database.zone)
    return _query(stored.sensor, today - timedelta(days=days - 1), today)


ROUTES = (Route("/nights", show), Route("/api/nights", chart))
