"""Minutes of a span without a usable value, by cause."""

from __future__ import annotations

from dataclasses import dataclass

from services.dashboard.queries.chart_lines import usual_distance
from services.dashboard.queries.database import Database
from services.dashboard.queries.site_time import MINUTE
from shared.contract.messages import CHANNELS, Channel


@dataclass(frozen=True, slots=True)
class Gaps:
    """Values of one channel that are missing in a span; a value stands for `interval` minutes."""

    channel: Channel
    interval: int
    """Usual minutes between two values."""
    expected: int
    """Values that the channel gives in the span."""
    usable: int
    not_received: int
    without_value: int
    """Readings that came without this channel's value."""
    out_of_range: int
    """Values that the meter can't show."""
    doubted: int
    """Values whose time is doubted."""
    is_hourly: bool
    """Whether the minutes are no longer stored, so that only the number of readings is known."""

    @property
    def missing(self) -> int:
        return max(0, self.expected - self.usable)

    @property
    def missing_share(self) -> float:
        """Return the share of the expected values that are missing, 0 to 1."""
        return self.missing / self.expected if self.expected else 0.0


_CADENCE_SQL = """SELECT {channel}_interval FROM SENSOR_STATE_TB
    WHERE site = ?1 AND sensor = ?2 AND {channel}_interval IS NOT NULL ORDER BY service LIMIT 1"""
_TIMES_SQL = """SELECT at FROM REAL_VAL_TB WHERE site = ?1 AND sensor = ?2 AND at >= ?3 AND at < ?4
    AND {channel} IS NOT NULL AND clock != 'doubted' ORDER BY at LIMIT 2000"""
_COUNTS_SQL = """SELECT coalesce(sum(clock != 'doubted' AND {channel} BETWEEN ?5 AND ?6), 0),
    coalesce(sum(clock != 'doubted' AND {channel} NOT BETWEEN ?5 AND ?6), 0),
    coalesce(sum(clock = 'doubted' AND {channel} IS NOT NULL), 0),
    coalesce(sum({channel} IS NULL), 0) FROM REAL_VAL_TB WHERE site = ?1 AND sensor = ?2 AND at >= ?3 AND at < ?4"""
_HOURS_SQL = """SELECT coalesce(sum(minutes), 0) FROM HOURLY_VAL_TB
    WHERE site = ?1 AND sensor = ?2 AND at >= ?3 AND at < ?4 AND {channel}_mean IS NOT NULL"""


def read_gaps(database: Database, sensor: str, start: int, stop: int) -> list[Gaps]:
    """Return the missing values of each channel that the sensor has in [start, stop). Raises Unavailable."""
    gaps = (_of_channel(database, sensor, channel, start, stop) for channel in CHANNELS)
    return [channel_gaps for channel_gaps in gaps if channel_gaps]


def _of_channel(database: Database, sensor: str, channel: Channel, start: int, stop: int) -> Gaps | None:
    interval = _interval(database, sensor, channel, start, stop)
    expected = max(0, stop - start) // (MINUTE * interval)
    if database.has_lost_minutes(sensor, start, stop):
        hourly = database.number(_HOURS_SQL.format(channel=channel), sensor, start, stop) or 0
        usable = min(hourly, expected)
        gaps = Gaps(channel, interval, expected, usable, expected - usable, 0, 0, 0, is_hourly=True)
        return gaps if hourly else None
    bounds = database.ranges.of(sensor)[CHANNELS.index(channel)]
    counts = database.rows(_COUNTS_SQL.format(channel=channel), sensor, start, stop, *bounds)
    if not counts or not any(counts[0][:3]):
        return None
    usable, out_of_range, doubted, empty = counts[0]
    absent = max(0, expected - usable - out_of_range - doubted)
    received = min(absent, empty)
    counts_by_cause = (absent - received, received, out_of_range, doubted)
    return Gaps(channel, interval, expected, usable, *counts_by_cause, is_hourly=False)


def _interval(database: Database, sensor: str, channel: Channel, start: int, stop: int) -> int:
    """Return the minutes between two values: those that the detector states, else the usual ones of the span."""
    if stated := database.number(_CADENCE_SQL.format(channel=channel), sensor):
        return stated
    times = [row[0] for row in database.rows(_TIMES_SQL.format(channel=channel), sensor, start, stop)]
    return round(usual_distance(times, MINUTE) / MINUTE)
