"""Faults of meter, clock and line, injected into a valid record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.detection.demand import UTC_OFFSET_SECONDS
from bench.detection.events import Event
from bench.detection.meters import Meters
from shared.domain.series import DAY, HOUR, Floats, Ints

SENSOR = "001"
WRONG_UNITS = (3.6, 1 / 3.6, 60.0, 1 / 60, 10.0, 0.1, 100.0, 0.01)
WRONG_CLOCKS = (HOUR, -HOUR, 9 * HOUR, -9 * HOUR, DAY, -DAY, -30 * DAY)
"""A replay knows no clock but the meter's, so a jump far ahead would silence it for as long."""
OUT_OF_RANGE_VALUES = (-1.0, -9999.0, 65_535.0, 1e6)


@dataclass(frozen=True)
class LoggerLines:
    """What the logger wrote, line by line."""

    at: Ints
    """Stamps, epoch seconds; not always increasing."""
    flow: Floats
    pressure: Floats

    def write(self, path: Path) -> None:
        """Write the CSV file that `./wvr replay` reads."""
        stamps = (self.at + UTC_OFFSET_SECONDS).astype("datetime64[s]").astype("datetime64[m]").astype(str)
        flows, pressures = (
            [("" if v != v else repr(v)) for v in values.tolist()] for values in (self.flow, self.pressure)
        )
        with path.open("w", encoding="ascii") as file:
            file.write("timestamp,sensor,flow_rate,pressure\n")
            rows = zip(stamps, flows, pressures, strict=True)
            file.writelines(f"{at}+09:00,{SENSOR},{flow},{pressure}\n" for at, flow, pressure in rows)


def inject_faults(
    rng: np.random.Generator, at: Ints, flow: Floats, pressure: Floats, events: list[Event], meters: Meters
) -> tuple[LoggerLines, Floats, Floats]:
    """Return the lines with all faults of the events, and (n,) both channels with the faults of values only."""
    values_by_channel = {"flow_rate": flow.copy(), "pressure": pressure.copy()}
    for event in events:
        inside = slice(*np.searchsorted(at, (event.start, event.stop)))
        for name, values in values_by_channel.items():
            if event.kind in VALUE_FAULTS and event.channel in (name, "both"):
                step = (
                    meters.flow_step * meters.flow_unit
                    if name == "flow_rate"
                    else meters.pressure_step * meters.pressure_unit
                )
                values[inside] = np.round(VALUE_FAULTS[event.kind](rng, values[inside], event, step), 4)
    stamps, reading_order = at.copy(), np.arange(len(at))
    for event in events:
        inside = slice(*np.searchsorted(at, (event.start, event.stop)))
        if event.kind == "clock_jump":
            stamps[inside] += int(rng.choice(WRONG_CLOCKS))
        elif event.kind == "disorder":
            late = rng.random(inside.stop - inside.start) < 0.3
            reading_order[inside] = reading_order[inside][
                np.argsort(np.arange(len(late)) + late * rng.integers(1, 30, len(late)))
            ]
    line_order = reading_order[~_within(at, events, "silence")[reading_order]]
    repeats = np.where(_within(at, events, "duplicates")[line_order], 2, 1)
    line_order = np.repeat(line_order, repeats)
    return (
        LoggerLines(
            stamps[line_order], values_by_channel["flow_rate"][line_order], values_by_channel["pressure"][line_order]
        ),
        values_by_channel["flow_rate"],
        values_by_channel["pressure"],
    )


def _within(at: Ints, events: list[Event], kind: str) -> np.ndarray:
    is_within = np.zeros(len(at), dtype=bool)
    for event in events:
        if event.kind == kind:
            is_within |= (at >= event.start) & (at < event.stop)
    return is_within


def _stuck(_: np.random.Generator, values: Floats, __: Event, ___: float) -> Floats:
    known_values = values[~np.isnan(values)]
    return np.full(len(values), known_values[0] if len(known_values) else 0.0)


def _spike(rng: np.random.Generator, values: Floats, event: Event, _: float) -> Floats:
    changed = values.copy()
    mean = max(float(np.nanmean(values)), 1e-3)
    indices = rng.choice(len(values), min(len(values), int(rng.integers(1, 5))), replace=False)
    changed[indices] = mean * event.size * np.where(rng.random(len(indices)) < 0.8, 1.0, 0.0)
    changed[indices[0]] = mean * event.size
    return changed


def _drift(_: np.random.Generator, values: Floats, event: Event, step: float) -> Floats:
    drifted = values * (1 + event.size * np.linspace(0.0, 1.0, len(values)))
    return np.asarray(np.round(drifted / step) * step)


def _dropout(_: np.random.Generator, values: Floats, __: Event, ___: float) -> Floats:
    return np.full(len(values), np.nan)


def _out_of_range(rng: np.random.Generator, values: Floats, _: Event, __: float) -> Floats:
    outside = float(rng.choice(OUT_OF_RANGE_VALUES))
    return (
        np.where(rng.random(len(values)) < 0.9, outside, values) if len(values) > 20 else np.full(len(values), outside)
    )


def _unit_jump(rng: np.random.Generator, values: Floats, _: Event, __: float) -> Floats:
    return values * float(rng.choice(WRONG_UNITS))


VALUE_FAULTS = {
    "stuck": _stuck,
    "spike": _spike,
    "drift": _drift,
    "dropout": _dropout,
    "out_of_range": _out_of_range,
    "unit_jump": _unit_jump,
}
"""Kind to its effect on the values of its span."""
