"""The watch over one sensor: orders its minutes, turns its days, judges each reading."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import numpy as np

from services.detector import criteria as learning
from services.detector.alarms import Alarms
from services.detector.channel import UNMEASURED, Gauge
from services.detector.criteria import Wish, part
from services.detector.findings import Finding, findings, leak, near
from services.detector.memory import MINUTES, Day, Memory, ten_minute_means
from services.detector.methods.night import END, KEPT, Night
from services.detector.methods.prediction import Quantiles
from services.detector.order import Order
from services.detector.usual import day_ahead, recent_unrest
from shared.contract.messages import (
    NOT_EVALUATED,
    Anomaly,
    Check,
    Criteria,
    FlowChecks,
    Forecast,
    Message,
    Prediction,
    PressureChecks,
    Reading,
    Verdict,
)
from shared.domain.series import Floats
from shared.settings import Settings

FirstHours = tuple[Quantiles | None, Quantiles | None]
STRANGE = Finding("clock", "flow_rate", "system", "clock", "warning")


class Watch:
    """Memory and methods of one sensor."""

    def __init__(self, settings: Settings, sensor: str) -> None:
        limits = settings.sensor(sensor)
        self.site, self.sensor = settings.site.name, sensor
        self._wish = Wish(settings.detection.false_alarms_per_week, settings.detection.stuck_minutes)
        self._silence = settings.detection.silence_minutes
        self.memory = Memory()
        self.flow, self.pressure = Gauge("flow_rate", limits.flow_rate), Gauge("pressure", limits.pressure)
        self.night = Night(None)
        self.alarms = Alarms(self.site, sensor)
        self.order = Order()
        self.criteria: Criteria | None = None
        self.predictions: dict[int, FirstHours] = {}
        self._number = 0
        self._hour = -1
        self._night_closed = False

    def take(self, reading: Reading) -> Iterator[Message]:
        """Judges a reading: its Verdict, and what opens, changes or clears with it. A duplicate yields nothing."""
        at = reading.at
        step = self.order.place(reading, int(at.timestamp()) // 60)
        if step < 1:
            yield from self._out_of_order(reading, step)
            return
        number = at.toordinal()
        if number != self._number:
            yield from self._turn_day(at, number)
        elif step > 1:
            self.flow.skip(step - 1)
            self.pressure.skip(step - 1)
        minute = at.hour * 60 + at.minute
        if at.hour != self._hour:
            self._turn_hour(at)
        if minute >= END and not self._night_closed:
            yield from self._close_night(at)
        yield from self._judge(reading, minute)
        if self.order.returned:
            self.order.returned = False
            yield from self._alarm(at, [STRANGE], True)

    def _judge(self, reading: Reading, minute: int) -> Iterator[Message]:
        flow, pressure = reading.flow_rate, reading.pressure
        low = (
            UNMEASURED
            if pressure is None and not self.pressure.system.measured
            else self.pressure.check(minute, _known(pressure))
        )
        high = UNMEASURED if flow is None and not self.flow.system.measured else self.flow.check(minute, _known(flow))
        dark = self.night.check(minute, flow)
        yield Verdict(
            self.site,
            self.sensor,
            reading.at,
            reading,
            FlowChecks(high[0], high[1], high[2], dark),
            PressureChecks(*low),
        )
        if high[0].flag or high[1].flag or high[2].flag or low[0].flag or low[1].flag or low[2].flag:
            found = findings(self.flow, self.pressure, high, low, self._silence)
            yield from self._alarm(reading.at, found, True)
        elif not self.alarms.idle:
            yield from self._alarm(reading.at, [], near(high[1], high[2], low[1], low[2]))

    def _alarm(self, at: datetime, found: list[Finding], is_near: bool) -> Iterator[Anomaly]:
        for anomaly in self.alarms.see(at, found, is_near):
            self.note(anomaly)
            yield anomaly

    def note(self, anomaly: Anomaly) -> None:
        """Remembers when something was wrong, so that it isn't learned from."""
        opened = local_minute(anomaly.opened_at)
        if anomaly.state == "opened":
            self.memory.spans.append((opened, None))
        elif anomaly.state == "cleared":
            cleared = local_minute(anomaly.at)
            spans = self.memory.spans
            spans[:] = [(start, cleared if start == opened and end is None else end) for start, end in spans]

    def silent(self, at: datetime) -> Iterator[Anomaly]:
        """Opens the anomaly of a sensor that says nothing."""
        channel = self.flow.channel if self.flow.system.measured else self.pressure.channel
        if f"{channel}.silence" not in self.alarms.open:
            finding = Finding(f"{channel}.silence", channel, "system", "silence", "warning")
            for anomaly in self.alarms.found(at, finding):
                self.note(anomaly)
                yield anomaly

    def _speaks_again(self, at: datetime) -> Iterator[Anomaly]:
        for key in [key for key in self.alarms.open if key.endswith(".silence")]:
            for anomaly in self.alarms.calm(at, key):
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
            yield from self._alarm(self.order.last_at or reading.at, [STRANGE], True)
        if self.order.back:
            self.memory.forget_from(reading.at.toordinal())
            self._number = 0

    def _turn_hour(self, at: datetime) -> None:
        self._hour = at.hour
        hour = int(at.timestamp()) // 3600
        forecasts = self.predictions.get(hour, (None, None))
        self.predictions = {issued: one for issued, one in self.predictions.items() if issued >= hour}
        self.flow.open_hour(at.hour, forecasts[0])
        self.pressure.open_hour(at.hour, forecasts[1])

    def close_day(self) -> None:
        """Puts the day so far into memory."""
        gauges = (self.flow, self.pressure)
        values = np.array([gauge.minutes for gauge in gauges], dtype=np.float32)
        usual = np.array([gauge.usual or gauge.empty for gauge in gauges], dtype=np.float32)
        forecasts = np.array([gauge.stamp() for gauge in gauges])
        self.memory.add(Day(self._number, values, usual, forecasts, ten_minute_means(values)))

    def _turn_day(self, at: datetime, number: int) -> Iterator[Message]:
        if self._number:
            self.close_day()
        self._number = number
        learned_on = self.criteria.valid_from.toordinal() if self.criteria else None
        if number != learned_on and learning.due(len(self.memory.days), number, learned_on):
            yield self.learn(at)
        self.open_day(number)

    def learn(self, at: datetime) -> Criteria:
        """Learns criteria anew from the days before that of `at`."""
        midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
        criteria = learning.learn(self.memory, self.site, self.sensor, midnight, self._wish)
        self.adopt(criteria)
        return criteria

    def adopt(self, criteria: Criteria) -> None:
        """Goes by these criteria from the next day that opens."""
        self.criteria = criteria
        self.pressure.adopt(criteria, None)
        self.flow.adopt(criteria, self.pressure.value)
        self.night = Night(part(criteria, "flow_rate.night"))

    def open_day(self, number: int) -> None:
        """Begins a day: what is expected of it, and the residuals of yesterday."""
        usual = day_ahead(self.memory, number)
        before = self.memory.before(number, 1)
        for row, gauge in enumerate((self.flow, self.pressure)):
            residuals = (before[-1].values[row] - before[-1].usual[row]).tolist() if before else []
            gauge.open_day(usual[row].tolist(), residuals, recent_unrest(self.memory, number, row))
        self._number, self._hour, self._night_closed = number, -1, False
        if self.night.standing is NOT_EVALUATED and before:
            self._judge_night(before[-1].tens[0], number - 1)

    def _judge_night(self, morning: Floats, number: int) -> None:
        disturbed = self.memory.disturbed(number * MINUTES + END)
        self.night.close_night(self.memory.before(number, KEPT), morning, number, disturbed)

    def _close_night(self, at: datetime) -> Iterator[Anomaly]:
        self._night_closed = True
        self._judge_night(ten_minute_means(np.array(self.flow.minutes, dtype=np.float32)), self._number)
        flag, score = self.night.standing.flag, self.night.standing.score or 0.0
        usual = self.flow.usual
        found: list[Anomaly] = []
        if flag and ("usual" not in self.alarms.open or "night" in self.alarms.open):
            found += self.alarms.found(at, leak(self.night, sum(usual) / len(usual) if usual else 0.0))
        elif flag == 0 and score < 0.8 and "night" in self.alarms.open:
            found += self.alarms.calm(at, "night")
        for anomaly in found:
            self.note(anomaly)
            yield anomaly


def _known(value: float | None) -> float | None:
    return None if value is None or value != value else value


def local_minute(at: datetime) -> int:
    """Local minutes since ordinal 0."""
    return at.toordinal() * MINUTES + at.hour * 60 + at.minute


def first_hours(prediction: Prediction) -> FirstHours:
    """p10, p50, p90 of flow rate and pressure in the hour a prediction was issued; None where unsaid."""
    return _first(prediction.flow_rate), _first(prediction.pressure)


def _first(forecast: Forecast) -> Quantiles | None:
    if not forecast.p50:
        return None
    low, middle, high = forecast.p10[0], forecast.p50[0], forecast.p90[0]
    return None if low is None or middle is None or high is None else (low, middle, high)
