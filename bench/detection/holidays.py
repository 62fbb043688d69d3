"""Korean public holidays, by kind of day."""

from __future__ import annotations

from datetime import date, timedelta

SEOLLAL = {2024: date(2024, 2, 10), 2025: date(2025, 1, 29), 2026: date(2026, 2, 17), 2027: date(2027, 2, 7)}
CHUSEOK = {2024: date(2024, 9, 17), 2025: date(2025, 10, 6), 2026: date(2026, 9, 25), 2027: date(2027, 9, 15)}
FIXED = ((1, 1), (3, 1), (5, 5), (6, 6), (8, 15), (10, 3), (10, 9), (12, 25))
OTHERS = tuple(
    map(
        date.fromisoformat,
        [
            "2024-02-12",
            "2024-04-10",
            "2024-05-06",
            "2024-05-15",
            "2024-10-01",
            "2025-01-27",
            "2025-03-03",
            "2025-05-06",
            "2025-06-03",
            "2025-10-08",
            "2026-03-02",
            "2026-05-25",
            "2026-06-03",
            "2026-08-17",
            "2026-10-05",
            "2027-02-09",
            "2027-05-13",
            "2027-08-16",
            "2027-10-04",
            "2027-10-11",
            "2027-12-27",
        ],
    )
)
"""Substitute holidays, elections, and Buddha's birthday on working days."""


def family_days(year: int) -> dict[date, str]:
    """Return the days around Seollal and Chuseok, on which demand differs."""
    kinds: dict[date, str] = {}
    for name, days in (("seollal", SEOLLAL), ("chuseok", CHUSEOK)):
        kinds |= {days[year] + timedelta(days=offset): name for offset in (-1, 0, 1)}
    return kinds


def holidays(year: int) -> dict[date, str]:
    """Return the holidays of a year, 2024 to 2027, with their kind: `seollal`, `chuseok` or `public`."""
    public = [date(year, month, day) for month, day in FIXED] + [day for day in OTHERS if day.year == year]
    return dict.fromkeys(public, "public") | family_days(year)
