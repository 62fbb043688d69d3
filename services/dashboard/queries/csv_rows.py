"""The rows of the CSV file of what History shows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from zoneinfo import ZoneInfo

from services.dashboard.queries.forecasts import ForecastHour
from services.dashboard.queries.site_time import MINUTE
from services.dashboard.queries.spans import Span

BYTE_ORDER_MARK = "\ufeff"
"""Korean Excel reads a CSV file without it as CP949. The importer of WVR and pandas (utf-8-sig) accept it."""
QUANTITIES = ("flow_rate (m3/h)", "pressure (bar)")
STATISTICS = ("min", "mean", "max")
QUANTILES = ("p10", "p50", "p90")
Forecasts = tuple[list[ForecastHour], list[ForecastHour]]
"""Of flow rate and pressure."""


def csv_text(span: Span, sensor: str, forecasts: Forecasts, zone: ZoneInfo) -> str:
    """Return one table: what was measured, then the forecast hours. Times carry their offset.

    Minutes have the columns of an import file; buckets have minimum, mean and maximum. Columns of the forecast are
    there if the span reaches beyond the newest reading. A span has at most some thousand rows.
    """
    columns = STATISTICS if span.step > MINUTE else ()
    quantiles = QUANTILES if any(forecasts) else ()
    header: list[object] = ["time", "minutes", "sensor"] if columns else ["time", "sensor"]
    header += [f"{name} {part}" for name in QUANTITIES for part in columns] or [*QUANTITIES]
    header += [f"{name} forecast {part}" for name in QUANTITIES for part in quantiles]
    measured = _measured(span, sensor, zone)
    empty: list[object] = [None] * (2 * len(columns) or 2)
    ahead = _ahead(sensor, forecasts, zone, bool(columns), empty)
    text = io.StringIO()
    writer = csv.writer(text)
    for row in chain([header], (row + [None] * (2 * len(quantiles)) for row in measured), ahead):
        writer.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in row])
    return BYTE_ORDER_MARK + text.getvalue()


def _measured(span: Span, sensor: str, zone: ZoneInfo) -> Iterator[list[object]]:
    for at, *values in span.buckets:
        if span.step > MINUTE:
            yield [_iso(at, zone), span.step // MINUTE, sensor, *values]
        else:
            yield [_iso(at, zone), sensor, values[1], values[4]]


def _ahead(
    sensor: str, forecasts: Forecasts, zone: ZoneInfo, with_minutes: bool, empty: list[object]
) -> Iterator[list[object]]:
    flow_rate, pressure = ({hour.at: [hour.p10, hour.p50, hour.p90] for hour in hours} for hours in forecasts)
    for at in sorted({*flow_rate, *pressure}):
        start = [_iso(at, zone), 60, sensor] if with_minutes else [_iso(at, zone), sensor]
        yield [*start, *empty, *flow_rate.get(at, [None] * 3), *pressure.get(at, [None] * 3)]


def _iso(at: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(at, zone).isoformat(timespec="minutes")
