"""Public holidays of a country; the only place of the package `holidays`."""

from __future__ import annotations

import holidays

from shared.domain.calendar import Calendar


def known(code: str) -> bool:
    """Whether holidays are known for a country (`KR`) or region (`IT-TS`)."""
    country, _, region = code.partition("-")
    regions = holidays.list_supported_countries(include_aliases=False).get(country)
    return regions is not None and (not region or region in regions)


def calendar(code: str) -> Calendar:
    """Calendar of a country or region that is known."""
    country, _, region = code.partition("-")
    return Calendar(lambda year: holidays.country_holidays(country, subdiv=region or None, years=year))
