"""What the monthly report says about one sensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from services.dashboard.queries.database import Database
from services.dashboard.queries.events import Event, read_events
from services.dashboard.queries.forecasts import Accuracy, read_accuracy
from services.dashboard.queries.gaps import Gaps, read_gaps
from services.dashboard.queries.nights import Night, mean_minimum, read_nights
from services.dashboard.queries.site_time import HOUR, local_date, midnight, month_span, next_month, previous_month
from services.dashboard.queries.volumes import DayVolume, read_volumes, total_volume

TREND_MONTHS = 12
"""Months whose mean minimum night flow is shown, the month of the report included."""
HOURS_PER_DAY = 24
LITRES_PER_M3 = 1000


@dataclass(frozen=True, slots=True)
class Loss:
    """Water that one incident lost in the month, and that its repair saved."""

    event: Event
    lost_m3: float | None
    """Share of its volume that falls into the month; None where no volume is known or no water was lost."""
    saved_m3: float | None
    """Its excess flow from its clearing to the next loss, the end of the month, or now; None while it is open."""


@dataclass(frozen=True, slots=True)
class Balance:
    """Figures of the water balance; None where a fact of the site is missing."""

    leakage_m3_day: float | None
    """Mean minimum night flow less legitimate night use, times 24 h."""
    revenue_ratio: float | None
    """Billed volume as a share of the supplied one."""
    litres_per_connection_day: float | None
    m3_per_km_day: float | None


@dataclass(frozen=True, slots=True)
class MonthReport:
    """One month of one sensor."""

    month: str
    start: int
    stop: int
    """End of the month, or now within the running one; epoch seconds."""
    is_running: bool
    days: list[DayVolume]
    previous_volume_m3: float | None
    """Volume of the month before; None where it has missing hours or the month is running."""
    nights: list[Night]
    monthly_minima: list[tuple[str, float]]
    """(month, mean minimum night flow in m³/h) of up to twelve months, oldest first."""
    losses: list[Loss]
    gaps: list[Gaps]
    accuracy: list[Accuracy]

    @property
    def volume_m3(self) -> float:
        return total_volume(self.days)

    @property
    def missing_hours(self) -> int:
        return sum(day.missing_hours for day in self.days)

    @property
    def has_flow(self) -> bool:
        return any(day.hours for day in self.days)

    @property
    def minimum_m3h(self) -> float | None:
        """Mean minimum night flow of the month, m³/h."""
        return mean_minimum(self.nights)

    @property
    def change_m3h(self) -> float | None:
        """Mean minimum night flow less that of the month before, m³/h."""
        minima = dict(self.monthly_minima)
        before = minima.get(previous_month(date.fromisoformat(f"{self.month}-01")).isoformat()[:7])
        return None if before is None or self.month not in minima else minima[self.month] - before

    @property
    def lost_m3(self) -> float:
        return sum(loss.lost_m3 or 0.0 for loss in self.losses)

    @property
    def saved_m3(self) -> float:
        return sum(loss.saved_m3 or 0.0 for loss in self.losses)


def read_report(database: Database, sensor: str, month: str, now: int) -> MonthReport:
    """Return the report of a local month such as 2026-03, up to `now`. Raises Unavailable, ValueError."""
    start, end = month_span(month, database.zone)
    stop = max(start, min(end, now))
    first = date.fromisoformat(f"{month}-01")
    days = read_volumes(database, sensor, start, stop)
    before = read_volumes(database, sensor, midnight(previous_month(first), database.zone), start)
    is_comparable = stop == end and bool(before) and not any(day.missing_hours for day in before)
    nights = read_nights(database, sensor, start, stop)
    return MonthReport(
        month=month,
        start=start,
        stop=stop,
        is_running=stop < end,
        days=days,
        previous_volume_m3=total_volume(before) if is_comparable else None,
        nights=nights,
        monthly_minima=_monthly_minima(database, sensor, first),
        losses=_losses(read_events(database, sensor, start, stop), start, stop),
        gaps=read_gaps(database, sensor, start, stop),
        accuracy=read_accuracy(database, sensor, start, stop),
    )


def water_balance(
    report: MonthReport,
    night_use_m3h: float,
    connections: int | None,
    mains_km: float | None,
    billed_m3: Mapping[str, float],
) -> Balance:
    """Return the figures that follow from the facts of the site."""
    minimum, billed = report.minimum_m3h, billed_m3.get(report.month)
    leakage = None if minimum is None else max(0.0, minimum - night_use_m3h) * HOURS_PER_DAY
    return Balance(
        leakage_m3_day=leakage,
        revenue_ratio=None if billed is None or report.volume_m3 <= 0 else billed / report.volume_m3,
        litres_per_connection_day=None if leakage is None or not connections else leakage * LITRES_PER_M3 / connections,
        m3_per_km_day=None if leakage is None or not mains_km else leakage / mains_km,
    )


def _monthly_minima(database: Database, sensor: str, last: date) -> list[tuple[str, float]]:
    first = last
    for _ in range(TREND_MONTHS - 1):
        first = previous_month(first)
    zone = database.zone
    by_month: dict[str, list[Night]] = {}
    for night in read_nights(database, sensor, midnight(first, zone), midnight(next_month(last), zone)):
        by_month.setdefault(night.day.isoformat()[:7], []).append(night)
    return [(month, mean) for month, nights in by_month.items() if (mean := mean_minimum(nights)) is not None]


def _losses(events: list[Event], start: int, stop: int) -> list[Loss]:
    onsets = [(event.onset_at, event.id) for event in events if event.loses_water]
    losses = []
    for event in events:
        later = (at for at, other in onsets if other != event.id and at >= event.onset_at)
        losses.append(_loss(event, start, stop, min(stop, min(later, default=stop))))
    return losses


def _loss(event: Event, start: int, stop: int, next_loss: int) -> Loss:
    if not event.loses_water:
        return Loss(event, None, None)
    until = event.cleared_at or max(event.updated_at, event.opened_at)
    duration, overlap = until - event.onset_at, min(until, stop) - max(event.onset_at, start)
    share = max(0.0, overlap / duration) if duration > 0 else 1.0
    lost = None if event.lost_m3 is None else event.lost_m3 * share
    saved = None
    if event.cleared_at is not None and event.excess_m3h is not None and event.cleared_at < stop:
        saved = max(0.0, event.excess_m3h) * max(0, next_loss - event.cleared_at) / HOUR
    return Loss(event, lost, saved)


def months_with_readings(database: Database, sensor: str) -> list[str]:
    """Return the local months from the first hourly value to the newest, newest first. Raises Unavailable."""
    sql = "SELECT min(at), max(at) FROM HOURLY_VAL_TB WHERE site = ?1 AND sensor = ?2"
    oldest, newest = database.rows(sql, sensor)[0] if database.sensors() else (None, None)
    if oldest is None:
        return []
    month, last = (local_date(at, database.zone).replace(day=1) for at in (newest, oldest))
    months = []
    while month >= last:
        months.append(month.isoformat()[:7])
        month = previous_month(month)
    return months
