"""What is learned and expected at one sensor: its memory and methods, as days, nights and hours turn."""

from __future__ import annotations

import logging
from datetime import datetime

import numpy as np

from services.detector import criteria as learning
from services.detector.channel import Gauge
from services.detector.criteria import Wish, part
from services.detector.memory import MINUTES, Day, Memory, ten_minute_means
from services.detector.methods.drift import Drift, Shift, blamed, levels
from services.detector.methods.head import LEVEL_DAYS
from services.detector.methods.night import END, KEPT, Night
from services.detector.methods.prediction import FirstHours
from services.detector.usual import LOOK_BACK, SLOTS, day_ahead
from shared.contract.messages import NOT_EVALUATED, Criteria
from shared.domain.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from shared.domain.series import Floats
from shared.runtime.log import log
from shared.settings import Settings


class Station:
    """Two gauges, the nights, and the memory they learn from; driven by the local time of the readings."""

    def __init__(self, settings: Settings, sensor: str, calendar: HolidayCalendar = NO_HOLIDAYS) -> None:
        self._settings = settings
        limits = settings.sensor(sensor)
        self.site, self.sensor = settings.site.name, sensor
        self._wish = Wish(settings.detection.false_alarms_per_week, settings.detection.stuck_minutes)
        self.memory = Memory(calendar)
        self.flow, self.pressure = Gauge("flow_rate", limits.flow_rate), Gauge("pressure", limits.pressure)
        self.night = Night(None)
        self.drifts = (Drift(None), Drift(None))
        self.shifts: list[tuple[Gauge, Shift | None]] = []
        """How each meter's level had moved when the last day was closed."""
        self.criteria: Criteria | None = None
        self.decided: dict[int, Criteria] = {}
        """Ordinal of a day to come to the criteria that were learned on it before a restart."""
        self.predictions: dict[int, FirstHours] = {}
        """Hour since the epoch to what was predicted of it."""
        self.number = 0
        """Ordinal of the day that is open; 0 before the first."""
        self.hour = -1
        self.night_closed = False

    def open_hour(self, at: datetime) -> None:
        """Begins an hour with what was predicted of it."""
        self.hour = at.hour
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
        self.memory.add(Day(self.number, values, usual, forecasts, ten_minute_means(values)))

    def turn_day(self, at: datetime) -> Criteria | None:
        """Closes a day and begins that of `at`; new criteria if it is time for them."""
        if self.number:
            self.close_day()
        number = at.toordinal()
        self.memory.take_back(number)
        days = self.memory.before(number, LOOK_BACK)
        self.shifts = list(zip((self.flow, self.pressure), self._shifts(days), strict=True))
        learned_on = self.criteria.valid_from.toordinal() if self.criteria else None
        if decided := self.decided.pop(number, None):
            self.adopt(decided)
        due = number != learned_on and learning.due(len(self.memory.days), number, learned_on)
        criteria = self.learn(at) if due and not decided else None
        self.open_day(number)
        return criteria

    def _shifts(self, days: list[Day]) -> list[Shift | None]:
        types = self.memory.types(day.number for day in days)
        tens = np.array([day.tens for day in days]).reshape(-1, 2, SLOTS)
        flow, pressure = levels(tens[:, 0], types), levels(tens[:, 1], types)
        both = (flow, pressure, tens[:, 0]), (pressure, flow, tens[:, 1])
        return blamed([drift.judge(*each) for drift, each in zip(self.drifts, both, strict=True)])

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
        self.flow.adopt(criteria, self.pressure)
        self.drifts = (Drift(part(criteria, "flow_rate.drift")), Drift(part(criteria, "pressure.drift")))
        self.night = Night(part(criteria, "flow_rate.night"))

    def can_go_by(self, criteria: Criteria) -> bool:
        """Whether stored criteria hold all that the methods need; somebody may have changed them."""
        try:
            Station(self._settings, self.sensor).adopt(criteria)
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            log("detector", "stored criteria can't be used", logging.ERROR, error, sensor=self.sensor)
            return False
        return True

    def open_day(self, number: int) -> None:
        """Begins a day: what is expected of it, and the residuals of the two days before."""
        usual = day_ahead(self.memory, number)
        before = {day.number: day for day in self.memory.before(number, 2)}
        for row, gauge in enumerate((self.flow, self.pressure)):
            past = np.concatenate([_residuals(before.get(number - ago), row) for ago in (2, 1)])
            gauge.open_day(usual[row].tolist(), past)
        self.flow.value.open_head(number, self.memory.before(number, LEVEL_DAYS))
        self.number, self.hour, self.night_closed = number, -1, False
        if self.night.standing is NOT_EVALUATED and number - 1 in before:
            self._judge_night(before[number - 1].tens, number - 1)

    def close_night(self, opened: int) -> None:
        """Judges the night that is over; opened: the ordinal of the day on which an open leak alarm began, or 0."""
        self.night_closed, self.night.opened = True, opened
        minutes = np.array([self.flow.minutes, self.pressure.minutes], dtype=np.float32)
        self._judge_night(ten_minute_means(minutes), self.number)

    def _judge_night(self, morning: Floats, number: int) -> None:
        disturbed = self.memory.disturbed(number * MINUTES + END)
        days = self.memory.before(number, KEPT)
        types = self.memory.types([*(day.number for day in days), number])
        self.night.close_night(days, morning, number, types, disturbed)


def _residuals(day: Day | None, row: int) -> Floats:
    """(1440,) what was seen of a day minus what was expected; NaN for a day without readings."""
    return (day.values[row] - day.usual[row]).astype(np.float64) if day else np.full(MINUTES, np.nan)
