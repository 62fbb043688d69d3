"""Messages of the detector that come once a day: the expected day, and the night that has ended."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import numpy as np

from services.detector.channel_model import ChannelModel
from services.detector.day_history import average_to_ten_minutes
from services.detector.methods.base_flow import MINIMUM_WINDOW_SLOTS, SLOTS_BEFORE_MIDNIGHT
from services.detector.sensor_model import SensorModel
from shared.contract.messages import ExpectedBand, ExpectedDay, NightResult

SLOT = timedelta(minutes=10)
SLOTS_PER_HOUR = 6
DECIMALS = 4


def expected_day_message(model: SensorModel, at: datetime) -> ExpectedDay:
    """Return what is expected of the day of `at`."""
    return ExpectedDay(
        site=model.site,
        sensor=model.sensor,
        at=_midnight(at),
        flow_rate=_band(model.flow),
        pressure=_band(model.pressure),
    )


def night_message(model: SensorModel, at: datetime) -> NightResult | None:
    """Return the result of the night that ended on the day of `at`; None if too little of it is known."""
    night = model.night_flow
    if math.isnan(night.measured_minimum_flow):
        return None
    start = _midnight(at) + (night.window_start_slot - SLOTS_BEFORE_MIDNIGHT) * SLOT
    minimum = round(night.measured_minimum_flow, DECIMALS)
    return NightResult(
        site=model.site,
        sensor=model.sensor,
        at=_midnight(at),
        window_from=start,
        window_to=start + MINIMUM_WINDOW_SLOTS * SLOT,
        minimum_m3h=minimum,
        usual_m3h=None if math.isnan(night.rise) else round(minimum - night.rise, DECIMALS),
        limit_m3h=None if math.isinf(night.step_limit) else round(night.step_limit, DECIMALS),
        leak_m3h=round(night.excess.flow, DECIMALS) if night.excess else None,
        flag=night.current_check.flag,
    )


def _band(channel: ChannelModel) -> ExpectedBand:
    if not channel.expected:
        return ExpectedBand()
    expected = average_to_ten_minutes(np.array(channel.expected))
    limits = [channel.level_shift.hourly_limits(slot // SLOTS_PER_HOUR) for slot in range(len(expected))]
    lowest, highest = channel.bounds
    low, high = (
        tuple(
            round(min(max(float(value) + limit[side], lowest), highest), DECIMALS)
            for value, limit in zip(expected, limits, strict=True)
            if limit
        )
        for side in (0, 1)
    )
    return ExpectedBand(tuple(round(float(value), DECIMALS) for value in expected), low, high)


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)
