"""Nights of a site, one by one, as the night method judges them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from services.detector.memory import MINUTES, Day, Past, day_types, ten_minute_means
from services.detector.methods.night import KEPT, LASTS, MEASURES, Excess, Night, learn
from services.detector.methods.rises import NIGHTS
from services.detector.methods.spreads import Learned
from tests.unit.services.detector.site import MONDAY, SHAPES, Site, make_site

DAYS = 150
LEARNED = 91
ONSET = 100
FIRST = MONDAY.toordinal()
TYPES = day_types((FIRST + np.arange(DAYS) - 1) % 7)
NOTHING = np.zeros((0, 0))
PER_DAY = 0.002
"""Few false alarms, so that chance ones spoil no test."""


@cache
def site() -> Site:
    return make_site(SHAPES["homes"], DAYS, seed=5)


@cache
def quiet() -> np.ndarray:
    flow = site().flow
    flow.flags.writeable = False
    return flow


def tens_of(flow: np.ndarray) -> np.ndarray:
    return ten_minute_means(flow.reshape(-1, MINUTES).astype(np.float32))


def learned_from(flow: np.ndarray) -> Learned:
    every = np.ones(LEARNED - 14, dtype=bool)
    first = FIRST + np.arange(14, LEARNED), TYPES[14:LEARNED], NOTHING, NOTHING, NOTHING
    past, pressure = (Past(*first, tens_of(one)[14:LEARNED], every, every) for one in (flow, site().pressure))
    found = learn(past, pressure, PER_DAY, PER_DAY)
    assert found is not None
    return found


@cache
def learned() -> Learned:
    return learned_from(quiet())


class Watchman:
    """Judges the nights of a flow, and keeps an alarm open as the watch does."""

    def __init__(self, flow: np.ndarray, pressure: np.ndarray | None = None) -> None:
        tens = np.stack([tens_of(flow), tens_of(site().pressure if pressure is None else pressure)], axis=1)
        night, opened, nothing = Night(learned()), 0, np.zeros((2, 0), dtype=np.float32)
        days = [Day(FIRST + place, nothing, nothing, nothing, one) for place, one in enumerate(tens)]
        self.opened: list[int] = []
        self.cleared: list[int] = []
        self.sizes = []
        self.risen: dict[int, Excess] = {}
        """Nights that alone had more than those before."""
        for place in range(LEARNED, len(days)):
            night.opened = opened
            before, types = days[max(0, place - KEPT) : place], TYPES[max(0, place - KEPT) : place + 1]
            night.close_night(before, tens[place], FIRST + place, types, set())
            if night.last:
                self.risen[place] = night.last
            if opened and night.over:
                self.cleared.append(place)
                opened = 0
            elif night.leaking:
                assert night.excess is not None
                self.sizes.append(night.excess)
                self.opened += [] if opened else [place]
                opened = opened or FIRST + place


def with_leak(part: float, grows: int = 5, until: int = DAYS) -> np.ndarray:
    flow, days = quiet().copy(), np.arange(DAYS * MINUTES) / MINUTES
    lost = part * SHAPES["homes"].mean_flow * np.clip((days - ONSET) / grows, 0, 1)
    return flow + np.where(days < until, lost, 0.0)


def test_a_quiet_site_has_no_leak() -> None:
    assert Watchman(quiet()).opened == []


@pytest.mark.parametrize("part", [0.04, 0.08, 0.15])
def test_a_growing_leak_is_found_within_days(part: float) -> None:
    found = [day for day in Watchman(with_leak(part)).opened if day >= ONSET]
    assert found
    assert found[0] <= ONSET + 7


def test_its_size_onset_and_water_are_told() -> None:
    watch = Watchman(with_leak(0.08, until=ONSET + 14))
    size, true = watch.sizes[-1], 0.08 * SHAPES["homes"].mean_flow
    assert abs(size.flow - true) < 2 * size.doubt
    assert size.doubt < 0.5 * true
    assert size.nights == pytest.approx(14, abs=3)
    assert size.water == pytest.approx(24 * true * 11, rel=0.4)


def test_the_alarm_ends_in_the_first_night_after_the_repair() -> None:
    watch = Watchman(with_leak(0.08, until=ONSET + 14))
    assert watch.cleared == [ONSET + 14]


def test_what_has_lasted_for_weeks_is_the_new_level() -> None:
    watch = Watchman(with_leak(0.08))
    assert watch.cleared == [watch.opened[0] + LASTS]


def test_a_heat_wave_is_no_leak() -> None:
    flow, days = quiet().copy(), np.arange(DAYS * MINUTES) / MINUTES
    lowest = np.quantile(flow, 0.05)
    hot = (days >= ONSET) & (days < ONSET + 7)
    flow[hot] += 0.3 * (flow[hot] - 0.6 * lowest)
    assert Watchman(flow).opened == []


def test_a_user_by_day_is_no_leak() -> None:
    flow, minutes = quiet().copy(), np.arange(DAYS * MINUTES)
    open_hours = (minutes >= ONSET * MINUTES) & (minutes % MINUTES >= 8 * 60) & (minutes % MINUTES < 19 * 60)
    flow[open_hours] *= 1.15
    assert Watchman(flow).opened == []


def test_a_night_of_flushing_is_no_leak() -> None:
    flow = quiet().copy()
    flow[ONSET * MINUTES : ONSET * MINUTES + 240] += 40.0
    assert Watchman(flow).opened == []


def with_burst(hours: int, part: float = 0.15) -> np.ndarray:
    flow, start = quiet().copy(), ONSET * MINUTES + 14 * 60
    flow[start : start + 60 * hours] += part * SHAPES["homes"].mean_flow
    return flow


def test_a_burst_shows_in_its_first_night() -> None:
    found = Watchman(with_burst(hours=20)).risen
    assert list(found) == [ONSET + 1]
    size, true = found[ONSET + 1], 0.15 * SHAPES["homes"].mean_flow
    assert abs(size.flow - true) < 2 * size.doubt < true


def test_what_is_over_by_night_does_not() -> None:
    assert Watchman(with_burst(hours=8)).risen == {}


def test_a_night_after_a_day_of_demand_is_none() -> None:
    flow = with_burst(hours=20)
    day = slice(ONSET * MINUTES + 5 * 60, ONSET * MINUTES + 22 * 60)
    flow[day] += 0.4 * SHAPES["homes"].mean_flow
    assert Watchman(flow).risen == {}


def since_onset(usual: np.ndarray, factor: float) -> np.ndarray:
    return np.where(np.arange(DAYS * MINUTES) < ONSET * MINUTES, usual, factor * usual)


def test_what_more_pressure_adds_to_the_leakage_is_no_leak() -> None:
    flow = with_leak(0.4 * learned().limits["leakage"] / SHAPES["homes"].mean_flow, grows=1)
    assert Watchman(flow).opened
    assert Watchman(flow, since_onset(site().pressure, 1.4)).opened == []


@pytest.mark.parametrize("factor", [0.6, 0.0, np.nan])
def test_a_gauge_that_shows_less_or_nothing_makes_no_leak(factor: float) -> None:
    assert Watchman(quiet(), since_onset(site().pressure, factor)).opened == []


def test_a_gauge_that_shows_far_too_much_hides_no_large_leak() -> None:
    assert Watchman(with_leak(0.2), since_onset(site().pressure, 14.5)).opened


def test_nights_without_readings_neither_open_nor_end_an_alarm() -> None:
    flow = with_leak(0.08, until=ONSET + 14)
    usual = Watchman(flow)
    flow[(ONSET + 9) * MINUTES : (ONSET + 11) * MINUTES] = np.nan
    assert Watchman(flow).opened == usual.opened
    assert Watchman(flow).cleared == usual.cleared


def test_weights_of_the_hours_show_a_constant_flow_in_full() -> None:
    weights = np.array(learned().profiles["weights"])
    assert weights.sum() == pytest.approx(1.0, abs=1e-4)
    assert weights[19:].sum() > weights[:12].sum()
    assert {f"{name}_{count}" for name in MEASURES for count in NIGHTS} <= learned().limits.keys()


def test_the_unit_does_not_matter() -> None:
    other = learned_from(quiet() / 3.6)
    assert other.limits["limit"] == learned().limits["limit"]
    assert other.limits["rise_3"] * 3.6 == pytest.approx(learned().limits["rise_3"], rel=1e-3)


def test_criteria_of_an_older_version_are_refused_before_a_night_needs_them() -> None:
    with pytest.raises(LookupError):
        Night(Learned({"calm_from": 20.0, "rise_1": 2.0, "limit": 1.0}, {}))
