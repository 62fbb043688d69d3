"""Faults of meter, clock and line, put into a sound record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.detection.demand import LOCAL
from bench.detection.events import Event
from bench.detection.meters import Meters
from shared.domain.series import DAY, HOUR, Floats, Ints

SENSOR = "001"
WRONG_UNITS = (3.6, 1 / 3.6, 60.0, 1 / 60, 10.0, 0.1, 100.0, 0.01)
WRONG_CLOCKS = (HOUR, -HOUR, 9 * HOUR, -9 * HOUR, DAY, -DAY, -30 * DAY)
"""A replay has no clock but the meter's: one far ahead would silence it for as long."""
OUTSIDE = (-1.0, -9999.0, 65_535.0, 1e6)


@dataclass(frozen=True)
class Lines:
    """What the logger wrote, line by line."""

    at: Ints
    """Stamps, epoch seconds; not always growing."""
    flow: Floats
    pressure: Floats

    def write(self, path: Path) -> None:
        """As the CSV file that `./wvr replay` reads."""
        stamps = (self.at + LOCAL).astype("datetime64[s]").astype("datetime64[m]").astype(str)
        flows, pressures = (
            [("" if v != v else repr(v)) for v in values.tolist()] for values in (self.flow, self.pressure)
        )
        with path.open("w", encoding="ascii") as file:
            file.write("timestamp,sensor,flow_rate,pressure\n")
            rows = zip(stamps, flows, pressures, strict=True)
            file.writelines(f"{at}+09:00,{SENSOR},{flow},{pressure}\n" for at, flow, pressure in rows)


def spoil(
    rng: np.random.Generator, at: Ints, flow: Floats, pressure: Floats, events: list[Event], meters: Meters
) -> tuple[Lines, Floats, Floats]:
    """The lines with all faults among the events, and (n,) both channels with those of values alone."""
    shown = {"flow_rate": flow.copy(), "pressure": pressure.copy()}
    for event in events:
        inside = slice(*np.searchsorted(at, (event.start, event.stop)))
        for name, values in shown.items():
            if event.kind in VALUES and event.channel in (name, "both"):
                step = (
                    meters.flow_step * meters.flow_unit
                    if name == "flow_rate"
                    else meters.pressure_step * meters.pressure_unit
                )
                values[inside] = np.round(VALUES[event.kind](rng, values[inside], event, step), 4)
    stamps, order = at.copy(), np.arange(len(at))
    for event in events:
        inside = slice(*np.searchsorted(at, (event.start, event.stop)))
        if event.kind == "clock_jump":
            stamps[inside] += int(rng.choice(WRONG_CLOCKS))
        elif event.kind == "disorder":
            late = rng.random(inside.stop - inside.start) < 0.3
            order[inside] = order[inside][np.argsort(np.arange(len(late)) + late * rng.integers(1, 30, len(late)))]
    kept = order[~_within(at, events, "silence")[order]]
    twice = np.where(_within(at, events, "duplicates")[kept], 2, 1)
    kept = np.repeat(kept, twice)
    return Lines(stamps[kept], shown["flow_rate"][kept], shown["pressure"][kept]), shown["flow_rate"], shown["pressure"]


def _within(at: Ints, events: list[Event], kind: str) -> np.ndarray:
    found = np.zeros(len(at), dtype=bool)
    for event in events:
        if event.kind == kind:
            found |= (at >= event.start) & (at < event.stop)
    return found


def _stuck(_: np.random.Generator, values: Floats, __: Event, ___: float) -> Floats:
    known = values[~np.isnan(values)]
    return np.full(len(values), known[0] if len(known) else 0.0)


def _spike(rng: np.random.Generator, values: Floats, event: Event, _: float) -> Floats:
    spoiled = values.copy()
    usual = max(float(np.nanmean(values)), 1e-3)
    places = rng.choice(len(values), min(len(values), int(rng.integers(1, 5))), replace=False)
    spoiled[places] = usual * event.size * np.where(rng.random(len(places)) < 0.8, 1.0, 0.0)
    spoiled[places[0]] = usual * event.size
    return spoiled


def _drift(_: np.random.Generator, values: Floats, event: Event, step: float) -> Floats:
    off = values * (1 + event.size * np.linspace(0.0, 1.0, len(values)))
    return np.asarray(np.round(off / step) * step)


def _dropout(_: np.random.Generator, values: Floats, __: Event, ___: float) -> Floats:
    return np.full(len(values), np.nan)


def _out_of_range(rng: np.random.Generator, values: Floats, _: Event, __: float) -> Floats:
    outside = float(rng.choice(OUTSIDE))
    return (
        np.where(rng.random(len(values)) < 0.9, outside, values) if len(values) > 20 else np.full(len(values), outside)
    )


def _unit_jump(rng: np.random.Generator, values: Floats, _: Event, __: float) -> Floats:
    return values * float(rng.choice(WRONG_UNITS))


VALUES = {
    "stuck": _stuck,
    "spike": _spike,
    "drift": _drift,
    "dropout": _dropout,
    "out_of_range": _out_of_range,
    "unit_jump": _unit_jump,
}
"""Kind to what it does to the values of its span."""
