"""Simulated records as CSV files."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from services.ingest.sources.simulator import Simulator
from shared.domain.series import MINUTE

ZONE = ZoneInfo("Asia/Seoul")
START_SECONDS = int(datetime(2025, 11, 1, tzinfo=ZONE).timestamp())
UTC_OFFSET_SECONDS = 9 * 3600


def write_record(path: Path, minutes: int) -> None:
    """Write so many minutes of sensor 001 from November 2025 on to a CSV file."""
    series = Simulator(3, ("001",), 60.0, 4.0, ZONE).history("001", START_SECONDS, START_SECONDS + minutes * MINUTE)
    local = (series.at + UTC_OFFSET_SECONDS).astype("datetime64[s]").astype(str)
    rows = zip(local, series.flow_rate, series.pressure, strict=True)
    with path.open("w", encoding="ascii") as file:
        file.write("timestamp,sensor,flow_rate,pressure\n")
        file.writelines(f"{at[:16]},001,{flow},{pressure}\n" for at, flow, pressure in rows)
