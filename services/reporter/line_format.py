"""Formats the lines of alert.txt and server.txt (docs/reference/files.md)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from shared.contract.messages import SUPPORTED_YEARS, Check, Prediction, Verdict, is_valid_name

NULL = "NULL"
ALERT_COLUMNS = 11
"""Columns of alert.txt."""
DST_REPEAT_MARK = "B"


def alert_line(verdict: Verdict) -> str:
    """Return the eleven columns of one reading."""
    flow, pressure = verdict.flow_rate, verdict.pressure
    flags = (
        f"{format_flag(flow.system)} {format_flag(flow.value)} {format_flag(flow.prediction)} {format_flag(flow.night)}"
    )
    pressure_flags = f"{format_flag(pressure.system)} {format_flag(pressure.value)} {format_flag(pressure.prediction)}"
    values = f"{format_value(verdict.reading.flow_rate)}  {format_value(verdict.reading.pressure)}"
    return f"{verdict.sensor}  {format_minute(verdict.at)}  {values}  {flags}  {pressure_flags}"


def missing_line(sensor: str, at: str, silent: bool) -> str:
    """Return the eleven columns of a minute without a reading; the system flags are 1 while the sensor is silent."""
    system = "1" if silent else NULL
    minute = at.replace(DST_REPEAT_MARK, ":")
    return f"{sensor}  {minute}  {NULL}  {NULL}  {system} {NULL} {NULL} {NULL}  {system} {NULL} {NULL}"


def forecast_columns(prediction: Prediction | None, hours: Sequence[int]) -> str:
    """Return the forecasts of flow rate and then pressure at these horizons (hours); all NULL without a prediction."""
    if prediction is None:
        blank = " ".join([NULL] * len(hours))
        return f"{blank}  {blank}"
    flow, pressure = prediction.flow_rate.p50, prediction.pressure.p50
    return "  ".join(" ".join(format_value(p50[k] if p50 else None) for k in hours) for p50 in (flow, pressure))


def format_minute(at: datetime) -> str:
    """Return local time without offset, to the minute."""
    return at.isoformat(timespec="minutes")[:16]


@lru_cache(maxsize=1024)
def minute_key(at: int, zone: ZoneInfo) -> str:
    """Return a sortable key of the minute of epoch seconds.

    In the hour that the end of DST repeats, the second pass has a B instead of the colon: 2026-10-25T02B59.
    """
    local = datetime.fromtimestamp(at, zone)
    return format_minute(local).replace(":", DST_REPEAT_MARK) if local.fold else format_minute(local)


def format_value(value: float | None) -> str:
    """Return two decimals, or NULL."""
    return NULL if value is None else f"{value:.2f}"


def format_flag(check: Check) -> str:
    """Return 0, 1 or NULL."""
    return NULL if check.flag is None else str(check.flag)


def parse_line(line: str, hours: int) -> tuple[str, str] | None:
    """Return sensor and minute of a server.txt line with this number of horizons; None if it is not such a line.

    The column that marks repeated values may follow.
    """
    columns = line.split()
    if len(columns) - ALERT_COLUMNS - 2 * hours not in (0, 1) or len(columns[0]) > 64 or not is_valid_name(columns[0]):
        return None
    try:
        at = datetime.strptime(columns[1], "%Y-%m-%dT%H:%M")  # noqa: DTZ007
    except ValueError:
        return None
    return (columns[0], format_minute(at)) if at.year in SUPPORTED_YEARS else None


def alert_columns(line: str) -> str:
    """Return the first eleven columns of a server.txt line."""
    return "  ".join(line.split("  ")[:6])


def key_to_time(key: str, zone: ZoneInfo) -> datetime:
    """Return the time of a minute key."""
    return datetime.fromisoformat(key.replace(DST_REPEAT_MARK, ":")).replace(
        tzinfo=zone, fold=int(DST_REPEAT_MARK in key)
    )
