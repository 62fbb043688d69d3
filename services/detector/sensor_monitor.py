"""Monitor of one sensor: sequences its readings, evaluates each, and maintains its alarms."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import get_args

from services.detector.alarm_lifecycle import AlarmBook, OperatorEntry
from services.detector.channel_model import Checks
from services.detector.classification import (
    SEVERITIES,
    Detection,
    classify,
    drift_detection,
    leak_detection,
    near_threshold,
    night_step_detection,
)
from services.detector.daily_messages import expected_day_message, night_message
from services.detector.day_history import MINUTES_PER_DAY
from services.detector.judging_state import judging_state
from services.detector.maintenance import MaintenanceWindows
from services.detector.methods.night_flow import NIGHT_END_MINUTE
from services.detector.reading_sequencer import ReadingSequencer
from services.detector.sensor_model import SensorModel
from shared.contract.anomaly_kinds import LAST_NIGHT_KEY, LEAK_KEY, SHIFT_KEY, incident_key
from shared.contract.messages import (
    NOT_EVALUATED,
    AlarmSummary,
    Anomaly,
    Check,
    FlowChecks,
    Message,
    Method,
    PressureChecks,
    Reading,
    SensorState,
    Verdict,
)
from shared.domain.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from shared.settings import Settings

MINUTE = timedelta(minutes=1)
SHIFT_ACCEPTED_AFTER, LOSS_ACCEPTED_AFTER = timedelta(hours=12), timedelta(days=3)
"""After this time a shift is accepted as the new level; a loss takes longer, until the nights have confirmed it."""
EXPLAINING_KEYS = {SHIFT_KEY, LEAK_KEY, LAST_NIGHT_KEY}
"""Keys of open anomalies that explain a drift."""
TICK_CLOCK_TOLERANCE = timedelta(days=1)
"""If a tick is farther from the last reading than this, the tick's clock is not used for a silence."""


class SensorMonitor:
    """Evaluates one sensor's readings and maintains its alarms."""

    def __init__(self, settings: Settings, sensor: str, calendar: HolidayCalendar = NO_HOLIDAYS) -> None:
        self.site, self.sensor = settings.site.name, sensor
        self.silence_minutes = settings.detection.silence_minutes
        """Minutes after which the sensor is silent at the earliest."""
        self.model = SensorModel(settings, sensor, calendar)
        self.alarms = AlarmBook(self.site, sensor)
        self.maintenance = MaintenanceWindows(self.site, sensor)
        self.sequencer = ReadingSequencer()
        self._recently_cleared: deque[Anomaly] = deque(maxlen=8)
        """Newest cleared anomalies: when the meter's clock returns from a jump, they ended sooner."""
        self.silent_minutes = 0
        """Ticks of the newest silence: it does not last as long as a jump of the meter's clock in it."""
        self.state: SensorState | None = None
        """What is judged of this sensor, as last published or stored."""
        self._minutes_ahead = 0
        """Minutes after the last reading that were checked with its values."""
        self._clock_set_back_at: datetime | None = None
        """Time at which the meter's clock was set back."""

    def process(self, reading: Reading, epoch_minute: int) -> Iterator[Message]:
        """Yield a reading's Verdict, and the anomalies that open, change or clear with it; nothing for a duplicate.

        epoch_minute: the reading's minute since the epoch.
        """
        at = reading.at
        last_at = self.sequencer.last_at
        was_set_back = self._clock_set_back_at is not None and self.sequencer.is_behind_maximum
        step = self.sequencer.classify(reading, epoch_minute)
        if step < 1:
            yield from self._on_out_of_order(reading, step)
            return
        if was_set_back and not self.sequencer.is_behind_maximum and last_at and self._clock_set_back_at:
            yield from self._recorded(self.alarms.clear_opened_between(self._clock_set_back_at, last_at))
        if self.alarms.silenced or self.maintenance.is_relevant(at):
            yield from self._update_maintenance(at)
        model = self.model
        if at.toordinal() != model.day_ordinal:
            if criteria := model.roll_day(at):
                yield criteria
            yield from self._evaluate_drift(at)
            yield self.update_state(at)
            yield expected_day_message(model, at)
            self.alarms.minutes_per_reading = model.interval_minutes
        minute = at.hour * 60 + at.minute
        if step > 1 + self._minutes_ahead:
            self._pass_missed_minutes(at, minute, step - 1 - self._minutes_ahead)
        if at.hour != model.hour_of_day or at.minute < step:
            model.start_hour(at)
        if minute >= NIGHT_END_MINUTE and not model.night_finished:
            yield from self._evaluate_night(at)
        yield from self._evaluate(reading, minute)
        if self.sequencer.jump_rejected:
            self.sequencer.jump_rejected = False
            yield from self._update_alarms(at, [clock_detection(self.sequencer.jump_minutes)], True)

    def _pass_missed_minutes(self, at: datetime, minute: int, missed: int) -> None:
        """Pass the minutes before a reading at a minute of the day that have none.

        The last values count for as long as usual at their cadence.
        """
        model, of_today = self.model, min(missed, minute)
        held = min(of_today, model.hold_minutes_left)
        for ago in range(of_today, of_today - held, -1):
            passed = at - ago * MINUTE
            if passed.hour != model.hour_of_day:
                model.start_hour(passed)
            model.check(minute - ago, None, None)
        if missed > held:
            model.skip(of_today - held)

    def _check_ahead(self, minute: int, checks: tuple[Checks, Checks]) -> tuple[Checks, Checks]:
        """Check the minutes of this hour until the next reading is due, with the values of the last one.

        Return the last checks; those of method system stay as they were, since they concern the value itself.
        """
        stop = min(minute + self.model.interval_minutes, minute // 60 * 60 + 60)
        self._minutes_ahead = stop - minute - 1
        for ahead in range(minute + 1, stop):
            flow, pressure = self.model.check(ahead, None, None)
            checks = (checks[0][0], *flow[1:]), (checks[1][0], *pressure[1:])
        return checks

    def _evaluate(self, reading: Reading, minute: int) -> Iterator[Message]:
        flow, pressure, model = reading.flow_rate, reading.pressure, self.model
        flow_checks, pressure_checks = self._check_ahead(minute, model.check(minute, flow, pressure))
        night_check = model.night_flow.check(minute, flow)
        yield Verdict(
            site=self.site,
            sensor=self.sensor,
            at=reading.at,
            reading=reading,
            flow_rate=FlowChecks(flow_checks[0], flow_checks[1], flow_checks[2], night_check),
            pressure=PressureChecks(*pressure_checks),
        )
        is_shifted = model.flow.level_shift.is_shifted or model.pressure.level_shift.is_shifted
        if (
            is_shifted
            or flow_checks[0].flag
            or flow_checks[1].flag
            or flow_checks[2].flag
            or pressure_checks[0].flag
            or pressure_checks[1].flag
            or pressure_checks[2].flag
        ):
            detections = classify(model.flow, model.pressure, flow_checks, pressure_checks)
            yield from self._update_alarms(reading.at, detections, bool(detections) or self.shift_persists(reading.at))
        elif not self.alarms.is_idle:
            yield from self._update_alarms(
                reading.at,
                [],
                near_threshold(flow_checks[1], flow_checks[2], pressure_checks[1], pressure_checks[2])
                or self.shift_persists(reading.at),
            )
        if self.alarms.has_unclassified_shift and model.flow.level_shift.persists_in_full():
            excess, is_deepest_hour = model.flow.level_shift.excess(), model.night_flow.is_deepest_hour(minute)
            yield from self._recorded(self.alarms.promote_to_burst(reading.at, excess, is_deepest_hour))

    @property
    def late_minutes(self) -> int:
        """Minutes without a reading after which the sensor is silent."""
        channels = [channel for channel in (self.model.flow, self.model.pressure) if channel.interval_minutes]
        return min(channel.late_minutes for channel in channels or [self.model.flow])

    @property
    def interval_minutes(self) -> int:
        """Interval of the readings so far; 1 if unknown."""
        intervals = [channel.interval_minutes for channel in (self.model.flow, self.model.pressure)]
        return min((interval for interval in intervals if interval), default=1)

    def update_state(self, at: datetime) -> SensorState:
        """Return what is judged of this sensor from a time on."""
        self.state = judging_state(self.model, at, self.state)
        return self.state

    def silence(
        self, now: datetime, start: datetime, until: datetime, methods: tuple[Method, ...], entry: OperatorEntry
    ) -> Iterator[Anomaly]:
        """Open no alarm of some methods from a time until another; with both equal, a silence ends."""
        yield from self._recorded(self.maintenance.schedule(now, start, until, methods, entry))

    def end_silence(self, id_: str, now: datetime, by: str) -> Iterator[Anomaly]:
        """End a maintenance window; yield nothing if none has this id."""
        yield from self._recorded(self.maintenance.end(id_, now, by))

    def edit_alarm(self, id_: str, now: datetime, entry: OperatorEntry) -> Iterator[Anomaly]:
        """Yield an open anomaly with what an operator entered; nothing if no open anomaly has this id."""
        yield from self._recorded(self.alarms.edit(id_, now, entry))

    def close_again(self, closed: Anomaly) -> None:
        """Close an alarm that the replay of the stored minutes has opened again."""
        key = incident_key(closed.trigger, closed.channel, closed.kind)
        if key in self.alarms.open:
            self.alarms.close(key)
            self.record_anomaly_span(closed)

    def summary(self, at: datetime) -> AlarmSummary:
        """Return how many anomalies are open."""
        anomalies = [alarm.anomaly for alarm in self.alarms.open.values()]
        worst = max((SEVERITIES.index(anomaly.severity) for anomaly in anomalies), default=-1)
        return AlarmSummary(
            site=self.site,
            sensor=self.sensor,
            at=at,
            open=len(anomalies),
            unacknowledged=sum(not anomaly.acknowledged for anomaly in anomalies),
            severity=SEVERITIES[worst] if anomalies else "none",
            silenced_until=self.maintenance.silenced_until(at),
        )

    def _update_maintenance(self, at: datetime) -> Iterator[Anomaly]:
        self.alarms.silenced = self.maintenance.silenced_methods(at)
        yield from self._recorded(self.maintenance.expire(at))

    def shift_persists(self, at: datetime) -> bool:
        """Whether the shift that opened the alarm still exists and is not yet accepted as the new level."""
        alarm = self.alarms.open.get(SHIFT_KEY)
        if alarm is None:
            return False
        is_loss = alarm.anomaly.channel == "flow_rate" and (alarm.excess or 0.0) > 0.0
        channel_model = self.model.pressure if alarm.anomaly.channel == "pressure" else self.model.flow
        return (
            at - alarm.anomaly.opened_at < (LOSS_ACCEPTED_AFTER if is_loss else SHIFT_ACCEPTED_AFTER)
            and channel_model.level_shift.persists()
        )

    def _recorded(self, anomalies: Iterable[Anomaly]) -> Iterator[Anomaly]:
        for anomaly in anomalies:
            self.record_anomaly_span(anomaly)
            yield anomaly

    def _update_alarms(self, at: datetime, detections: list[Detection], is_near: bool) -> Iterator[Anomaly]:
        for anomaly in self.alarms.update(at, detections, is_near):
            self.record_anomaly_span(anomaly)
            if incident_key(anomaly.trigger, anomaly.channel, anomaly.kind) == SHIFT_KEY:
                self._freeze_baseline(anomaly)
            yield anomaly
            if anomaly.state == "opened" and anomaly.method == "value":
                yield from self._recorded(self.alarms.absorb_night_step(anomaly))

    def _freeze_baseline(self, anomaly: Anomaly) -> None:
        """Freeze the level before an alarm; `record_anomaly_span` releases it with the alarm."""
        if anomaly.state == "opened" and anomaly.method == "value":
            for channel_model in (self.model.flow, self.model.pressure):
                channel_model.level_shift.freeze_level()

    def record_anomaly_span(self, anomaly: Anomaly) -> None:
        """Store when an anomaly lasted, so that fitting leaves its days out; release the level without an alarm."""
        if anomaly.kind == "works" and len(anomaly.methods) < len(get_args(Method)):
            return
        opened = local_minute(anomaly.opened_at)
        if anomaly.state == "opened":
            self.model.history.anomaly_spans.append((opened, None))
        elif anomaly.state == "cleared":
            if anomaly.kind != "works":
                self._recently_cleared.append(anomaly)
            cleared = local_minute(anomaly.at)
            spans = self.model.history.anomaly_spans
            spans[:] = [(start, cleared if start == opened and end is None else end) for start, end in spans]
            if SHIFT_KEY not in self.alarms.open:
                self.model.flow.level_shift.baseline = self.model.pressure.level_shift.baseline = None

    def on_silence(self, at: datetime) -> Iterator[Anomaly]:
        """Open the anomaly of a silent sensor; `at` is a tick's time."""
        last = self.sequencer.last_at
        if last and abs(at - last) > TICK_CLOCK_TOLERANCE and not self.sequencer.is_behind_maximum:
            at = last + timedelta(minutes=self.late_minutes)
        yield from self._update_maintenance(at)
        flow, pressure = self.model.flow, self.model.pressure
        channel = flow.channel if flow.health.is_measured else pressure.channel
        detection = Detection(trigger="silence", channel=channel, severity="warning")
        if detection.key not in self.alarms.open:
            for anomaly in self.alarms.raise_or_continue(at, detection):
                self.record_anomaly_span(anomaly)
                yield anomaly

    def clear_all(self, at: datetime) -> Iterator[Anomaly]:
        """Clear all open alarms: the sensor has ended."""
        for key in list(self.alarms.open):
            yield from self._recorded(self.alarms.clear(at, key))

    def _clear_silence(self, at: datetime) -> Iterator[Anomaly]:
        for key in [key for key, alarm in self.alarms.open.items() if alarm.anomaly.trigger == "silence"]:
            opened, lasted = self.alarms.open[key].anomaly.opened_at, self.silent_minutes * MINUTE
            for anomaly in self.alarms.count_normal(
                opened + lasted if at - opened > lasted + TICK_CLOCK_TOLERANCE else at, key
            ):
                self.record_anomaly_span(anomaly)
                yield anomaly

    def _on_out_of_order(self, reading: Reading, step: int) -> Iterator[Message]:
        """Evaluate a reading of a doubted time, a late reading, or a duplicate."""
        if not self.sequencer.is_duplicate:
            minutes, limit = float(self.sequencer.jump_minutes or -step), float(self.sequencer.LATE_MINUTES)
            check = Check(1 if reading.clock == "doubted" or minutes >= limit else 0, minutes, limit)
            if self.sequencer.is_late_data:
                check = NOT_EVALUATED
                self.model.complete(reading)
            flow = check if reading.flow_rate is not None else NOT_EVALUATED
            pressure = check if reading.pressure is not None else NOT_EVALUATED
            yield Verdict(
                site=self.site,
                sensor=self.sensor,
                at=reading.at,
                reading=reading,
                flow_rate=FlowChecks(flow),
                pressure=PressureChecks(pressure),
            )
        if self.sequencer.jump_minutes:
            yield from self._clear_silence(reading.at)
        if self.sequencer.clock_suspect:
            yield from self._raise_clock_anomaly(reading.at)
        if self.sequencer.clock_set_back:
            self.model.history.quarantine(reading.at.toordinal())
            self.model.day_ordinal = 0
            self._clock_set_back_at = reading.at
            for ended in self._recently_cleared:
                if ended.at > reading.at:
                    yield replace(ended, at=reading.at, cleared_at=min(ended.at, max(ended.opened_at, reading.at)))
            for anomaly in self.alarms.clear_opened_after(reading.at):
                self.record_anomaly_span(anomaly)
                yield anomaly
            self._recently_cleared.clear()

    def _raise_clock_anomaly(self, at: datetime) -> Iterator[Anomaly]:
        """Open the clock anomaly: at the reading's time after a returned jump, else after the last time before it."""
        last, returned_jump = self.sequencer.last_at, self.sequencer.returned_jump_minutes
        if returned_jump or last is None:
            yield from self._update_alarms(
                at, [clock_detection(returned_jump or -self.sequencer.setback_minutes)], True
            )
        else:
            yield from self._update_alarms(last + MINUTE, [clock_detection(-self.sequencer.setback_minutes)], True)

    def _evaluate_drift(self, at: datetime) -> Iterator[Anomaly]:
        """Update the drift anomalies at the change of day; a shift that another open alarm explains opens none."""
        for channel_model, shift in self.model.drift_results:
            key = incident_key("drift", channel_model.channel)
            is_explained = key not in self.alarms.open and self.alarms.known_keys & EXPLAINING_KEYS
            if shift is None or is_explained:
                anomalies = self.alarms.clear(at, key)
            else:
                anomalies = self.alarms.raise_or_continue(at, drift_detection(channel_model, shift))
            yield from self._recorded(anomalies)

    def _evaluate_night(self, at: datetime) -> Iterator[Message]:
        model, leak_alarm = self.model, self.alarms.open.get(LEAK_KEY)
        model.finish_night(leak_alarm.anomaly.opened_at.toordinal() if leak_alarm else 0)
        if night := night_message(model, at):
            yield night
        night_flow = model.night_flow
        if leak_alarm and night_flow.is_resolved:
            yield from self._recorded(self.alarms.count_normal(at, LEAK_KEY))
        elif night_flow.is_leaking:
            yield from self._recorded(self.alarms.raise_leak(at, leak_detection(night_flow, model.flow.expected_mean)))
        if not night_flow.is_leaking:
            self.alarms.closed.pop(LEAK_KEY, None)
        is_explained = bool(self.alarms.known_keys & {SHIFT_KEY, LEAK_KEY})
        if night_flow.night_step and not is_explained:
            yield from self._recorded(
                self.alarms.raise_or_continue(at, night_step_detection(night_flow, night_flow.night_step))
            )
        elif is_explained or not night_flow.is_unknown:
            yield from self._recorded(self.alarms.clear(at, LAST_NIGHT_KEY))


def clock_detection(minutes: int) -> Detection:
    """Return the detection of a clock set back by so many minutes (negative), or of a jump ahead that has returned."""
    return Detection(trigger="clock", channel="flow_rate", severity="warning", excess=float(minutes))


def local_minute(at: datetime) -> int:
    """Return local minutes since ordinal 0."""
    return at.toordinal() * MINUTES_PER_DAY + at.hour * 60 + at.minute
