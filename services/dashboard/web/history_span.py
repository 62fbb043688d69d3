"""The span of time that History shows, as its address says it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from services.dashboard.queries.site_time import (
    DAY,
    HOUR,
    MINUTE,
    epoch_of_wall,
    local_date,
    midnight,
    wall_seconds,
    wall_text,
)
from services.dashboard.queries.spans import MAX_SPAN_SECONDS
from services.dashboard.web.stored import StoredPage

PRESETS = {"day": (DAY, 0), "three_days": (3 * DAY, 0), "week": (7 * DAY, 0), "month": (31 * DAY, 0)}
PRESETS |= {"year": (365 * DAY, 0), "ahead": (2 * DAY, 7 * DAY)}
"""Seconds before and after the present; `today` is the local day."""
PRESET_NAMES = ("today", "day", "three_days", "week", "month", "year", "ahead")
DEFAULT_PRESET = "day"
COMPARED_DAYS = {"day": 1, "week": 7, "four_weeks": 28, "year": 364}
"""Days by which the compared span is earlier; 364 days keep the day of the week."""
MIN_SPAN_SECONDS = 10 * MINUTE


@dataclass(frozen=True)
class HistorySpan:
    """One sensor in [start, stop), epoch seconds."""

    stored: StoredPage
    start: int
    stop: int
    preset: str = ""
    """Name of the preset; empty for a span of its own."""
    compare: str = ""
    """Key of COMPARED_DAYS, or the local start of the compared span; empty: none."""
    is_valid: bool = True
    """Whether the address was understood; else the default span is shown."""

    @property
    def compared_start(self) -> int | None:
        """Return the start of the compared span: the same local time on another day."""
        if not self.compare:
            return None
        zone = self.stored.database.zone
        if self.compare not in COMPARED_DAYS:
            return epoch_of_wall(self.compare, zone)
        local = datetime.fromisoformat(wall_text(self.start, zone)) - timedelta(days=COMPARED_DAYS[self.compare])
        return epoch_of_wall(local.isoformat(), zone)

    def query(self, **changes: str) -> str:
        """Return the parameters of this picture, with changes; an empty value removes one."""
        zone = self.stored.database.zone
        span = {"from": wall_text(self.start, zone), "to": wall_text(self.stop, zone)}
        values = {"sensor": self.stored.sensor, **span, "compare": self.compare, **changes}
        return urlencode({name: value for name, value in values.items() if value})

    @property
    def sensor_queries(self) -> dict[str, str]:
        """Return the parameters of the same picture for each sensor."""
        if self.preset:
            return {name: urlencode({"sensor": name, "span": self.preset}) for name in self.stored.sensors}
        return {name: self.query(sensor=name) for name in self.stored.sensors}

    @property
    def chart_query(self) -> str:
        """Return the parameters for the chart: those of a preset move with the present."""
        return self.preset_query(self.preset) if self.preset else self.query()

    def preset_query(self, preset: str) -> str:
        """Return the parameters of a preset: it moves with the present."""
        values = {"sensor": self.stored.sensor, "span": preset}
        return urlencode(values | ({"compare": self.compare} if self.compare in COMPARED_DAYS else {}))

    def moved(self, share: float, factor: float = 1.0) -> str:
        """Return the parameters of a span moved by a share of its length, and `factor` times as long."""
        length = max(MIN_SPAN_SECONDS, min(MAX_SPAN_SECONDS, round((self.stop - self.start) * factor)))
        middle = (self.start + self.stop) / 2 + share * (self.stop - self.start)
        start = round(middle - length / 2) // MINUTE * MINUTE
        zone = self.stored.database.zone
        return self.query(**{"from": wall_text(start, zone), "to": wall_text(start + length // MINUTE * MINUTE, zone)})

    @property
    def wall_ends(self) -> tuple[int, int]:
        """Return the ends as milliseconds of the wall clock."""
        zone = self.stored.database.zone
        return wall_seconds(self.start, zone) * 1000, wall_seconds(self.stop, zone) * 1000


def asked_span(stored: StoredPage) -> HistorySpan:
    """Return the span of the address: `from` and `to` in local time, or `span`, a preset; and `compare`."""
    zone = stored.database.zone
    compare = stored.asked("compare")
    try:
        if compare and compare not in COMPARED_DAYS:
            epoch_of_wall(compare, zone)
        if stored.asked("from") or stored.asked("to"):
            start, stop = (epoch_of_wall(stored.asked(name), zone) for name in ("from", "to"))
            if not MIN_SPAN_SECONDS <= stop - start <= MAX_SPAN_SECONDS:
                raise ValueError("too short or too long")
            return HistorySpan(stored, start, stop, "", compare)
    except (ValueError, OverflowError):
        return HistorySpan(stored, *preset_ends(stored, DEFAULT_PRESET), DEFAULT_PRESET, is_valid=False)
    preset = stored.asked("span", DEFAULT_PRESET)
    preset = preset if preset in PRESET_NAMES else DEFAULT_PRESET
    return HistorySpan(stored, *preset_ends(stored, preset), preset, compare)


def preset_ends(stored: StoredPage, preset: str) -> tuple[int, int]:
    """Return start and stop of a preset, epoch seconds."""
    zone = stored.database.zone
    if preset == "today":
        today = local_date(stored.present - MINUTE, zone)
        return midnight(today, zone), midnight(today + timedelta(days=1), zone)
    before, after = PRESETS[preset]
    end = stored.present if before <= 3 * DAY else -(-stored.present // HOUR) * HOUR
    return end - before, end + after
