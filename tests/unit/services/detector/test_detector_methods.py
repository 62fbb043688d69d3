"""One suite on every method: what any of them must do whatever it looks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from time import process_time

import numpy as np
import pytest

from services.detector.criteria import Wish, learn
from services.detector.methods import METHODS
from services.detector.station import Station
from shared.contract.messages import Check, Message, Prediction, Reading, Verdict
from tests.unit.services.detector.fakes import Forecasts, KeptArchive, detector, replay, time_of, verdicts
from tests.unit.services.detector.site import DAY, MONDAY, SHAPES, make_site

DAYS = 31
CUT = MONDAY + timedelta(days=29, hours=13, minutes=7)
LOOKS: dict[str, Callable[[Verdict], Check]] = {
    "flow_rate.system": lambda verdict: verdict.flow_rate.system,
    "flow_rate.value": lambda verdict: verdict.flow_rate.value,
    "flow_rate.prediction": lambda verdict: verdict.flow_rate.prediction,
    "flow_rate.night": lambda verdict: verdict.flow_rate.night,
    "pressure.system": lambda verdict: verdict.pressure.system,
    "pressure.value": lambda verdict: verdict.pressure.value,
    "pressure.prediction": lambda verdict: verdict.pressure.prediction,
}
every_method = pytest.mark.parametrize("look", list(LOOKS.values()), ids=list(LOOKS))


def readings(change: str) -> list[Reading]:
    site = make_site(SHAPES["homes"], DAYS, seed=3)
    rng = np.random.default_rng(3)
    minutes = len(site.flow)
    if change == "burst":
        site.burst(29 * DAY + 60, 2 * DAY - 60, 0.5)
    elif change == "no values":
        site.flow[:], site.pressure[:] = np.nan, np.nan
    elif change == "constant":
        site.flow[:], site.pressure[:] = 12.5, 4.0
    elif change == "zero":
        site.flow[:], site.pressure[:] = 0.0, 0.0
    elif change == "holes":
        for values in (site.flow, site.pressure):
            values[rng.random(minutes) < 0.3] = np.nan
    elif change == "other unit":
        site.flow, site.pressure = site.flow / 3.6, site.pressure * 100
    found = site.readings()
    return [one for one in found if rng.random() < 0.7] if change == "gaps" else found


@cache
def said(change: str) -> tuple[Message, ...]:
    return tuple(replay(detector(), readings(change), Forecasts()))


def checks(change: str, look: Callable[[Verdict], Check], since: int = 0) -> list[Check]:
    begin = MONDAY + timedelta(minutes=since)
    return [look(verdict) for verdict in verdicts(said(change)) if verdict.at >= begin]


def test_the_suite_knows_every_method() -> None:
    assert {name.split(".")[1] for name in LOOKS} == set(METHODS)


@every_method
def test_it_evaluates_a_known_site(look: Callable[[Verdict], Check]) -> None:
    flags = [check.flag for check in checks("", look, since=28 * DAY)]
    assert 0 in flags
    assert flags.count(1) < 0.02 * len(flags)


@every_method
@pytest.mark.parametrize("change", ["gaps", "holes"])
def test_gaps_and_holes_are_no_anomaly_of_the_water(look: Callable[[Verdict], Check], change: str) -> None:
    flags = [check.flag for check in checks(change, look, since=28 * DAY)]
    assert 0 in flags
    assert flags.count(1) < 0.03 * len(flags)


@every_method
def test_without_any_value_it_says_nothing(look: Callable[[Verdict], Check]) -> None:
    assert {check.flag for check in checks("no values", look)} == {None}


@every_method
@pytest.mark.parametrize("change", ["constant", "zero"])
def test_a_constant_value_is_only_a_matter_for_the_system_method(look: Callable[[Verdict], Check], change: str) -> None:
    flags = {check.flag for check in checks(change, look)}
    assert flags <= ({None, 0, 1} if look.__code__.co_names[-1] == "system" else {None, 0})


@every_method
def test_a_single_reading_is_not_abnormal(look: Callable[[Verdict], Check]) -> None:
    (verdict,) = verdicts(replay(detector(), readings("")[:1]))
    assert look(verdict).flag in (None, 0)


@every_method
def test_nan_counts_as_missing(look: Callable[[Verdict], Check]) -> None:
    first, *_ = readings("")
    (verdict,) = verdicts(replay(detector(), [replace(first, flow_rate=float("nan"), pressure=float("nan"))]))
    assert look(verdict).flag is None


@every_method
def test_the_unit_of_the_meter_does_not_matter(look: Callable[[Verdict], Check]) -> None:
    pairs = list(zip(checks("burst", look), checks_in_other_unit(look), strict=True))
    same = sum(one.flag == other.flag for one, other in pairs)
    assert same > 0.998 * len(pairs)


def checks_in_other_unit(look: Callable[[Verdict], Check]) -> list[Check]:
    scaled = [
        replace(one, flow_rate=(one.flow_rate or 0.0) / 3.6, pressure=(one.pressure or 0.0) * 100)
        for one in readings("burst")
    ]
    return [look(verdict) for verdict in verdicts(_said_of(tuple(scaled)))]


@cache
def _said_of(scaled: tuple[Reading, ...]) -> tuple[Message, ...]:
    return tuple(replay(detector(), scaled, Forecasts()))


@every_method
def test_after_a_restart_it_says_the_same(look: Callable[[Verdict], Check]) -> None:
    undisturbed = [look(one) for one in verdicts(said("burst")) if one.at >= CUT]
    assert [look(one) for one in verdicts(_said_after_a_restart())] == undisturbed


@cache
def _said_after_a_restart() -> tuple[Message, ...]:
    past = [one for one in readings("burst") if one.at < CUT]
    watch = detector(KeptArchive(past, [one for one in said("burst") if time_of(one) < CUT]))
    assert verdicts(watch.start()) == []
    predictions = {one.issued_at: one for one in said("burst") if isinstance(one, Prediction)}
    found: list[Message] = []
    for reading in readings("burst")[len(past) :]:
        if reading.at.minute == 0:
            found += watch.handle(predictions[reading.at])
        found += watch.handle(reading)
    return tuple(found)


def test_a_reading_costs_little_and_no_method_remembers_more_each_day() -> None:
    watch, some = detector(), readings("")[: 16 * DAY]
    replay(watch, some[: 14 * DAY])
    watching = watch._posts["001"].watch
    station = watching.station
    before = _remembered(station)
    began = process_time()
    replay(watch, some[14 * DAY :])
    assert (process_time() - began) / (2 * DAY) < 200e-6, (
        "seconds a reading, five times what is allowed where it counts"
    )
    assert _remembered(station) == before


def _remembered(station: Station) -> list[int]:
    """Numbers that the running sides keep, at the end of a day."""
    gauges = (station.flow, station.pressure)
    return [len(side.scales.sums) for gauge in gauges for side in (gauge.value, gauge.prediction)]


@every_method
def test_a_flag_says_that_the_score_has_reached_the_limit(look: Callable[[Verdict], Check]) -> None:
    for check in checks("burst", look):
        if check.flag is not None and check.limit is not None and check.score is not None:
            assert (check.score >= check.limit) == (check.flag == 1)


@pytest.mark.parametrize("name", list(LOOKS))
def test_whoever_bears_more_false_alarms_gets_lower_limits(name: str) -> None:
    strict, easy = (_limits(name, false_alarms) for false_alarms in (0.1, 5.0))
    assert strict.keys() == easy.keys() != set()
    assert all(easy[key] <= strict[key] for key in easy if key.startswith(("up_", "down_", "joint_", "rise_", "run")))


@cache
def _month() -> Station:
    """What is learned from, the same for every wish."""
    watch = detector()
    replay(watch, readings(""), Forecasts())
    return watch._posts["001"].watch.station


def _limits(name: str, false_alarms: float) -> dict[str, float]:
    midnight = MONDAY + timedelta(days=DAYS - 1)
    limits = learn(_month().memory, "site1", "001", midnight, Wish(false_alarms, 180)).limits
    return {key.removeprefix(f"{name}."): limit for key, limit in limits.items() if key.startswith(f"{name}.")}
