"""Plots for docs/explanation/detection.md from development seeds: events, methods and alarms."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from bench.detection.baselines.grid import night_minima, slots_of_week, ten_minute_means, weekly_profile
from bench.detection.baselines.weekly_profile import cusum
from bench.detection.demand import UTC_OFFSET_SECONDS
from bench.detection.events import Event
from bench.detection.runner import WVR_IN_PROCESS, detect
from bench.detection.scoring import Alarm
from bench.detection.simulator import Record, make_record
from bench.table import RESULTS
from shared.domain.series import DAY, HOUR, Floats

IMAGES = RESULTS / "images"
PLOT_SEED = 2
WIDTH_INCHES, HEIGHT_INCHES = 7.0, 3.2
"""Inches."""


def draw() -> None:
    """Draw all plots into docs/images/; WVR processes one site-year for them."""
    mpl.use("Agg")
    IMAGES.mkdir(exist_ok=True)
    record = make_record(PLOT_SEED, "typical")
    alarms = detect(WVR_IN_PROCESS, record)
    burst = max((event for event in record.events if event.kind == "burst"), key=lambda event: event.size)
    leak = max((event for event in record.events if event.kind == "leak"), key=lambda event: event.size)
    _save(_span(record, burst, alarms, HOUR * 18), "burst")
    _save(_nights(record, leak, alarms), "night")
    _save(_cusum(record, leak), "prediction")
    meter_faults = [event for event in record.events if event.kind in ("stuck", "unit_jump", "out_of_range", "dropout")]
    _save(_span(record, meter_faults[0], alarms, HOUR * 12), "system")
    _save(_year(record, alarms), "year")


def _span(record: Record, event: Event, alarms: list[Alarm], around: int) -> Figure:
    """Plot flow and pressure around an event, with the alarms of that time."""
    window = slice(*np.searchsorted(record.at, (event.start - around, min(event.stop, event.start + DAY) + around)))
    hours = (record.at[window] - event.start) / HOUR
    figure, (upper, lower) = plt.subplots(2, 1, sharex=True, figsize=(WIDTH_INCHES, HEIGHT_INCHES))
    upper.plot(hours, record.flow[window], lw=0.5, color="tab:blue")
    upper.plot(hours, record.expected[window], lw=0.8, color="black", label="expected")
    upper.set_ylabel("flow")
    lower.plot(hours, record.pressure[window], lw=0.5, color="tab:green")
    lower.set_ylabel("pressure")
    lower.set_xlabel(f"hours since the {event.kind.replace('_', ' ')} began ({_size(event)})")
    for axis in (upper, lower):
        axis.axvspan(0, (event.stop - event.start) / HOUR, color="orange", alpha=0.2, lw=0)
        axis.set_xlim(hours[0], hours[-1])
        for alarm in alarms:
            if record.at[window][0] <= alarm.start <= record.at[window][-1]:
                axis.axvline((alarm.start - event.start) / HOUR, color="red", lw=1)
    for alarm in alarms:
        if record.at[window][0] <= alarm.start <= record.at[window][-1]:
            position = ((alarm.start - event.start) / HOUR, upper.get_ylim()[1])
            upper.annotate(alarm.kind, position, fontsize=7, color="red", va="top", rotation=90)
    upper.legend(loc="upper right", fontsize=7)
    return figure


def _nights(record: Record, leak: Event, alarms: list[Alarm]) -> Figure:
    """Plot the lowest ten-minute mean of each night around a leak."""
    at, lowest = night_minima(record.at[::10], ten_minute_means(record.flow))
    days = (at - leak.start) / DAY
    is_near = (days > -60) & (at < leak.stop + 20 * DAY)
    figure, axis = plt.subplots(figsize=(WIDTH_INCHES, HEIGHT_INCHES))
    axis.plot(days[is_near], lowest[is_near], ".-", lw=0.6, ms=3)
    axis.axvspan(0, (leak.stop - leak.start) / DAY, color="orange", alpha=0.2, lw=0)
    for alarm in (
        alarm for alarm in alarms if alarm.kind == "leak" and leak.start - 60 * DAY < alarm.start < leak.stop
    ):
        axis.axvline((alarm.start - leak.start) / DAY, color="red", lw=1)
    axis.set_xlabel(f"days since the leak began ({_size(leak)}); red: alarm `leak`")
    axis.set_ylabel("night minimum flow")
    return figure


def _cusum(record: Record, leak: Event) -> Figure:
    """Plot the residual of the weekly profile, and its CUSUM, around a leak."""
    at = record.at[::10]
    means, slots = ten_minute_means(record.flow), slots_of_week(at)
    learning = slice(*np.searchsorted(at, (leak.start - 90 * DAY, leak.start)))
    median, std = weekly_profile(means[learning], slots[learning])
    window = slice(*np.searchsorted(at, (leak.start - 30 * DAY, leak.stop + 5 * DAY)))
    residual: Floats = np.clip((means[window] - median[slots[window]]) / std[slots[window]], -8, 8)
    days = (at[window] - leak.start) / DAY
    figure, (upper, lower) = plt.subplots(2, 1, sharex=True, figsize=(WIDTH_INCHES, HEIGHT_INCHES))
    upper.plot(days, residual, lw=0.3)
    upper.set_ylabel("off the usual,\nin spreads", fontsize=8)
    lower.plot(days, cusum(residual, 1000.0), lw=1, color="tab:red")
    lower.set_ylabel("CUSUM")
    lower.set_xlabel("days since the leak began")
    for axis in (upper, lower):
        axis.axvspan(0, (leak.stop - leak.start) / DAY, color="orange", alpha=0.2, lw=0)
    return figure


def _year(record: Record, alarms: list[Alarm]) -> Figure:
    """Plot the events and alarms of the year."""
    figure, axis = plt.subplots(figsize=(WIDTH_INCHES, HEIGHT_INCHES * 1.3))
    kinds = [*sorted({event.kind for event in record.events}), "alarms"]
    for event in record.events:
        left, long = (event.start - record.at[0]) / DAY, max((event.stop - event.start) / DAY, 1.0)
        axis.barh(kinds.index(event.kind), long, left=left, color="tab:blue")
    for alarm in alarms:
        left, long = (alarm.start - record.at[0]) / DAY, max((alarm.stop - alarm.start) / DAY, 0.7)
        axis.barh(len(kinds) - 1, long, left=left, color="red", alpha=0.6)
    axis.axvspan(0, 90, color="gray", alpha=0.15, lw=0)
    axis.set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds], fontsize=7)
    first_day = np.datetime64(int(record.at[0]) + UTC_OFFSET_SECONDS, "s").astype("M8[D]")
    axis.set_xlabel(f"days of the record, from local {first_day} on")
    return figure


def _size(event: Event) -> str:
    if event.kind in ("burst", "leak"):
        return f"{100 * event.size:.0f} % of the mean flow"
    return event.channel.replace("_", " ")


def _save(figure: Figure, name: str, folder: Path = IMAGES) -> None:
    figure.tight_layout()
    figure.savefig(folder / f"detection-{name}.png", dpi=80, pil_kwargs={"optimize": True})
    plt.close(figure)
