"""The watch over one sensor: orders its minutes, judges each reading, keeps its alarms."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from services.detector.alarms import Alarms
from services.detector.findings import Finding, drifting, findings, key_of, leak, near, risen_last_night
from services.detector.memory import MINUTES
from services.detector.methods.night import END
from services.detector.order import Order
from services.detector.station import Station
from services.detector.works import Works
from shared.contract.messages import (
    NOT_EVALUATED,
    Anomaly,
    Check,
    FlowChecks,
    Message,
    PressureChecks,
    Reading,
    Verdict,
)
from shared.domain.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from shared.settings import Settings

MINUTE = timedelta(minutes=1)
LASTS, LOSS_LASTS = timedelta(hours=12), timedelta(days=3)
"""After which a shift is the new level: what is no loss is known soon, of the rest the nights tell by then."""
FAR = timedelta(days=1)
"""From the last reading; a silence that a tick puts farther away is one of the tick's clock."""


class Watch:
    """Judges one sensor's readings, and keeps its alarms."""

    def __init__(self, settings: Settings, sensor: str, calendar: HolidayCalendar = NO_HOLIDAYS) -> None:
        self.site, self.sensor = settings.site.name, sensor
        self._silence = settings.detection.silence_minutes
        self.station = Station(settings, sensor, calendar)
        self.alarms = Alarms(self.site, sensor)
        self.works = Works(self.site, sensor)
        self.order = Order()
        self._ended: deque[Anomaly] = deque(maxlen=8)
        """The newest that were cleared; they were over sooner if the meter's clock comes back from a leap."""
        self.silent_minutes = 0
        """Ticks of the newest silence; a silence doesn't last as long as the meter's clock leapt in it."""
        self._set_back_at: datetime | None = None
        """Where the clock was when it had been set back, by itself."""

    def take(self, reading: Reading, since_epoch: int) -> Iterator[Message]:
        """Judges a reading: its Verdict, and what opens, changes or clears with it. A duplicate yields nothing.

        since_epoch: its minute.
        """
        at, before, set_back = reading.at, self.order.last_at, self._set_back_at is not None and self.order.set_back
        step = self.order.place(reading, since_epoch)
        if step < 1:
            yield from self._out_of_order(reading, step)
            return
        if set_back and not self.order.set_back and before and self._set_back_at:
            yield from self._told(self.alarms.leave(self._set_back_at, before))
        if self.alarms.quiet or self.works.matter(at):
            yield from self._mind_works(at)
        station = self.station
        if step > 1:
            station.flow.system.skip()
            station.pressure.system.skip()
        if at.toordinal() != station.number:
            if criteria := station.turn_day(at):
                yield criteria
            yield from self._judge_levels(at)
        elif step > 1:
            station.flow.skip(step - 1)
            station.pressure.skip(step - 1)
        minute = at.hour * 60 + at.minute
        if at.hour != station.hour or at.minute < step:
            station.open_hour(at)
        if minute >= END and not station.night_closed:
            yield from self._close_night(at)
        yield from self._judge(reading, minute)
        if self.order.returned:
            self.order.returned = False
            yield from self._alarm(at, [strange(self.order.leap)], True)

    def _judge(self, reading: Reading, minute: int) -> Iterator[Message]:
        flow, pressure, station = reading.flow_rate, reading.pressure, self.station
        low = station.pressure.check(minute, pressure)
        high = station.flow.check(minute, flow)
        dark = station.night.check(minute, flow)
        yield Verdict(
            self.site,
            self.sensor,
            reading.at,
            reading,
            FlowChecks(high[0], high[1], high[2], dark),
            PressureChecks(*low),
        )
        risen = station.flow.value.risen or station.pressure.value.risen
        if risen or high[0].flag or high[1].flag or high[2].flag or low[0].flag or low[1].flag or low[2].flag:
            found = findings(station.flow, station.pressure, high, low, self._silence)
            yield from self._alarm(reading.at, found, bool(found) or self.goes_on(reading.at))
        elif not self.alarms.idle:
            yield from self._alarm(reading.at, [], near(high[1], high[2], low[1], low[2]) or self.goes_on(reading.at))
        if self.alarms.unnamed and station.flow.value.in_full():
            excess, deep = station.flow.value.excess(), station.night.deep(minute)
            yield from self._told(self.alarms.in_full(reading.at, excess, deep))

    def announce(self, at: datetime, until: datetime) -> Iterator[Anomaly]:
        """Keeps quiet from now until then."""
        yield from self._told(self.works.announce(at, until))

    def _mind_works(self, at: datetime) -> Iterator[Anomaly]:
        self.alarms.quiet = self.works.on(at)
        yield from self._told(self.works.end(at))

    def goes_on(self, at: datetime) -> bool:
        """Whether what opened the alarm is still there, and not yet the new level."""
        alarm = self.alarms.open.get("usual")
        if alarm is None:
            return False
        is_loss = alarm.said.channel == "flow_rate" and (alarm.excess or 0.0) > 0.0
        gauge = self.station.pressure if alarm.said.channel == "pressure" else self.station.flow
        return at - alarm.said.opened_at < (LOSS_LASTS if is_loss else LASTS) and gauge.value.goes_on()

    def _told(self, anomalies: Iterable[Anomaly]) -> Iterator[Anomaly]:
        for anomaly in anomalies:
            self.note(anomaly)
            yield anomaly

    def _alarm(self, at: datetime, found: list[Finding], is_near: bool) -> Iterator[Anomaly]:
        for anomaly in self.alarms.see(at, found, is_near):
            self.note(anomaly)
            if key_of(anomaly.channel, anomaly.kind) == "usual":
                self._hold(anomaly)
            yield anomaly
            if anomaly.state == "opened" and anomaly.method == "value":
                yield from self._told(self.alarms.merge(anomaly))

    def _hold(self, anomaly: Anomaly) -> None:
        """Keeps what was the level before an alarm; `note` lets it go with the alarm."""
        if anomaly.state == "opened" and anomaly.method == "value":
            for gauge in (self.station.flow, self.station.pressure):
                gauge.value.hold()

    def note(self, anomaly: Anomaly) -> None:
        """Remembers when something was wrong, so that it isn't learned from; no level is held without an alarm."""
        opened = local_minute(anomaly.opened_at)
        if anomaly.state == "opened":
            self.station.memory.spans.append((opened, None))
        elif anomaly.state == "cleared":
            if anomaly.kind != "works":
                self._ended.append(anomaly)
            cleared = local_minute(anomaly.at)
            spans = self.station.memory.spans
            spans[:] = [(start, cleared if start == opened and end is None else end) for start, end in spans]
            if "usual" not in self.alarms.open:
                self.station.flow.value.held = self.station.pressure.value.held = None

    def silent(self, at: datetime) -> Iterator[Anomaly]:
        """Opens the anomaly of a sensor that says nothing; `at` is a tick's."""
        last = self.order.last_at
        if last and abs(at - last) > FAR and not self.order.set_back:
            at = last + timedelta(minutes=self._silence)
        yield from self._mind_works(at)
        flow, pressure = self.station.flow, self.station.pressure
        channel = flow.channel if flow.system.measured else pressure.channel
        if f"{channel}.silence" not in self.alarms.open:
            finding = Finding(f"{channel}.silence", channel, "system", "silence", "warning")
            for anomaly in self.alarms.found(at, finding):
                self.note(anomaly)
                yield anomaly

    def _speaks_again(self, at: datetime) -> Iterator[Anomaly]:
        for key in [key for key in self.alarms.open if key.endswith(".silence")]:
            opened, lasted = self.alarms.open[key].said.opened_at, self.silent_minutes * MINUTE
            for anomaly in self.alarms.calm(opened + lasted if at - opened > lasted + FAR else at, key):
                self.note(anomaly)
                yield anomaly

    def _out_of_order(self, reading: Reading, step: int) -> Iterator[Message]:
        """A leap ahead that nothing confirms yet, a late reading, or a duplicate."""
        if not self.order.duplicate:
            minutes = float(self.order.leap or -step)
            check = Check(1 if minutes >= self.order.LATE else 0, minutes, float(self.order.LATE))
            flow = check if reading.flow_rate is not None else NOT_EVALUATED
            pressure = check if reading.pressure is not None else NOT_EVALUATED
            yield Verdict(self.site, self.sensor, reading.at, reading, FlowChecks(flow), PressureChecks(pressure))
        if self.order.leap:
            yield from self._speaks_again(reading.at)
        if self.order.strange:
            yield from self._strange(reading.at)
        if self.order.back:
            self.station.memory.set_aside(reading.at.toordinal())
            self.station.number = 0
            self._set_back_at = reading.at
            for ended in self._ended:
                if ended.at > reading.at:
                    yield replace(ended, at=reading.at, cleared_at=min(ended.at, max(ended.opened_at, reading.at)))
            for anomaly in self.alarms.turn_back(reading.at):
                self.note(anomaly)
                yield anomaly
            self._ended.clear()

    def _strange(self, at: datetime) -> Iterator[Anomaly]:
        """The clock went back: from a leap it comes back to the true time, else the time before was true."""
        last, leap = self.order.last_at, self.order.came_back
        if leap or last is None:
            yield from self._alarm(at, [strange(leap or -self.order.fallen)], True)
        else:
            yield from self._alarm(last + MINUTE, [strange(-self.order.fallen)], True)

    def _judge_levels(self, at: datetime) -> Iterator[Anomaly]:
        """Says which meter's level has drifted by the end of a day; what another alarm tells of is not said twice."""
        for gauge, shift in self.station.shifts:
            key = f"{gauge.channel}.drift"
            is_told = key not in self.alarms.open and self.alarms.open.keys() & {"usual", "night", "last_night"}
            if shift is None or is_told:
                said = self.alarms.clear(at, key)
            else:
                said = self.alarms.found(at, drifting(gauge, shift))
            yield from self._told(said)

    def _close_night(self, at: datetime) -> Iterator[Anomaly]:
        station, leaking = self.station, self.alarms.open.get("night")
        station.close_night(leaking.said.opened_at.toordinal() if leaking else 0)
        night = station.night
        if leaking and night.over:
            yield from self._told(self.alarms.calm(at, "night"))
        elif night.leaking:
            yield from self._told(self.alarms.lasts(at, leak(night, station.flow.usual_mean)))
        is_told = bool(self.alarms.open.keys() & {"usual", "night"})
        if night.last and not is_told:
            yield from self._told(self.alarms.found(at, risen_last_night(night, night.last)))
        elif is_told or not night.unseen:
            yield from self._told(self.alarms.clear(at, "last_night"))


def strange(minutes: int) -> Finding:
    """The meter's clock went so many minutes back (negative), or leapt ahead and came back."""
    return Finding("clock", "flow_rate", "system", "clock", "warning", excess=float(minutes))


def local_minute(at: datetime) -> int:
    """Local minutes since ordinal 0."""
    return at.toordinal() * MINUTES + at.hour * 60 + at.minute
