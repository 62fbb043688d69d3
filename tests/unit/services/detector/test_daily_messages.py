"""What the detector says once a day: the expected day, and the night that has ended."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from statistics import median

from shared.contract.messages import ExpectedDay, Message, NightResult, Reading
from tests.unit.services.detector.fakes import learned_site, replay
from tests.unit.services.detector.synthetic_site import DAY, SHAPES, make_site

LEARNED = 20 * DAY + 1
HOUR_MINUTES = 60


@cache
def readings() -> list[Reading]:
    return make_site(SHAPES["homes"], 24, seed=4).readings()


@cache
def messages() -> tuple[Message, ...]:
    """Return what a learned detector says of three days."""
    detector, _ = learned_site("homes", 24, 4, LEARNED).copy()
    return tuple(replay(detector, readings()[LEARNED:], ticks=True))


def test_readings_of_a_normal_day_lie_within_what_is_expected() -> None:
    (day, *_) = [message for message in messages() if isinstance(message, ExpectedDay)]
    band = day.flow_rate
    assert (day.at.hour, day.at.minute) == (0, 0)
    assert all(low < value < high for low, value, high in zip(band.low, band.expected, band.high, strict=True))
    assert min(band.low) >= 0.0
    of_day = [item.flow_rate or 0.0 for item in readings() if timedelta(0) <= item.at - day.at < timedelta(days=1)]
    for hour in range(24):
        mean = sum(of_day[hour * HOUR_MINUTES : (hour + 1) * HOUR_MINUTES]) / HOUR_MINUTES
        assert min(band.low[hour * 6 : hour * 6 + 6]) < mean < max(band.high[hour * 6 : hour * 6 + 6])


def test_night_result_is_near_the_lowest_hours_and_usual() -> None:
    before, *nights = [message for message in messages() if isinstance(message, NightResult)]
    assert (before.usual_m3h, before.limit_m3h, before.flag) == (None, None, None)  # too few nights are known
    assert len(nights) == 3
    for night in nights:
        in_window = [item.flow_rate or 0.0 for item in readings() if night.window_from <= item.at < night.window_to]
        assert night.window_to - night.window_from == timedelta(hours=3)
        assert min(in_window) <= night.minimum_m3h <= median(in_window)
        assert night.usual_m3h is not None
        assert night.limit_m3h is not None
        assert night.flag == 0
        assert abs(night.minimum_m3h - night.usual_m3h) < night.limit_m3h
