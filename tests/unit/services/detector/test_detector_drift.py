"""Which meter's level has left the other's, and what is said of it."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from services.detector.memory import Past, day_types, ten_minute_means
from services.detector.methods import drift
from services.detector.methods.drift import Drift, Shift, blamed
from shared.domain.series import Floats
from tests.unit.services.detector.fakes import Forecasts, detector, opened, replay
from tests.unit.services.detector.site import DAY, MONDAY, SHAPES, make_site

FIRST = MONDAY.toordinal()


def two_meters(days: int = 90) -> Floats:
    """(2, days, 1440) flow and pressure of a site without events."""
    site = make_site(SHAPES["resort"], days, seed=8)
    return np.stack([site.flow, site.pressure]).reshape(2, days, DAY)


def judged(values: Floats, learned_days: int = 76) -> list[list[Shift | None]]:
    """Of flow and pressure: the shift at the end of each day after those that were learned from."""
    tens = ten_minute_means(values.astype(np.float32))
    numbers = FIRST + np.arange(values.shape[1])
    nothing, calm = np.zeros((0, 0)), np.ones(learned_days, dtype=np.bool_)
    types = day_types((numbers - 1) % 7)
    first = numbers[:learned_days], types[:learned_days], nothing, nothing, nothing
    pasts = [Past(*first, one[:learned_days], calm, calm) for one in tens]
    found = []
    for row in (0, 1):
        meter = Drift(drift.learn(pasts[row], pasts[1 - row], per_day=0.01))
        spans = [slice(max(0, last - 41), last + 1) for last in range(learned_days, len(numbers))]
        own, theirs = ([drift.levels(tens[one, span], types[span]) for span in spans] for one in (row, 1 - row))
        known = zip(own, theirs, spans, strict=True)
        found.append([meter.judge(mine, other, tens[row, span]) for mine, other, span in known])
    both = [blamed(pair) for pair in zip(*found, strict=True)]
    return [[pair[row] for pair in both] for row in (0, 1)]


def test_two_sound_meters_are_left_alone() -> None:
    assert [one for of_meter in judged(two_meters()) for one in of_meter if one] == []


@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("part", [0.4, -0.4])
def test_a_meter_that_drifts_is_told_from_the_other(row: int, part: float) -> None:
    values = two_meters()
    values[row, 78:84] *= 1 + part * np.linspace(0, 1, 6 * DAY).reshape(6, DAY)
    found = judged(values)
    shifts = [one for one in found[row][2:8] if one]
    assert shifts
    assert all(np.sign(one.size) == np.sign(part) for one in shifts)
    assert not any(found[1 - row][4:8])


def test_a_shift_that_stays_is_told_of_for_some_days_and_then_known() -> None:
    values = two_meters()
    values[0, 78:] *= 1.4
    told = [day for day, one in enumerate(judged(values)[0], start=76) if one]
    assert told[0] == 78
    assert told[-1] <= 78 + drift.NEWS[0]


def test_weekends_that_are_off_more_than_working_days_are_known_after_one() -> None:
    values = two_meters()
    weekend = np.flatnonzero((FIRST + np.arange(90) - 1) % 7 >= 5)
    values[0, 77:] *= 0.95
    values[0, weekend[weekend >= 77]] *= 0.8
    told = [day for day, one in enumerate(judged(values)[0], start=76) if one]
    assert told
    assert told[-1] < weekend[weekend >= 77][2]


@pytest.mark.parametrize("row", [0, 1])
def test_a_drift_is_told_where_no_day_ever_shifted(row: int) -> None:
    values = two_meters()
    values[:] = values[:, :1]
    values[row, 80:84] *= 1.3
    shifts = [one for one in judged(values)[row][4:8] if one]
    assert shifts
    assert all(one.size > 0 for one in shifts)


def test_faults_of_half_a_day_are_no_drift() -> None:
    values = two_meters()
    values[0, 80, : DAY // 3] *= 60.0
    assert not any(judged(values)[0])


def test_a_drift_is_one_anomaly_that_speaks_of_calibration() -> None:
    site = make_site(SHAPES["homes"], 84, seed=12)
    site.flow[76 * DAY : 82 * DAY] *= 1 - 0.2 * np.linspace(0, 1, 6 * DAY)
    said = replay(detector(), site.readings(), Forecasts())
    begin = MONDAY + timedelta(days=76)
    found = [one for one in opened(said) if "-drift-" in one.id and one.at >= begin]
    assert [(one.channel, one.kind) for one in found] == [("flow_rate", "step")]
    assert "calibration" in found[0].text.en
    assert "교정" in found[0].text.ko
