"""What counts as abnormal: learned from the sensor's own clean days, for one rate of false alarms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from services.detector.memory import LEARNED_DAYS, MINUTES, RARE_DAYS, Memory, Past, past_of
from services.detector.methods import drift, night, prediction, system, value
from services.detector.methods.spreads import Learned, rounded
from services.detector.usual import day_ahead
from shared.contract.messages import CHANNELS, Criteria

AGES = (2, 3, 4, 5, 7, 10, 14, 21, 28, 42, 56, 91)
"""Days of readings after which criteria are learned; from then on with each quarter of the year."""
SHARES = {
    "flow_rate.system": 0.02,
    "flow_rate.value": 0.25,
    "flow_rate.prediction": 0.05,
    "flow_rate.night": 0.2,
    "flow_rate.last_night": 0.2,
    "flow_rate.drift": 0.06,
    "pressure.system": 0.02,
    "pressure.value": 0.07,
    "pressure.prediction": 0.03,
    "pressure.drift": 0.06,
}
"""Parts of the false-alarm rate that each method may use (decision 0021); the rest is for alarms that last for days."""
RATE = "false_alarms_per_week"
"""What the rate that a method's limits were set for is called among them."""


@dataclass(frozen=True)
class Wish:
    """What an operator asks of the criteria."""

    false_alarms_per_week: float
    stuck_minutes: int


def due(known_days: int, number: int, last: int | None) -> bool:
    """Whether to learn on day `number`, with this many known days, when `last` was the day of the last learning."""
    if last is None:
        return known_days >= AGES[0]
    return known_days in AGES or (known_days > AGES[-1] and _quarter(number) != _quarter(last))


def _quarter(number: int) -> tuple[int, int]:
    date = datetime.fromordinal(number)
    return date.year, (date.month - 1) // 3


def learn(memory: Memory, site: str, sensor: str, midnight: datetime, wish: Wish) -> Criteria:
    """Criteria valid from a local midnight, from the days before it."""
    number = midnight.toordinal()
    limits: dict[str, float] = {}
    profiles = _usual_week(memory, number)
    rates = {name: rounded(share * wish.false_alarms_per_week) for name, share in SHARES.items()}
    for name, learned in _learned(memory, number, rates, wish.stuck_minutes).items():
        limits |= {f"{name}.{key}": limit for key, limit in learned.limits.items()} | {f"{name}.{RATE}": rates[name]}
        profiles |= {f"{name}.{key}": curve for key, curve in learned.profiles.items()}
    if "flow_rate.night.last" in limits:
        limits[f"flow_rate.night.last_{RATE}"] = rates["flow_rate.last_night"]
    days = past_of(memory, number, "flow_rate").clean | past_of(memory, number, "pressure").clean
    first = memory.days[0].number
    begin = _midnight(max(first, number - LEARNED_DAYS), midnight)
    return Criteria(site, sensor, midnight, begin, midnight, int(days.sum()), limits, profiles)


def _midnight(number: int, like: datetime) -> datetime:
    date = datetime.fromordinal(number)
    return like.replace(year=date.year, month=date.month, day=date.day)


def _learned(memory: Memory, number: int, rates: dict[str, float], stuck_minutes: int) -> dict[str, Learned]:
    """ "channel.method" to what it learned; rates: its false alarms per week."""
    daily = {name: rate / 7 for name, rate in rates.items()}
    flow, pressure = (past_of(memory, number, channel) for channel in CHANNELS)
    values = _values(flow, pressure, daily)
    if len(memory.before(number, RARE_DAYS)) > len(memory.before(number, LEARNED_DAYS)):
        long_flow, long_pressure = (past_of(memory, number, channel, RARE_DAYS) for channel in CHANNELS)
        both = zip(values, _values(long_flow, long_pressure, daily), strict=True)
        values = [value.narrower(recent, long) for recent, long in both]
    found = {
        "flow_rate.system": system.learn(flow, daily["flow_rate.system"], stuck_minutes),
        "flow_rate.value": values[0],
        "flow_rate.prediction": prediction.learn(flow, daily["flow_rate.prediction"]),
        "flow_rate.night": night.learn(flow, pressure, daily["flow_rate.night"], daily["flow_rate.last_night"]),
        "flow_rate.drift": drift.learn(flow, pressure, daily["flow_rate.drift"]),
        "pressure.system": system.learn(pressure, daily["pressure.system"], stuck_minutes),
        "pressure.value": values[1],
        "pressure.prediction": prediction.learn(pressure, daily["pressure.prediction"]),
        "pressure.drift": drift.learn(pressure, flow, daily["pressure.drift"]),
    }
    return {
        name: learned for name, learned in found.items() if learned and all(map(math.isfinite, learned.limits.values()))
    }


def _values(flow: Past, pressure: Past, daily: dict[str, float]) -> list[Learned | None]:
    """What the method value learns of both channels."""
    return [
        value.learn(flow, pressure, daily["flow_rate.value"], rising=True),
        value.learn(pressure, None, daily["pressure.value"], rising=False),
    ]


def _usual_week(memory: Memory, number: int) -> dict[str, tuple[float, ...]]:
    """ "channel.usual": 168 hourly values from Monday 00:00."""
    monday = number + (1 - number) % 7
    week = np.array([day_ahead(memory, number + (monday + day - number) % 7) for day in range(7)], dtype=np.float64)
    hours = week.transpose(1, 0, 2).reshape(2, 7 * MINUTES // 60, 60).mean(axis=2)
    known = [(channel, row) for channel, row in zip(CHANNELS, hours, strict=True) if not np.isnan(row).any()]
    return {f"{channel}.usual": tuple(float(f"{one:.6g}") for one in row) for channel, row in known}


def part(criteria: Criteria | None, name: str) -> Learned | None:
    """What a "channel.method" learned, out of the message; None when it learned nothing."""
    if criteria is None:
        return None
    start = f"{name}."
    limits = {key.removeprefix(start): limit for key, limit in criteria.limits.items() if key.startswith(start)}
    curves = {key.removeprefix(start): curve for key, curve in criteria.profiles.items() if key.startswith(start)}
    return Learned(limits, curves) if limits else None
