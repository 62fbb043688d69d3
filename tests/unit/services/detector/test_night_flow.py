"""Night flow method, night by night."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from services.detector.day_history import MINUTES_PER_DAY, Day, TrainingDays, average_to_ten_minutes, types_of_weekdays
from services.detector.methods.night_flow import (
    ACCEPTED_AFTER_NIGHTS,
    HISTORY_NIGHTS,
    MEASURE_NAMES,
    NightExcess,
    NightFlowDetector,
    fit,
)
from services.detector.methods.night_trend import WINDOW_NIGHTS
from services.detector.methods.standardise import Parameters
from tests.unit.services.detector.synthetic_site import MONDAY, SHAPES, SyntheticSite, make_site

DAYS = 150
LEARNED = 91
ONSET = 100
FIRST = MONDAY.toordinal()
TYPES = types_of_weekdays((FIRST + np.arange(DAYS) - 1) % 7)
NOTHING = np.zeros((0, 0))
PER_DAY = 0.002
"""Few false alarms, so that chance does not affect the tests."""


@cache
def site() -> SyntheticSite:
    return make_site(SHAPES["homes"], DAYS, seed=5)


@cache
def normal_flow() -> np.ndarray:
    flow = site().flow
    flow.flags.writeable = False
    return flow


def average(flow: np.ndarray) -> np.ndarray:
    return average_to_ten_minutes(flow.reshape(-1, MINUTES_PER_DAY).astype(np.float32))


def fit_to(flow: np.ndarray) -> Parameters:
    every = np.ones(LEARNED - 14, dtype=bool)
    first = FIRST + np.arange(14, LEARNED), TYPES[14:LEARNED], NOTHING, NOTHING, NOTHING
    days, pressure = (
        TrainingDays(*first, average(values)[14:LEARNED], every, every) for values in (flow, site().pressure)
    )
    parameters = fit(days, pressure, PER_DAY, PER_DAY)
    assert parameters is not None
    return parameters


@cache
def fitted() -> Parameters:
    return fit_to(normal_flow())


class NightReplay:
    """Evaluates the nights of a flow, and keeps an alarm open as the monitor does."""

    def __init__(self, flow: np.ndarray, pressure: np.ndarray | None = None) -> None:
        ten_minute_means = np.stack([average(flow), average(site().pressure if pressure is None else pressure)], axis=1)
        detector, opened, empty = NightFlowDetector(fitted()), 0, np.zeros((2, 0), dtype=np.float32)
        days = [Day(FIRST + index, empty, empty, empty, means) for index, means in enumerate(ten_minute_means)]
        self.opened: list[int] = []
        self.cleared: list[int] = []
        self.sizes = []
        self.risen: dict[int, NightExcess] = {}
        """Steps of single nights, by index."""
        for index in range(LEARNED, len(days)):
            detector.alarm_opened_on = opened
            before = days[max(0, index - HISTORY_NIGHTS) : index]
            types = TYPES[max(0, index - HISTORY_NIGHTS) : index + 1]
            detector.evaluate(before, ten_minute_means[index], FIRST + index, types, set())
            if detector.night_step:
                self.risen[index] = detector.night_step
            if opened and detector.is_resolved:
                self.cleared.append(index)
                opened = 0
            elif detector.is_leaking:
                assert detector.excess is not None
                self.sizes.append(detector.excess)
                self.opened += [] if opened else [index]
                opened = opened or FIRST + index


def with_leak(share: float, grows: int = 5, until: int = DAYS) -> np.ndarray:
    flow, days = normal_flow().copy(), np.arange(DAYS * MINUTES_PER_DAY) / MINUTES_PER_DAY
    lost = share * SHAPES["homes"].mean_flow * np.clip((days - ONSET) / grows, 0, 1)
    return flow + np.where(days < until, lost, 0.0)


def test_normal_site_has_no_leak() -> None:
    assert NightReplay(normal_flow()).opened == []


@pytest.mark.parametrize("share", [0.04, 0.08, 0.15])
def test_growing_leak_is_found_within_days(share: float) -> None:
    replayed = [day for day in NightReplay(with_leak(share)).opened if day >= ONSET]
    assert replayed
    assert replayed[0] <= ONSET + 7


def test_leak_has_size_onset_and_volume() -> None:
    replayed = NightReplay(with_leak(0.08, until=ONSET + 14))
    excess, true = replayed.sizes[-1], 0.08 * SHAPES["homes"].mean_flow
    assert abs(excess.flow - true) < 2 * excess.interval_half_width
    assert excess.interval_half_width < 0.5 * true
    assert excess.nights == pytest.approx(14, abs=3)
    assert excess.lost_volume == pytest.approx(24 * true * 11, rel=0.4)


def test_leak_ends_in_first_night_after_repair() -> None:
    replayed = NightReplay(with_leak(0.08, until=ONSET + 14))
    assert replayed.cleared == [ONSET + 14]


def test_leak_of_weeks_is_accepted_as_new_level() -> None:
    replayed = NightReplay(with_leak(0.08))
    assert replayed.cleared == [replayed.opened[0] + ACCEPTED_AFTER_NIGHTS]


def test_heat_wave_is_no_leak() -> None:
    flow, days = normal_flow().copy(), np.arange(DAYS * MINUTES_PER_DAY) / MINUTES_PER_DAY
    lowest = np.quantile(flow, 0.05)
    hot = (days >= ONSET) & (days < ONSET + 7)
    flow[hot] += 0.3 * (flow[hot] - 0.6 * lowest)
    assert NightReplay(flow).opened == []


def test_daytime_user_is_no_leak() -> None:
    flow, minutes = normal_flow().copy(), np.arange(DAYS * MINUTES_PER_DAY)
    open_hours = (
        (minutes >= ONSET * MINUTES_PER_DAY)
        & (minutes % MINUTES_PER_DAY >= 8 * 60)
        & (minutes % MINUTES_PER_DAY < 19 * 60)
    )
    flow[open_hours] *= 1.15
    assert NightReplay(flow).opened == []


def test_night_of_flushing_is_no_leak() -> None:
    flow = normal_flow().copy()
    flow[ONSET * MINUTES_PER_DAY : ONSET * MINUTES_PER_DAY + 240] += 40.0
    assert NightReplay(flow).opened == []


def with_burst(hours: int, share: float = 0.15) -> np.ndarray:
    flow, start = normal_flow().copy(), ONSET * MINUTES_PER_DAY + 14 * 60
    flow[start : start + 60 * hours] += share * SHAPES["homes"].mean_flow
    return flow


def test_burst_shows_in_first_night() -> None:
    replayed = NightReplay(with_burst(hours=20)).risen
    assert list(replayed) == [ONSET + 1]
    excess, true = replayed[ONSET + 1], 0.15 * SHAPES["homes"].mean_flow
    assert abs(excess.flow - true) < 2 * excess.interval_half_width < true


def test_burst_ended_before_night_does_not_show() -> None:
    assert NightReplay(with_burst(hours=8)).risen == {}


def test_night_after_day_of_high_demand_is_no_step() -> None:
    flow = with_burst(hours=20)
    day = slice(ONSET * MINUTES_PER_DAY + 5 * 60, ONSET * MINUTES_PER_DAY + 22 * 60)
    flow[day] += 0.4 * SHAPES["homes"].mean_flow
    assert NightReplay(flow).risen == {}


def since_onset(expected: np.ndarray, factor: float) -> np.ndarray:
    return np.where(np.arange(DAYS * MINUTES_PER_DAY) < ONSET * MINUTES_PER_DAY, expected, factor * expected)


def test_leakage_from_higher_pressure_is_no_leak() -> None:
    flow = with_leak(0.4 * fitted().limits["leakage"] / SHAPES["homes"].mean_flow, grows=1)
    assert NightReplay(flow).opened
    assert NightReplay(flow, since_onset(site().pressure, 1.4)).opened == []


@pytest.mark.parametrize("factor", [0.6, 0.0, np.nan])
def test_low_or_missing_pressure_opens_no_leak(factor: float) -> None:
    assert NightReplay(normal_flow(), since_onset(site().pressure, factor)).opened == []


def test_faulty_high_pressure_hides_no_large_leak() -> None:
    assert NightReplay(with_leak(0.2), since_onset(site().pressure, 14.5)).opened


def test_nights_without_readings_open_and_end_nothing() -> None:
    flow = with_leak(0.08, until=ONSET + 14)
    expected = NightReplay(flow)
    flow[(ONSET + 9) * MINUTES_PER_DAY : (ONSET + 11) * MINUTES_PER_DAY] = np.nan
    assert NightReplay(flow).opened == expected.opened
    assert NightReplay(flow).cleared == expected.cleared


def test_weights_show_constant_flow_in_full() -> None:
    weights = np.array(fitted().profiles["weights"])
    assert weights.sum() == pytest.approx(1.0, abs=1e-4)
    assert weights[19:].sum() > weights[:12].sum()
    assert {f"{name}_{count}" for name in MEASURE_NAMES for count in WINDOW_NIGHTS} <= fitted().limits.keys()


def test_result_does_not_depend_on_unit() -> None:
    other = fit_to(normal_flow() / 3.6)
    assert other.limits["limit"] == fitted().limits["limit"]
    assert other.limits["rise_3"] * 3.6 == pytest.approx(fitted().limits["rise_3"], rel=1e-3)


def test_incomplete_criteria_are_rejected_at_construction() -> None:
    with pytest.raises(LookupError):
        NightFlowDetector(Parameters({"calm_from": 20.0, "rise_1": 2.0, "limit": 1.0}, {}))
