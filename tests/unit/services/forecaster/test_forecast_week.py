from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from services.forecaster.forecast_week import horizon_local_hours

BERLIN = ZoneInfo("Europe/Berlin")


def ahead(text: str, zone: ZoneInfo) -> list[int]:
    """Local hours of the day of the week ahead."""
    hour = int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) // 3600
    return [int(one) % 24 for one in horizon_local_hours(hour, zone)]


def test_the_hours_ahead_are_local() -> None:
    assert ahead("2026-11-23 23:00", ZoneInfo("Asia/Seoul"))[:3] == [23, 0, 1]


def test_a_clock_set_forward_leaves_out_an_hour_and_one_set_back_says_it_twice() -> None:
    assert ahead("2026-03-29 00:00", BERLIN)[:4] == [0, 1, 3, 4]
    assert ahead("2026-10-25 00:00", BERLIN)[:5] == [0, 1, 2, 2, 3]


def test_there_are_169_of_them_in_order() -> None:
    hours = horizon_local_hours(500_000, BERLIN)
    assert len(hours) == 169
    assert (np.diff(hours) == 1).all()
