from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from services.forecaster.forecast_week import horizon_local_hours

BERLIN = ZoneInfo("Europe/Berlin")


def ahead(text: str, zone: ZoneInfo) -> list[int]:
    """Return the local hours of the day, 0 … 23, of the forecast."""
    hour = int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) // 3600
    return [int(local_hour) % 24 for local_hour in horizon_local_hours(hour, zone)]


def test_horizon_hours_are_local() -> None:
    assert ahead("2026-11-23 23:00", ZoneInfo("Asia/Seoul"))[:3] == [23, 0, 1]


def test_daylight_saving_skips_an_hour_in_spring_and_repeats_one_in_autumn() -> None:
    assert ahead("2026-03-29 00:00", BERLIN)[:4] == [0, 1, 3, 4]
    assert ahead("2026-10-25 00:00", BERLIN)[:5] == [0, 1, 2, 2, 3]


def test_there_are_169_hours_in_order() -> None:
    hours = horizon_local_hours(500_000, BERLIN)
    assert len(hours) == 169
    assert (np.diff(hours) == 1).all()
