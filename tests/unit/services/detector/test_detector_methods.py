"""Tests that every detection method must pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from itertools import compress
from time import process_time

import numpy as np
import pytest

from services.detector.calibration import CalibrationTargets, calibrate
from services.detector.day_history import Mask
from services.detector.methods import METHODS
from services.detector.sensor_model import SensorModel
from shared.contract.messages import Check, Message, Prediction, Reading, Verdict
from shared.domain.series import Series
from tests.unit.services.detector.fakes import FakeForecaster, LearnedDetector, make_detector, replay, time_of, verdicts
from tests.unit.services.detector.synthetic_site import DAY, MONDAY, SHAPES, SyntheticSite, make_site

DAYS = 31
LEARNED = 28 * DAY + 1
YOUNG = 5 * DAY
"""Minutes of a site without history: its criteria are those of its first days."""
CUT_MINUTE = 29 * DAY + 13 * 60 + 7
CUT = MONDAY + timedelta(minutes=CUT_MINUTE)
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


@cache
def site(change: str) -> SyntheticSite:
    synthetic = make_site(SHAPES["homes"], DAYS, seed=3)
    rng = np.random.default_rng(3)
    if change.startswith("burst"):
        synthetic.burst(29 * DAY + 60, 2 * DAY - 60, 0.5)
    if change == "no values":
        synthetic.flow[:], synthetic.pressure[:] = np.nan, np.nan
    elif change == "constant":
        synthetic.flow[:], synthetic.pressure[:] = 12.5, 4.0
    elif change == "zero":
        synthetic.flow[:], synthetic.pressure[:] = 0.0, 0.0
    elif change == "holes":
        for values in (synthetic.flow, synthetic.pressure):
            values[rng.random(len(values)) < 0.3] = np.nan
    elif change == "burst in another unit":
        synthetic.flow, synthetic.pressure = synthetic.flow / 3.6, synthetic.pressure * 100
    return synthetic


@cache
def is_sent(change: str) -> Mask:
    """Return (minutes,) whether a reading arrives."""
    share = 0.7 if change == "gaps" else 1.0
    return np.random.default_rng(3).random(DAYS * DAY) < share


def readings(change: str, start: int, stop: int) -> list[Reading]:
    return list(compress(site(change).readings(start, stop), is_sent(change)[start:stop]))


@cache
def learned(change: str) -> LearnedDetector:
    series, chosen = site(change).series(0, LEARNED), is_sent(change)[:LEARNED]
    return LearnedDetector(Series(series.at[chosen], series.flow_rate[chosen], series.pressure[chosen]))


@cache
def messages_for(change: str) -> tuple[Message, ...]:
    """Return the messages after the learned days."""
    return tuple(learned(change).replay(readings(change, LEARNED, DAYS * DAY)))


@cache
def young_messages_for(change: str) -> tuple[Message, ...]:
    return tuple(replay(make_detector(), readings(change, 0, YOUNG), FakeForecaster()))


def checks(change: str, select: Callable[[Verdict], Check]) -> list[Check]:
    return [select(verdict) for verdict in verdicts(messages_for(change))]


def young_checks(change: str, select: Callable[[Verdict], Check]) -> list[Check]:
    return [select(verdict) for verdict in verdicts(young_messages_for(change))]


def test_suite_covers_every_method() -> None:
    assert {name.split(".")[1] for name in LOOKS} == set(METHODS)


@every_method
def test_known_site_is_evaluated(look: Callable[[Verdict], Check]) -> None:
    flags = [check.flag for check in checks("", look)]
    assert 0 in flags
    assert flags.count(1) < 0.02 * len(flags)


@every_method
@pytest.mark.parametrize("change", ["gaps", "holes"])
def test_gaps_and_missing_values_raise_no_flow_or_pressure_flag(look: Callable[[Verdict], Check], change: str) -> None:
    flags = [check.flag for check in checks(change, look)]
    assert 0 in flags
    assert flags.count(1) < 0.03 * len(flags)


@every_method
def test_channel_without_values_is_not_evaluated(look: Callable[[Verdict], Check]) -> None:
    assert {check.flag for check in [*young_checks("no values", look), *checks("no values", look)]} == {None}


@every_method
@pytest.mark.parametrize("change", ["constant", "zero"])
def test_constant_value_is_flagged_only_by_system(look: Callable[[Verdict], Check], change: str) -> None:
    flags = {check.flag for check in [*young_checks(change, look), *checks(change, look)]}
    assert flags <= ({None, 0, 1} if look.__code__.co_names[-1] == "system" else {None, 0})


@every_method
def test_single_reading_is_not_flagged(look: Callable[[Verdict], Check]) -> None:
    (verdict,) = verdicts(replay(make_detector(), readings("", 0, 1)))
    assert look(verdict).flag in (None, 0)


@every_method
def test_nan_counts_as_missing(look: Callable[[Verdict], Check]) -> None:
    (first,) = readings("", 0, 1)
    (verdict,) = verdicts(replay(make_detector(), [replace(first, flow_rate=float("nan"), pressure=float("nan"))]))
    assert look(verdict).flag is None


@every_method
def test_verdicts_do_not_depend_on_unit(look: Callable[[Verdict], Check]) -> None:
    pairs = list(zip(checks("burst", look), checks("burst in another unit", look), strict=True))
    same = sum(reading.flag == other.flag for reading, other in pairs)
    assert same > 0.998 * len(pairs)


@every_method
def test_verdicts_after_restart_are_the_same(look: Callable[[Verdict], Check]) -> None:
    undisturbed = [look(reading) for reading in verdicts(messages_for("burst")) if reading.at >= CUT]
    assert [look(reading) for reading in verdicts(_messages_after_restart())] == undisturbed


@cache
def _messages_after_restart() -> tuple[Message, ...]:
    before = [message for message in messages_for("burst") if time_of(message) < CUT]
    earlier = readings("burst", LEARNED, CUT_MINUTE)
    detector = make_detector(learned("burst").history_with(earlier, before))
    assert verdicts(detector.start()) == []
    predictions = {item.issued_at: item for item in messages_for("burst") if isinstance(item, Prediction)}
    messages: list[Message] = []
    for reading in readings("burst", CUT_MINUTE, DAYS * DAY):
        if reading.at.minute == 0:
            messages += detector.handle(predictions[reading.at])
        messages += detector.handle(reading)
    return tuple(messages)


def test_reading_is_fast_and_state_does_not_grow() -> None:
    detector, _ = learned("").copy()
    watching = detector._queues["001"].monitor
    station = watching.model
    before = _state_lengths(station)
    began = process_time()
    replay(detector, readings("", LEARNED, LEARNED + 2 * DAY))
    assert (process_time() - began) / (2 * DAY) < 200e-6, (
        "seconds a reading, five times what is allowed where it counts"
    )
    assert _state_lengths(station) == before


def _state_lengths(model: SensorModel) -> list[int]:
    """Return the lengths of the cumulative sums at the end of a day."""
    channels = (model.flow, model.pressure)
    return [
        len(side.window_scores.cumulative)
        for channel in channels
        for side in (channel.level_shift, channel.forecast_deviation)
    ]


@every_method
def test_flag_is_set_when_score_reaches_limit(look: Callable[[Verdict], Check]) -> None:
    for check in checks("burst", look):
        if check.flag is not None and check.limit is not None and check.score is not None:
            assert (check.score >= check.limit) == (check.flag == 1)


@pytest.mark.parametrize("name", list(LOOKS))
def test_higher_false_alarm_rate_gives_lower_limits(name: str) -> None:
    strict, easy = (_limits(name, false_alarms) for false_alarms in (0.1, 5.0))
    assert strict.keys() == easy.keys() != set()
    assert all(easy[key] <= strict[key] for key in easy if key.startswith(("up_", "down_", "joint_", "rise_", "run")))


@cache
def _month_model() -> SensorModel:
    """Return a model with a month of history, to calibrate with any target."""
    return LearnedDetector(site("").series(0, DAYS * DAY)).detector._queues["001"].monitor.model


def _limits(name: str, false_alarms: float) -> dict[str, float]:
    midnight = MONDAY + timedelta(days=DAYS - 1)
    limits = calibrate(_month_model().history, "site1", "001", midnight, CalibrationTargets(false_alarms, 180)).limits
    return {key.removeprefix(f"{name}."): limit for key, limit in limits.items() if key.startswith(f"{name}.")}
