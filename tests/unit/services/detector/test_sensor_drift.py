"""Sensor drift: attribution to a meter, duration and text."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from services.detector.day_history import TrainingDays, average_to_ten_minutes, types_of_weekdays
from services.detector.methods import sensor_drift
from services.detector.methods.sensor_drift import SensorDriftDetector, SensorShift, attribute_to_one_meter
from shared.domain.series import Floats
from tests.unit.services.detector.fakes import learned_site, opened
from tests.unit.services.detector.synthetic_site import DAY, MONDAY, SHAPES, make_site

FIRST = MONDAY.toordinal()


def two_meters(days: int = 90) -> Floats:
    """Return (2, days, 1440) flow and pressure of a site without events."""
    site = make_site(SHAPES["resort"], days, seed=8)
    return np.stack([site.flow, site.pressure]).reshape(2, days, DAY)


def shifts_by_day(values: Floats, learned_days: int = 76) -> list[list[SensorShift | None]]:
    """Return for flow and pressure the shift at the end of each day after those fitted to."""
    means = average_to_ten_minutes(values.astype(np.float32))
    numbers = FIRST + np.arange(values.shape[1])
    nothing, every = np.zeros((0, 0)), np.ones(learned_days, dtype=np.bool_)
    types = types_of_weekdays((numbers - 1) % 7)
    first = numbers[:learned_days], types[:learned_days], nothing, nothing, nothing
    pasts = [TrainingDays(*first, row_[:learned_days], every, every) for row_ in means]
    shifts = []
    for row in (0, 1):
        meter = SensorDriftDetector(sensor_drift.fit(pasts[row], pasts[1 - row], per_day=0.01))
        spans = [slice(max(0, last - 41), last + 1) for last in range(learned_days, len(numbers))]
        own_levels, other_levels = (
            [sensor_drift.daily_levels(means[row_, span], types[span]) for span in spans] for row_ in (row, 1 - row)
        )
        known_spans = zip(own_levels, other_levels, spans, strict=True)
        shifts.append([meter.evaluate(mine, other, means[row, span]) for mine, other, span in known_spans])
    arrays = [attribute_to_one_meter(pair) for pair in zip(*shifts, strict=True)]
    return [[pair[row] for pair in arrays] for row in (0, 1)]


def test_valid_meters_have_no_drift() -> None:
    assert [shift for of_meter in shifts_by_day(two_meters()) for shift in of_meter if shift] == []


@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("share", [0.4, -0.4])
def test_drift_is_attributed_to_the_right_meter(row: int, share: float) -> None:
    values = two_meters()
    values[row, 78:84] *= 1 + share * np.linspace(0, 1, 6 * DAY).reshape(6, DAY)
    by_channel = shifts_by_day(values)
    shifts = [shift for shift in by_channel[row][2:8] if shift]
    assert shifts
    assert all(np.sign(shift.size) == np.sign(share) for shift in shifts)
    assert not any(by_channel[1 - row][4:8])


def test_lasting_shift_is_reported_for_days_and_then_accepted() -> None:
    values = two_meters()
    values[0, 78:] *= 1.4
    reported = [day for day, shift in enumerate(shifts_by_day(values)[0], start=76) if shift]
    assert reported[0] == 78
    assert reported[-1] <= 78 + sensor_drift.KNOWN_AFTER_DAYS[0]


def test_larger_weekend_shift_is_known_after_one_weekend() -> None:
    values = two_meters()
    weekend = np.flatnonzero((FIRST + np.arange(90) - 1) % 7 >= 5)
    values[0, 77:] *= 0.95
    values[0, weekend[weekend >= 77]] *= 0.8
    reported = [day for day, shift in enumerate(shifts_by_day(values)[0], start=76) if shift]
    assert reported
    assert reported[-1] < weekend[weekend >= 77][2]


@pytest.mark.parametrize("row", [0, 1])
def test_drift_is_found_where_no_day_shifted_before(row: int) -> None:
    values = two_meters()
    values[:] = values[:, :1]
    values[row, 80:84] *= 1.3
    shifts = [shift for shift in shifts_by_day(values)[row][4:8] if shift]
    assert shifts
    assert all(shift.size > 0 for shift in shifts)


def test_fault_of_half_a_day_is_no_drift() -> None:
    values = two_meters()
    values[0, 80, : DAY // 3] *= 60.0
    assert not any(shifts_by_day(values)[0])


def test_drift_is_one_anomaly_about_calibration() -> None:
    site = make_site(SHAPES["homes"], 84, seed=12)
    site.flow[76 * DAY : 82 * DAY] *= 1 - 0.2 * np.linspace(0, 1, 6 * DAY)
    messages = learned_site("homes", 84, 12, 74 * DAY + 1).replay(site.readings(74 * DAY + 1))
    begin = MONDAY + timedelta(days=76)
    drifts = [anomaly for anomaly in opened(messages) if anomaly.trigger == "drift" and anomaly.at >= begin]
    assert [(anomaly.channel, anomaly.kind) for anomaly in drifts] == [("flow_rate", "step")]
    assert "calibration" in drifts[0].text.en
    assert "교정" in drifts[0].text.ko
