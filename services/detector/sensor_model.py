"""Model of one sensor: its day history, its methods and their criteria, driven by local days, nights and hours."""

from __future__ import annotations

import logging
from datetime import datetime

import numpy as np

from services.detector import calibration
from services.detector.calibration import CalibrationTargets, parameters_of
from services.detector.channel_model import ALL_NAN, ChannelModel, Checks
from services.detector.day_history import MINUTES_PER_DAY, Day, DayHistory, average_to_ten_minutes, make_day
from services.detector.expected_day import LOOKBACK_DAYS, SLOTS_PER_DAY, expected_day
from services.detector.methods.flow_pressure import LEVEL_DAYS
from services.detector.methods.forecast_deviation import HourQuantiles
from services.detector.methods.night_flow import HISTORY_NIGHTS, NIGHT_END_MINUTE, NightFlowDetector
from services.detector.methods.sensor_drift import (
    SensorDriftDetector,
    SensorShift,
    attribute_to_one_meter,
    daily_levels,
)
from shared.contract.messages import NOT_EVALUATED, Criteria, Reading
from shared.domain.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from shared.domain.series import Floats
from shared.runtime.log import log
from shared.settings import Settings


class SensorModel:
    """Two channels, the night flow, and the day history they are fitted to; driven by the readings' local time."""

    def __init__(self, settings: Settings, sensor: str, calendar: HolidayCalendar = NO_HOLIDAYS) -> None:
        self._settings = settings
        limits, self.value_ranges = settings.sensor(sensor), settings.value_ranges
        self.site, self.sensor = settings.site.name, sensor
        self._targets = CalibrationTargets(settings.detection.false_alarms_per_week, settings.detection.stuck_minutes)
        self.history = DayHistory(calendar)
        silence_minutes = settings.detection.silence_minutes
        self.flow = ChannelModel("flow_rate", limits.meter("flow_rate"), silence_minutes)
        self.pressure = ChannelModel("pressure", limits.meter("pressure"), silence_minutes)
        self.night_flow = NightFlowDetector(None)
        self.drift_detectors = (SensorDriftDetector(None), SensorDriftDetector(None))
        self.drift_results: list[tuple[ChannelModel, SensorShift | None]] = []
        """Shift of each meter's level, as evaluated at the last change of day."""
        self.criteria: Criteria | None = None
        self.scheduled_criteria: dict[int, Criteria] = {}
        """Ordinal of a coming day to the stored criteria that become valid on it."""
        self.forecasts: dict[int, HourQuantiles] = {}
        """Hour since the epoch to its forecast."""
        self.interval_minutes = 1
        """Interval of the readings: that of the faster channel; 1 on the first day."""
        self.day_ordinal = 0
        """Ordinal of the present day; 0 before the first."""
        self.hour_of_day = -1
        self.night_finished = False

    def check(self, minute: int, flow_rate: float | None, pressure: float | None) -> tuple[Checks, Checks]:
        """Return the checks of flow rate and pressure at a minute of the day; None stands for no value."""
        pressure_checks = self.pressure.check(minute, pressure)
        return self.flow.check(minute, flow_rate), pressure_checks

    @property
    def hold_minutes_left(self) -> int:
        """Minutes for which a value of the last reading still counts."""
        return max(self.flow.hold_minutes_left, self.pressure.hold_minutes_left)

    def skip(self, minutes: int) -> None:
        """Skip minutes of the day for which no value counts."""
        self.flow.skip(minutes)
        self.pressure.skip(minutes)

    def start_hour(self, at: datetime) -> None:
        """Start an hour with its forecast."""
        self.hour_of_day = at.hour
        epoch_hour = int(at.timestamp()) // 3600
        hour_forecasts = self.forecasts.get(epoch_hour, (None, None))
        self.forecasts = {issued: quantiles for issued, quantiles in self.forecasts.items() if issued >= epoch_hour}
        self.flow.start_hour(at.hour, hour_forecasts[0])
        self.pressure.start_hour(at.hour, hour_forecasts[1])

    def complete(self, reading: Reading) -> None:
        """Learn from values that came late; they are not judged."""
        ordinal, minute = reading.at.toordinal(), reading.at.hour * 60 + reading.at.minute
        values = self.value_ranges.usable(self.sensor, reading.flow_rate, reading.pressure)
        for row, (channel, value) in enumerate(zip((self.flow, self.pressure), values, strict=True)):
            if value is None:
                continue
            if ordinal == self.day_ordinal:
                channel.measured[minute] = value
            else:
                self.history.complete(ordinal, row, minute, value)

    def finish_day(self) -> None:
        """Add the day so far to the day history."""
        channels = (self.flow, self.pressure)
        measured = np.array([channel.measured for channel in channels], dtype=np.float32)
        expected = np.array([channel.expected or ALL_NAN for channel in channels], dtype=np.float32)
        forecasts = np.array([channel.forecast_array() for channel in channels])
        self.history.add(make_day(self.day_ordinal, measured, expected, forecasts))

    def roll_day(self, at: datetime) -> Criteria | None:
        """Finish a day and start that of `at`; return new criteria when a calibration is due."""
        if self.day_ordinal:
            self.finish_day()
        ordinal = at.toordinal()
        self.history.release_quarantine(ordinal)
        days = self.history.days_before(ordinal, LOOKBACK_DAYS)
        self.drift_results = list(zip((self.flow, self.pressure), self._evaluate_drift(days), strict=True))
        calibrated_on = self.criteria.valid_from.toordinal() if self.criteria else None
        if scheduled := self.scheduled_criteria.pop(ordinal, None):
            self.apply_criteria(scheduled)
        is_due = ordinal != calibrated_on and calibration.is_due(len(self.history.days), ordinal, calibrated_on)
        criteria = self.calibrate(at) if is_due and not scheduled else None
        self.start_day(ordinal)
        return criteria

    def _evaluate_drift(self, days: list[Day]) -> list[SensorShift | None]:
        day_types = self.history.types_of_ordinals(day.ordinal for day in days)
        ten_minute_means = np.array([day.ten_minute_means for day in days]).reshape(-1, 2, SLOTS_PER_DAY)
        flow = daily_levels(ten_minute_means[:, 0], day_types)
        pressure = daily_levels(ten_minute_means[:, 1], day_types)
        arguments = (flow, pressure, ten_minute_means[:, 0]), (pressure, flow, ten_minute_means[:, 1])
        return attribute_to_one_meter(
            [drift.evaluate(*levels) for drift, levels in zip(self.drift_detectors, arguments, strict=True)]
        )

    def calibrate(self, at: datetime) -> Criteria:
        """Calibrate from the days before that of `at`, and apply the criteria."""
        midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
        criteria = calibration.calibrate(self.history, self.site, self.sensor, midnight, self._targets)
        self.apply_criteria(criteria)
        return criteria

    def apply_criteria(self, criteria: Criteria) -> None:
        """Apply criteria from the next day on."""
        self.criteria = criteria
        self.pressure.apply_criteria(criteria, None)
        self.flow.apply_criteria(criteria, self.pressure)
        self.drift_detectors = (
            SensorDriftDetector(parameters_of(criteria, "flow_rate.drift")),
            SensorDriftDetector(parameters_of(criteria, "pressure.drift")),
        )
        self.night_flow = NightFlowDetector(parameters_of(criteria, "flow_rate.night"))

    def accepts_criteria(self, criteria: Criteria) -> bool:
        """Whether stored criteria contain all that the methods need; they may have been edited."""
        try:
            SensorModel(self._settings, self.sensor).apply_criteria(criteria)
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            log("detector", "criteria_rejected", logging.ERROR, error, sensor=self.sensor)
            return False
        return True

    def start_day(self, ordinal: int) -> None:
        """Start a day with its expected values and the residuals of the two days before."""
        expected = expected_day(self.history, ordinal)
        by_ordinal = {day.ordinal: day for day in self.history.days_before(ordinal, 2)}
        for row, channel in enumerate((self.flow, self.pressure)):
            residuals = np.concatenate([_residuals(by_ordinal.get(ordinal - ago), row) for ago in (2, 1)])
            channel.start_day(expected[row].tolist(), residuals, self.history.cadences(channel.channel))
        self.flow.level_shift.start_pressure_day(ordinal, self.history.days_before(ordinal, LEVEL_DAYS))
        self.interval_minutes = min(
            (channel.interval_minutes for channel in (self.flow, self.pressure) if channel.interval_minutes), default=1
        )
        self.day_ordinal, self.hour_of_day, self.night_finished = ordinal, -1, False
        if self.night_flow.current_check is NOT_EVALUATED and ordinal - 1 in by_ordinal:
            self._evaluate_night(by_ordinal[ordinal - 1].ten_minute_means, ordinal - 1)

    def finish_night(self, alarm_opened_on: int) -> None:
        """Evaluate the finished night; alarm_opened_on: ordinal of the day on which an open leak alarm began, or 0."""
        self.night_finished, self.night_flow.alarm_opened_on = True, alarm_opened_on
        minutes = np.array([self.flow.values_so_far(), self.pressure.values_so_far()], dtype=np.float32)
        self._evaluate_night(average_to_ten_minutes(minutes), self.day_ordinal)

    def _evaluate_night(self, morning: Floats, ordinal: int) -> None:
        anomalous = self.history.anomalous_days(ordinal * MINUTES_PER_DAY + NIGHT_END_MINUTE)
        days = self.history.days_before(ordinal, HISTORY_NIGHTS)
        day_types = self.history.types_of_ordinals([*(day.ordinal for day in days), ordinal])
        self.night_flow.evaluate(days, morning, ordinal, day_types, anomalous)


def _residuals(day: Day | None, row: int) -> Floats:
    """Return (1440,) observed minus expected values of a day; NaN for a day without readings."""
    return (day.values[row] - day.expected[row]).astype(np.float64) if day else np.full(MINUTES_PER_DAY, np.nan)
