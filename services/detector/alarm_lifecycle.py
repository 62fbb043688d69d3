"""Lifecycle of alarms: opened, updated every hour or when they get worse, cleared after enough normal minutes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.detector.alarm_text import render_text, shows_loss
from services.detector.classification import SEVERITIES, Detection
from shared.contract.anomaly_kinds import (
    LAST_NIGHT_KEY,
    LEAK_KEY,
    SHIFT_KEY,
    AnomalyKind,
    anomaly_kind,
    incident_key,
)
from shared.contract.messages import Anomaly, Cause, Method, is_aware_in_supported_years
from shared.contract.status_codes import NO_TEXT

UPDATE_INTERVAL = timedelta(hours=1)
DEVIATION_DELAY_MINUTES = 60
"""Minutes that a deviation from the forecast waits before it opens: a clearer detection may replace it meanwhile."""
CERTAIN_RATIO = 3.0
"""Excess flow over the half width of its interval from which on a leak is certain."""
MIN_BURST_DURATION = timedelta(hours=8)
"""Flushing, firefighting, filling pools and irrigation end within this time."""
BURST_SHARE_AT_NIGHT = 0.6
"""Share of its mean flow so far (m³/h) that a shift must keep at night to be called a burst.

A broken main loses as much at night; a higher demand falls.
"""
PROMOTABLE_KINDS = ("step", "pressure_drop")
DELAYED_KINDS = ("deviation",)
SIMILAR_FACTOR = 2.0
"""Two flows within this factor are taken for the same water."""


SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class OperatorEntry:
    """What an operator enters on an anomaly. A name, note or cause that is not given stays as it was."""

    by: str
    note: str
    cause: Cause | None
    acknowledged: bool
    closed: bool = False

    def apply(self, anomaly: Anomaly, now: datetime) -> Anomaly:
        """Return an anomaly with the entry, as a later state: entries of one minute differ in their time."""
        return replace(
            anomaly,
            at=max(now, anomaly.at + SECOND),
            acknowledged=self.acknowledged,
            closed=anomaly.closed or self.closed,
            by=self.by or anomaly.by,
            note=self.note or anomaly.note,
            confirmed_cause=self.cause or anomaly.confirmed_cause,
        )


@dataclass
class OpenAlarm:
    """An open anomaly as last published, and what has been seen since."""

    anomaly: Anomaly
    excess: float | None = None
    """Newest difference from the expected value, in the unit of the first channel; None after a restart if unknown."""
    normal_minutes: int = 0
    flow_samples: int = 0
    flow_sum: float = 0.0
    interval_half_width: float | None = None
    """Half width of the 90 % interval of the excess flow, m³/h."""
    lost_volume: float | None = None
    """m³ since the onset, where the excess flow was not constant."""
    is_certain: bool = False
    """Whether the leak is beyond doubt: one more normal night must then confirm its end."""
    seen_at_night: bool = False
    """Whether the shift was there in full in the hours of lowest demand."""

    @property
    def row(self) -> AnomalyKind:
        """Row of the table of kinds that its life follows."""
        return anomaly_kind(self.anomaly.trigger, self.anomaly.kind)

    @property
    def key(self) -> str:
        return incident_key(self.anomaly.trigger, self.anomaly.channel, self.anomaly.kind)


class AlarmBook:
    """Open anomalies of one sensor."""

    def __init__(self, site: str, sensor: str) -> None:
        self.site, self.sensor = site, sensor
        self.open: dict[str, OpenAlarm] = {}
        self.closed: dict[str, OpenAlarm] = {}
        """Alarms that an operator has closed and whose deviation still exists: it opens no new alarm."""
        self._delayed: dict[str, tuple[Detection, int]] = {}
        self.minutes_per_reading = 1
        """Minutes that a normal reading counts for."""
        self.silenced: frozenset[Method] = frozenset()
        """Methods that open nothing now: a maintenance window is active."""

    @property
    def known_keys(self) -> set[str]:
        """Keys of the alarms that are open, or closed while their deviation still exists."""
        return self.open.keys() | self.closed.keys()

    @property
    def has_unclassified_shift(self) -> bool:
        """Whether an open shift may still be promoted to a burst."""
        alarm = self.open.get(SHIFT_KEY)
        return alarm is not None and alarm.anomaly.kind in PROMOTABLE_KINDS

    def promote_to_burst(self, at: datetime, excess: float, is_deepest_hour: bool) -> Iterator[Anomaly]:
        """Count a minute in which the shift still exists; yield it as a burst after a night and MIN_BURST_DURATION.

        excess: m³/h above the level before.
        """
        alarm = self.open[SHIFT_KEY]
        if excess * max(alarm.flow_samples, 1) < BURST_SHARE_AT_NIGHT * alarm.flow_sum:
            return
        alarm.seen_at_night = alarm.seen_at_night or is_deepest_hour
        if not alarm.seen_at_night or at - alarm.anomaly.opened_at < MIN_BURST_DURATION:
            return
        alarm.anomaly = replace(alarm.anomaly, kind="burst", trigger="burst", severity="critical", text=NO_TEXT)
        alarm.anomaly = _refreshed(alarm, at)
        yield alarm.anomaly

    @property
    def is_idle(self) -> bool:
        """Whether a minute without detections changes nothing."""
        return not self.open and not self._delayed and not self.closed

    def restore(self, stored: Anomaly) -> None:
        """Restore an anomaly that was open before a restart.

        Raises ValueError if its trigger does not raise its kind.
        """
        alarm = OpenAlarm(stored, flow_sum=stored.excess_m3h or 0.0, flow_samples=1)
        if stored.channel == "flow_rate":
            alarm.excess = stored.excess_m3h
        if stored.excess_interval_m3h is not None:
            low, high = stored.excess_interval_m3h
            alarm.interval_half_width = round((high - low) / 2, 4)
        if stored.trigger == "leak":
            alarm.lost_volume = stored.lost_m3
            alarm.is_certain = _is_certain(stored.excess_m3h, alarm.interval_half_width)
        self.open[alarm.key] = alarm

    def restore_closed(self, stored: Anomaly) -> None:
        """Restore an anomaly that an operator closed before a restart; its deviation may still exist."""
        alarm = OpenAlarm(stored)
        self.closed[alarm.key] = alarm

    def update(self, at: datetime, detections: list[Detection], is_near: bool) -> Iterator[Anomaly]:
        """Process a minute's detections; is_near: scores close to their limits, so the minute is not normal."""
        detections = [detection for detection in detections if not self._explained_by_leak(detection)]
        keys = {detection.key for detection in detections}
        if self.silenced:
            self._delayed = {key: held for key, held in self._delayed.items() if held[0].method not in self.silenced}
        for detection in detections:
            yield from self.raise_or_continue(at, detection)
        for key in [key for key in self._delayed if key not in keys]:
            if not is_near:
                del self._delayed[key]
        for key in [key for key, alarm in self.open.items() if key not in keys and not alarm.row.once_a_day]:
            if key != SHIFT_KEY or not is_near:
                yield from self.count_normal(at, key, self.minutes_per_reading)
        for key, alarm in list(self.closed.items()):
            if key in keys or alarm.row.once_a_day or (key == SHIFT_KEY and is_near):
                continue
            alarm.normal_minutes += self.minutes_per_reading
            if alarm.normal_minutes >= alarm.row.minutes_to_clear:
                del self.closed[key]

    def raise_or_continue(self, at: datetime, detection: Detection) -> Iterator[Anomaly]:
        """Open or continue the anomaly of a detection."""
        alarm = self.open.get(detection.key)
        if (
            alarm
            and alarm.anomaly.kind in DELAYED_KINDS
            and detection.kind not in DELAYED_KINDS
            and at > alarm.anomaly.opened_at
        ):
            del self.open[detection.key]
            yield _cleared(alarm, at)
            alarm = None
        if detection.key in self.closed:
            self.closed[detection.key].normal_minutes = 0
            return
        if alarm is None and detection.method in self.silenced:
            return
        if alarm is None:
            strongest, minutes = self._delayed.get(detection.key, (detection, 0))
            if detection.kind in DELAYED_KINDS and minutes < DEVIATION_DELAY_MINUTES:
                self._delayed[detection.key] = (_stronger(strongest, detection), minutes + self.minutes_per_reading)
                return
            self._delayed.pop(detection.key, None)
            yield self._open_alarm(at, detection)
        elif at > alarm.anomaly.opened_at:
            yield from self._continue_alarm(at, alarm, detection)

    def count_normal(self, at: datetime, key: str, minutes: int = 1) -> Iterator[Anomaly]:
        """Count normal minutes (a night, for a leak) of an open anomaly; clear it after enough of them."""
        alarm = self.open[key]
        if at >= alarm.anomaly.opened_at or alarm.anomaly.trigger == "silence":
            alarm.normal_minutes += minutes
        if alarm.normal_minutes >= alarm.row.minutes_to_clear + alarm.is_certain:
            del self.open[key]
            yield _cleared(alarm, max(at, alarm.anomaly.opened_at))

    def clear(self, at: datetime, key: str) -> Iterator[Anomaly]:
        """Clear an anomaly at once, if it is open; its deviation has ended."""
        self.closed.pop(key, None)
        if alarm := self.open.pop(key, None):
            yield _cleared(alarm, max(at, alarm.anomaly.opened_at))

    def absorb_night_step(self, opened: Anomaly) -> Iterator[Anomaly]:
        """Clear last night's anomaly when another one explains the same water (half to twice the flow)."""
        night_step, flow = self.open.get(LAST_NIGHT_KEY), opened.excess_m3h or 0.0
        if night_step and _similar_size(night_step.anomaly.excess_m3h or 0.0, flow):
            yield from self.clear(opened.at, LAST_NIGHT_KEY)

    def raise_leak(self, at: datetime, leak: Detection) -> Iterator[Anomaly]:
        """Open or continue a leak.

        A leak replaces a step of similar size and waits until any other shift has ended.
        """
        shift = None if leak.method in self.silenced else self.open.get(SHIFT_KEY)
        if (
            shift
            and shift.anomaly.kind == "step"
            and _similar_size(shift.anomaly.excess_m3h or 0.0, leak.excess_flow or 0.0)
        ):
            yield from self.clear(at, SHIFT_KEY)
        if leak.key in self.open or SHIFT_KEY not in self.open:
            yield from self.raise_or_continue(at, leak)
        if alarm := self.open.get(leak.key):
            alarm.is_certain = alarm.is_certain or _is_certain(leak.excess_flow, leak.interval_half_width)

    def _explained_by_leak(self, detection: Detection) -> bool:
        """Whether the excess flow is at most what an open leak may have grown to."""
        leak, flow = self.open.get(LEAK_KEY), detection.excess_flow or 0.0
        if leak is None or detection.key != SHIFT_KEY or detection.channel != "flow_rate" or detection.key in self.open:
            return False
        return 0.0 < flow <= (leak.anomaly.excess_m3h or 0.0) * SIMILAR_FACTOR

    def clear_opened_after(self, at: datetime) -> Iterator[Anomaly]:
        """Clear what was opened after `at`, to which the meter's clock went back."""
        for key in [key for key, alarm in self.open.items() if alarm.anomaly.opened_at > at]:
            alarm = self.open.pop(key)
            yield _cleared(alarm, alarm.anomaly.opened_at)

    def clear_opened_between(self, first: datetime, last: datetime) -> Iterator[Anomaly]:
        """Clear what was opened in a span of wrong meter time, at its end: the clock has returned from there."""
        for key in [key for key, alarm in self.open.items() if first <= alarm.anomaly.opened_at <= last]:
            yield _cleared(self.open.pop(key), last)

    def edit(self, id_: str, at: datetime, entry: OperatorEntry) -> Iterator[Anomaly]:
        """Yield an open anomaly with what an operator entered; nothing if no open anomaly has this id."""
        for key, alarm in list(self.open.items()):
            if alarm.anomaly.id == id_:
                alarm.anomaly = entry.apply(_refreshed(alarm, max(at, alarm.anomaly.at)), at)
                if entry.closed:
                    alarm.anomaly = replace(alarm.anomaly, state="cleared", cleared_at=alarm.anomaly.at)
                    self.close(key)
                yield alarm.anomaly

    def close(self, key: str) -> None:
        """Close an open alarm: its deviation opens no new one until it has ended."""
        if alarm := self.open.pop(key, None):
            alarm.normal_minutes = 0
            self.closed[key] = alarm

    def _open_alarm(self, at: datetime, detection: Detection) -> Anomaly:
        id_ = f"{self.sensor}-{detection.channel}-{detection.trigger}-{at:%Y%m%dT%H%M}"
        onset_at = at - timedelta(minutes=detection.minutes_since_onset)
        anomaly = Anomaly(
            site=self.site,
            sensor=self.sensor,
            id=id_[-64:],
            at=at,
            channels=(detection.channel,),
            methods=(detection.method,),
            kind=detection.kind,
            trigger=detection.trigger,
            state="opened",
            acknowledged=False,
            severity=detection.severity,
            opened_at=at,
            onset_at=onset_at if is_aware_in_supported_years(onset_at) else at,
            cleared_at=None,
            peak=detection.value,
            excess_m3h=detection.excess_flow,
            text=NO_TEXT,
        )
        alarm = OpenAlarm(
            anomaly,
            excess=detection.excess,
            flow_samples=1,
            flow_sum=detection.excess_flow or 0.0,
            interval_half_width=detection.interval_half_width,
            lost_volume=detection.lost_volume,
        )
        alarm.anomaly = _with_estimates(alarm, anomaly)
        self.open[detection.key] = alarm
        return alarm.anomaly

    def _continue_alarm(self, at: datetime, alarm: OpenAlarm, detection: Detection) -> Iterator[Anomaly]:
        anomaly = alarm.anomaly
        alarm.normal_minutes = 0
        if detection.lost_volume is not None:
            alarm.flow_samples, alarm.flow_sum = 1, detection.excess_flow or 0.0
            alarm.lost_volume = detection.lost_volume
        elif detection.excess_flow is not None:
            alarm.flow_samples += 1
            alarm.flow_sum += detection.excess_flow
        if detection.channel == anomaly.channel:
            alarm.excess = detection.excess
            if _is_more_extreme(detection.value, anomaly.peak, detection.excess):
                alarm.anomaly = anomaly = replace(anomaly, peak=detection.value)
        is_worse = SEVERITIES.index(detection.severity) > SEVERITIES.index(anomaly.severity)
        if is_worse or at - anomaly.at >= UPDATE_INTERVAL:
            alarm.anomaly = replace(
                _refreshed(alarm, at), severity=detection.severity if is_worse else anomaly.severity
            )
            yield alarm.anomaly


def _cleared(alarm: OpenAlarm, at: datetime) -> Anomaly:
    return replace(_refreshed(alarm, at), state="cleared", cleared_at=at)


def _refreshed(alarm: OpenAlarm, at: datetime) -> Anomaly:
    flow = None if alarm.anomaly.excess_m3h is None else round(alarm.flow_sum / max(alarm.flow_samples, 1), 4)
    return _with_estimates(alarm, replace(alarm.anomaly, at=at, state="updated", excess_m3h=flow))


def _with_estimates(alarm: OpenAlarm, anomaly: Anomaly) -> Anomaly:
    """Return the anomaly with the interval of its excess flow, the lost volume, and the text that shows both.

    Without a known excess, as after a restart, the text stays as it is.
    """
    flow, half_width, interval = anomaly.excess_m3h, alarm.interval_half_width, None
    if flow is not None and half_width:
        interval = round(float(flow - half_width), 4), round(float(flow + half_width), 4)
    anomaly = replace(anomaly, excess_interval_m3h=interval, lost_m3=_lost_volume(alarm, anomaly))
    if alarm.excess is None and anomaly.text != NO_TEXT:
        return anomaly
    return replace(anomaly, text=render_text(anomaly, alarm.excess))


def _lost_volume(alarm: OpenAlarm, anomaly: Anomaly) -> float | None:
    """Return the volume of the excess flow so far, m³; None where no water is lost."""
    flow = anomaly.excess_m3h
    if flow is None or flow <= 0.0 or not shows_loss(anomaly):
        return None
    hours = max((anomaly.at - anomaly.onset_at).total_seconds(), 0.0) / 3600
    return round(float(flow * hours if alarm.lost_volume is None else alarm.lost_volume), 4)


def _is_certain(flow: float | None, interval_half_width: float | None) -> bool:
    """Whether a leak of this flow, m³/h, is beyond doubt."""
    return (flow or 0.0) >= CERTAIN_RATIO * (interval_half_width or math.inf)


def _similar_size(first: float, second: float) -> bool:
    """Whether two flows (m³/h) are taken for the same water."""
    return second / SIMILAR_FACTOR <= first <= second * SIMILAR_FACTOR


def _stronger(first: Detection, now: Detection) -> Detection:
    """Return the detection with the greater excess; the first one decides the kind."""
    return now if abs(now.excess or 0.0) > abs(first.excess or 0.0) and now.kind == first.kind else first


def _is_more_extreme(value: float | None, peak: float | None, excess: float | None) -> bool:
    if value is None or excess is None:
        return False
    return peak is None or (value > peak if excess > 0 else value < peak)
