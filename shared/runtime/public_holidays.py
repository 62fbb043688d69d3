"""Public holidays of a country; the only module that imports the package `holidays`.

A child process is asked once per calendar year: the package takes 10 MB of the 80 MB that a forecaster may use.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from functools import partial
from pathlib import Path

from shared.domain.holiday_calendar import HolidayCalendar

ROOT = Path(__file__).resolve().parents[2]
QUERY_TIMEOUT_SECONDS = 60.0
"""Seconds that a busy machine may take to answer."""


def is_supported(code: str) -> bool:
    """Whether holidays are available for a country (`KR`) or region (`IT-TS`)."""
    import holidays

    country, _, region = code.partition("-")
    regions = holidays.list_supported_countries(include_aliases=False).get(country)
    return regions is not None and (not region or region in regions)


def make_calendar(code: str) -> HolidayCalendar:
    """Return the calendar of a supported country or region."""
    return HolidayCalendar(partial(_query_year, code))


def _query_year(code: str, year: int) -> list[date]:
    """Return the holidays of a year. Raises CalledProcessError or TimeoutExpired."""
    command = [sys.executable, "-m", "shared.runtime.public_holidays", code, str(year)]
    output = subprocess.run(
        command, cwd=ROOT, capture_output=True, check=True, text=True, timeout=QUERY_TIMEOUT_SECONDS
    ).stdout
    return [date.fromisoformat(line) for line in output.split()]


def _print_year(code: str, year: int) -> None:
    import holidays

    country, _, region = code.partition("-")
    for day in sorted(holidays.country_holidays(country, subdiv=region or None, years=year)):
        print(day)


if __name__ == "__main__":
    _print_year(sys.argv[1], int(sys.argv[2]))
