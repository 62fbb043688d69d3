"""Method system (시스템): faults of the meter: no value, stuck, out of range, impossible jumps, unit changes.

Limits of stuck runs and jumps come from the meter's own reference days: a meter with a coarse resolution repeats values
longer.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from services.detector.day_history import TrainingDays
from services.detector.methods.standardise import Parameters, small_sample_factor
from services.detector.methods.units import looks_like_unit_change
from services.detector.threshold import threshold_for_rate
from shared.contract.messages import NOT_EVALUATED, Channel, Check
from shared.domain.series import Floats
from shared.settings.sections import Range

Fault = Literal["silence", "stuck", "out_of_range"]

MISSING_MINUTES = 5
"""Minutes in a row without a value from which on a measured channel is abnormal."""
RANGE_WIDTHS = 3.0
"""Widths of the expected range, beyond it or within one minute, that no site reaches."""
LIMIT_MARGIN = 1.5
DEFAULT_RUN_MINUTES = 1440.0
PARTNER_JUMP_SHARE = 0.5
"""Share of the partner's limit from which on a move of the partner explains a jump."""
UNIT_CHANGE_MINUTES = 1440
"""Minutes after which a unit change can no longer be distinguished from a change of the flow."""
OUTSIDE_MINUTES = 5
"""Values in a row outside the allowed range before an alarm, where a normal jump can reach them (noise around 0)."""
MIN_WIDTH_SHARE = 0.1
"""Minimum width of the range and of a jump, as a share of the largest expected value."""


def fit(days: TrainingDays, per_day: float, stuck_minutes: int) -> Parameters | None:
    """Fit the longest stuck run (minutes), the plausible range, and the limits of unexplained and impossible jumps."""
    values = days.values[days.reference]
    if not len(values):
        return None
    run = max(LIMIT_MARGIN * _threshold(longest_runs(days.values), days, per_day / 2), float(stuck_minutes))
    p001, p999 = np.nanquantile(values, (0.001, 0.999))
    min_width = MIN_WIDTH_SHARE * max(abs(float(p001)), abs(float(p999)))
    margin = RANGE_WIDTHS * max(float(p999 - p001), min_width) * (1.0 + 3.0 / len(values))
    jumps = np.nan_to_num(np.abs(np.diff(days.values, axis=1))).max(axis=1)
    jump = max(LIMIT_MARGIN * _threshold(jumps, days, per_day / 2) * small_sample_factor(len(values)), min_width)
    limits = {
        "run": min(run, 4 * DEFAULT_RUN_MINUTES),
        "low": p001 - margin,
        "high": p999 + margin,
        "jump": jump,
        "leap": max(jump, margin),
        "noise_low": p001 - jump,
        "noise_high": p999 + jump,
    }
    return Parameters({name: float(f"{limit:.6g}") for name, limit in limits.items()}, {})


def _threshold(of_days: Floats, days: TrainingDays, per_day: float) -> float:
    return threshold_for_rate(
        np.where(days.reference, of_days, np.where(days.has_enough_data, np.inf, np.nan)), per_day
    )


def longest_runs(values: Floats) -> Floats:
    """Return (n,) longest run of one value, in minutes, in each of (n, 1440) consecutive days."""
    flat = values.ravel()
    runs = np.zeros(len(flat))
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
    run_starts = np.repeat(starts, np.diff(np.append(starts, len(flat))))
    runs = np.where(np.isnan(flat), 0.0, np.arange(len(flat)) - run_starts + 1.0)
    longest: Floats = runs.reshape(values.shape).max(axis=1)
    return longest


class SensorHealth:
    """Running health check of one channel."""

    def __init__(
        self, channel: Channel, parameters: Parameters | None, allowed_range: Range, partner: SensorHealth | None = None
    ) -> None:
        """Flow rate has pressure as its partner, which processes a minute first."""
        limits = parameters.limits if parameters else {}
        self._channel, self._partner = channel, partner
        self._run_limit = limits.get("run", DEFAULT_RUN_MINUTES)
        self._low = max(limits.get("low", -math.inf), -math.inf if allowed_range.min is None else allowed_range.min)
        self._high = min(limits.get("high", math.inf), math.inf if allowed_range.max is None else allowed_range.max)
        self._noise_range = limits.get("noise_low", math.inf), limits.get("noise_high", -math.inf)
        self._outside_count = 0
        self._jump_limit, self._impossible_jump_limit = limits.get("jump", math.inf), limits.get("leap", math.inf)
        self.is_measured = False
        self.fault: Fault | None = None
        self.stuck_minutes = 0
        self.missing_minutes = 0
        self.last_value: float | None = None
        self.unit_change_minutes_left = 0
        """Minutes for which values are still taken to be in another unit."""
        self._unit_factor = 1.0
        """Factor of the other unit."""
        self._delta = self._unit_jump = 0.0
        """Change since the minute before, and the jump into the other unit, in the channel's unit."""
        self._is_consecutive = False
        """Whether the last value is that of the minute before."""
        self._checks: dict[int, Check] = {}

    def carry_state_from(self, before: SensorHealth) -> SensorHealth:
        """Carry over the state from the detector with the previous criteria."""
        self.is_measured = before.is_measured
        self.stuck_minutes = before.stuck_minutes
        self.missing_minutes = before.missing_minutes
        self.last_value = before.last_value
        self.fault = before.fault
        self._unit_jump = before._unit_jump
        self._is_consecutive = before._is_consecutive
        self._outside_count = before._outside_count
        self.unit_change_minutes_left, self._unit_factor = before.unit_change_minutes_left, before._unit_factor
        return self

    def seed(self, values: Floats) -> None:
        """Set stuck run and gap from the end of stored values, oldest first."""
        known_values = values[~np.isnan(values)]
        if len(known_values):
            self.is_measured = True
            self.last_value = float(known_values[-1])
            different = np.flatnonzero(known_values != known_values[-1])
            self.stuck_minutes = len(known_values) - 1 - int(different[-1]) if len(different) else len(known_values)
            self.missing_minutes = len(values) - 1 - int(np.flatnonzero(~np.isnan(values))[-1])

    def skip(self) -> None:
        """Skip minutes without a value: the change and a unit change are unknown afterwards."""
        self._is_consecutive, self.unit_change_minutes_left, self._delta = False, 0, 0.0

    def _is_impossible_jump(self, value: float, last: float, expected: float) -> bool:
        """Whether water cannot change this much in a minute; also detects the start and end of a unit change.

        A jump that pressure shows as well is real: a broken main may multiply the flow. A return to the expected value
        is the end of something and is not checked. When a pump stops the pressure falls at once, so only a rise of the
        pressure counts as a unit change.
        """
        if self.unit_change_minutes_left:
            root = math.sqrt(self._unit_factor)
            is_back = value * root <= last if root > 1.0 else value * root >= last
            self.unit_change_minutes_left = 0 if is_back else self.unit_change_minutes_left - 1
            return False
        self._unit_jump = abs(self._delta)
        partner = self._partner
        if not abs(value - expected) > abs(last - expected):
            return False
        if partner and abs(partner._delta) > PARTNER_JUMP_SHARE * partner._jump_limit:
            return False
        is_flow = self._channel == "flow_rate"
        if looks_like_unit_change(self._channel, value, last) and (is_flow or value > last):
            self.unit_change_minutes_left, self._unit_factor = UNIT_CHANGE_MINUTES, value / last
        return is_flow and self._unit_jump > self._impossible_jump_limit

    def should_alarm(self) -> bool:
        """Whether a faulty value is alarmed: when it is far or long enough outside the range."""
        return self.fault is not None and not 0 < self._outside_count < OUTSIDE_MINUTES

    def check(self, value: float | None, expected: float) -> Check:
        """Return the Check of a value, given the expected one (NaN if unknown); sets `fault`."""
        if value is None:
            if not self.is_measured:
                return NOT_EVALUATED
            self.missing_minutes += 1
            self.skip()
            self.fault = "silence" if self.missing_minutes >= MISSING_MINUTES else None
            return Check(1 if self.fault else 0, float(self.missing_minutes), float(MISSING_MINUTES))
        self.missing_minutes = 0
        last_value, is_jump = self.last_value, False
        if self._is_consecutive and last_value is not None:
            self._delta = value - last_value
            is_jump = (
                abs(self._delta) > self._jump_limit or self.unit_change_minutes_left > 0
            ) and self._is_impossible_jump(value, last_value, expected)
        self._is_consecutive = True
        if value == self.last_value:
            self.stuck_minutes += 1
        else:
            self.stuck_minutes, self.last_value, self.is_measured = 1, value, True
        if not self._low <= value <= self._high:
            self.fault = "out_of_range"
            self._outside_count = (
                self._outside_count + 1 if self._noise_range[0] <= value <= self._noise_range[1] else OUTSIDE_MINUTES
            )
            return Check(1, value, self._low if value < self._low else self._high)
        self._outside_count = 0
        if self.unit_change_minutes_left or is_jump:
            self.fault = "out_of_range"
            return Check(1, self._unit_jump, self._jump_limit)
        if self.stuck_minutes > self._run_limit:
            self.fault = "stuck"
            return Check(1, float(self.stuck_minutes), self._run_limit)
        self.fault = None
        run = self.stuck_minutes
        check = self._checks.get(run)
        if check is None:
            check = self._checks[run] = Check(0, float(run), self._run_limit)
        return check
