"""Korean public holidays, by kind of day."""

from __future__ import annotations

from datetime import date, timedelta

SEOLLAL = {2024: date(2024, 2, 10), 2025: date(2025, 1, 29), 2026: date(2026, 2, 17), 2027: date(2027, 2, 7)}
CHUSEOK = {2024: date(2024, 9, 17), 2025: date(2025, 10, 6), 2026: date(2026, 9, 25), 2027: date(2027, 9, 15)}
FIXED = ((1, 1), (3, 1), (5, 5), (6, 6), (8, 15), (10, 3), (10, 9), (12, 25))
OTHERS = (
    date(2024, 2, 12), date(2024, 4, 10), date(2024, 5, 6), date(2024, 5, 15), date(2024, 10, 1),
    date(2025, 1, 27), date(2025, 3, 3), date(2025, 5, 6), date(2025, 6, 3), date(2025, 10, 8),
    date(2026, 3, 2), date(2026, 5, 25), date(2026, 6, 3), date(2026, 8, 17), date(2026, 10, 5),
    date(2027, 2, 9), date(2027, 5, 13), date(2027, 8, 16), date(2027, 10, 4), date(2027, 10, 11), date(2027, 12, 27),
)  # fmt: skip
"""Substitute holidays, elections, Buddha's birthday on a working day."""


def family_days(year: int) -> dict[date, str]:
    """Days around Seollal and Chuseok: people cook and bathe the day before, and many are away."""
    found: dict[date, str] = {}
    for name, days in (("seollal", SEOLLAL), ("chuseok", CHUSEOK)):
        found |= {days[year] + timedelta(days=offset): name for offset in (-1, 0, 1)}
    return found


def holidays(year: int) -> dict[date, str]:
    """Day to its kind, `seollal`, `chuseok` or `public`, of 2024 to 2027."""
    public = [date(year, month, day) for month, day in FIXED] + [day for day in OTHERS if day.year == year]
    return dict.fromkeys(public, "public") | family_days(year)
