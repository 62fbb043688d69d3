"""Values between two readings of a slow sensor: those of the newest reading, until the channel is silent."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from shared.contract.messages import CHANNELS, Channel, FlowChecks, PressureChecks, SensorState, Verdict

MAX_VERDICTS = 200
"""Newest verdicts of a sensor that are kept: four hours at one a minute, days of a slow sensor."""


class HeldValues:
    """The newest verdicts of each sensor, and how long their values count."""

    def __init__(self) -> None:
        self._states: dict[str, SensorState] = {}
        self._verdicts: defaultdict[str, deque[Verdict]] = defaultdict(lambda: deque(maxlen=MAX_VERDICTS))

    def on_state(self, state: SensorState) -> None:
        """Remember the cadence that the detector knows of a sensor."""
        if state.service == "detector":
            self._states[state.sensor] = state

    def on_verdict(self, verdict: Verdict) -> None:
        """Remember the newest verdicts of a slow sensor."""
        verdicts = self._verdicts[verdict.sensor]
        if self.late_minutes(verdict.sensor) and not (verdicts and verdict.at <= verdicts[-1].at):
            verdicts.append(verdict)

    def late_minutes(self, sensor: str) -> int:
        """Return the minutes for which a value of a sensor counts at most; 0 unless a channel is slow."""
        return max((late for late in self._late_by_channel(sensor) if late), default=0)

    def _late_by_channel(self, sensor: str) -> tuple[int, int]:
        """Return the minutes for which a value of flow rate and pressure counts; 0 at one a minute."""
        if (state := self._states.get(sensor)) is None:
            return 0, 0
        flow, pressure = (
            cadence.late_minutes if cadence and cadence.interval_minutes > 1 else 0
            for cadence in (state.flow_rate, state.pressure)
        )
        return flow, pressure

    def at(self, sensor: str, at: datetime, stored: Iterable[Verdict] = ()) -> Verdict | None:
        """Return what counts at a minute without a reading; None if nothing does.

        stored: the stored verdicts before it, in order of time, for a minute before those in memory.
        """
        recent = self._verdicts[sensor]
        if not recent or recent[0].at > at:
            recent = deque(stored)
        flow, pressure = (
            _newest(recent, channel, at, late)
            for channel, late in zip(CHANNELS, self._late_by_channel(sensor), strict=True)
        )
        newest = flow or pressure
        if newest is None:
            return None
        return replace(
            newest,
            at=at,
            reading=replace(
                newest.reading,
                flow_rate=flow.reading.flow_rate if flow else None,
                pressure=pressure.reading.pressure if pressure else None,
            ),
            flow_rate=flow.flow_rate if flow else FlowChecks(),
            pressure=pressure.pressure if pressure else PressureChecks(),
        )


def fill_channels(verdict: Verdict, held: Verdict) -> Verdict:
    """Return a verdict in which a channel without a value has the held one."""
    reading, earlier = verdict.reading, held.reading
    has_flow, has_pressure = reading.flow_rate is not None, reading.pressure is not None
    return replace(
        verdict,
        reading=replace(
            reading,
            flow_rate=reading.flow_rate if has_flow else earlier.flow_rate,
            pressure=reading.pressure if has_pressure else earlier.pressure,
        ),
        flow_rate=verdict.flow_rate if has_flow else held.flow_rate,
        pressure=verdict.pressure if has_pressure else held.pressure,
    )


def repeated_channels(shown: Verdict, measured: Verdict | None) -> tuple[Channel, ...]:
    """Return the channels of a line whose values were not measured in its minute."""
    return tuple(
        channel
        for channel in CHANNELS
        if getattr(shown.reading, channel) is not None
        and (measured is None or getattr(measured.reading, channel) is None)
    )


def _newest(verdicts: Sequence[Verdict], channel: Channel, at: datetime, late_minutes: int) -> Verdict | None:
    """Return the newest verdict up to a time with a value of a channel, if that value still counts."""
    for verdict in reversed(verdicts):
        if (at - verdict.at).total_seconds() >= 60 * late_minutes:
            return None
        if verdict.at <= at and getattr(verdict.reading, channel) is not None:
            return verdict
    return None
