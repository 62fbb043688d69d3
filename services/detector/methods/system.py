"""system (시스템): faults of the meter and its clock: no value, one value for too long, out of range, a leap in time.

Out of range are also a jump from one minute to the next that no water makes, and what follows a jump to another unit.
Limits of runs and jumps come from the meter's own on clean days: a coarse meter stands still longer.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from services.detector.memory import Past
from services.detector.methods.spreads import Learned, caution
from services.detector.methods.units import looks_converted
from services.detector.tail import limit_for
from shared.contract.messages import NOT_EVALUATED, Channel, Check
from shared.domain.series import Floats
from shared.settings import Range

Fault = Literal["silence", "stuck", "out_of_range"]

MISSING = 5
"""Minutes in a row without a value from which on a measured channel is abnormal."""
FAR_OUT = 3.0
"""Widths of the usual range beyond it, or in one minute, that no site reaches."""
MARGIN = 1.5
UNLEARNED_RUN = 1440.0
WITH_PARTNER = 0.5
"""Of the partner's own limit, a move of it that goes with a jump."""
CONVERTED = 1440
"""Minutes after which another unit is no longer told from the water's own doing."""
OUTSIDE = 5
"""Values in a row out of the allowed range that are alarmed where a jump of clean days may reach them: noise at 0."""
LEAST_WIDTH = 0.1
"""Part of the greatest usual value that a range is wide, and a jump is, at least."""


def learn(past: Past, per_day: float, stuck_minutes: int) -> Learned | None:
    """Longest run of one value in minutes, plausible range, and jumps that need a cause or have none in water."""
    values = past.values[past.calm]
    if not len(values):
        return None
    run = max(MARGIN * _limit(longest_runs(past.values), past, per_day / 2), float(stuck_minutes))
    low, high = np.nanquantile(values, (0.001, 0.999))
    least = LEAST_WIDTH * max(abs(float(low)), abs(float(high)))
    beyond = FAR_OUT * max(float(high - low), least) * (1.0 + 3.0 / len(values))
    jumps = np.nan_to_num(np.abs(np.diff(past.values, axis=1))).max(axis=1)
    jump = max(MARGIN * _limit(jumps, past, per_day / 2) * caution(len(values)), least)
    limits = {
        "run": min(run, 4 * UNLEARNED_RUN), "low": low - beyond, "high": high + beyond,
        "jump": jump, "leap": max(jump, beyond), "noise_low": low - jump, "noise_high": high + jump,
    }  # fmt: skip
    return Learned({name: float(f"{limit:.6g}") for name, limit in limits.items()}, {})


def _limit(of_days: Floats, past: Past, per_day: float) -> float:
    return limit_for(np.where(past.calm, of_days, np.where(past.known, np.inf, np.nan)), per_day)


def longest_runs(values: Floats) -> Floats:
    """(n,) longest run of one value, in minutes, that ends or goes on in each of (n, 1440) days in a row."""
    flat = values.ravel()
    runs = np.zeros(len(flat))
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
    begun = np.repeat(starts, np.diff(np.append(starts, len(flat))))
    runs = np.where(np.isnan(flat), 0.0, np.arange(len(flat)) - begun + 1.0)
    longest: Floats = runs.reshape(values.shape).max(axis=1)
    return longest


class System:
    """Running side, of one channel."""

    def __init__(
        self, channel: Channel, learned: Learned | None, allowed: Range, partner: System | None = None
    ) -> None:
        """Flow rate has pressure as its partner, which sees the minute first."""
        limits = learned.limits if learned else {}
        self._channel, self._partner = channel, partner
        self._run_limit = limits.get("run", UNLEARNED_RUN)
        self._low = max(limits.get("low", -math.inf), -math.inf if allowed.min is None else allowed.min)
        self._high = min(limits.get("high", math.inf), math.inf if allowed.max is None else allowed.max)
        self._noise = limits.get("noise_low", math.inf), limits.get("noise_high", -math.inf)
        self._outside = 0
        self._jump_limit, self._leap_limit = limits.get("jump", math.inf), limits.get("leap", math.inf)
        self.measured = False
        self.fault: Fault | None = None
        self.run = 0
        self.missing = 0
        self.last: float | None = None
        self.converted = 0
        """Minutes that the values are still taken to come in another unit."""
        self._factor = 1.0
        """That of the other unit."""
        self._move = self._jump = 0.0
        """Since the minute before, and what the other unit began with, in the channel's unit."""
        self._beside = False
        """Whether the last value is that of the minute before."""
        self._checks: dict[int, Check] = {}

    def take_over(self, before: System) -> System:
        """Goes on where the one with older criteria was."""
        self.measured, self.run, self.missing, self.last = before.measured, before.run, before.missing, before.last
        self.fault, self._jump, self._beside, self._outside = (
            before.fault,
            before._jump,
            before._beside,
            before._outside,
        )
        self.converted, self._factor = before.converted, before._factor
        return self

    def remember(self, values: Floats) -> None:
        """Takes the run and the gap at the end of past values, oldest first."""
        known = values[~np.isnan(values)]
        if len(known):
            self.measured = True
            self.last = float(known[-1])
            other = np.flatnonzero(known != known[-1])
            self.run = len(known) - 1 - int(other[-1]) if len(other) else len(known)
            self.missing = len(values) - 1 - int(np.flatnonzero(~np.isnan(values))[-1])

    def skip(self) -> None:
        """Passes minutes without a value: how far it moved is unknown, and so is whether a unit is still another."""
        self._beside, self.converted, self._move = False, 0, 0.0

    def _leaps(self, value: float, last: float, usual: float) -> bool:
        """Whether no water goes from one minute's value to the next; notes where another unit begins and ends.

        What pressure shows as well is the water's doing: a broken main may take a multiple of the flow. What comes
        back to the usual isn't looked at: it is the end of something. A pump that trips takes the pressure off at once:
        only a rise of it is another unit, and none too great.
        """
        if self.converted:
            root = math.sqrt(self._factor)
            is_back = value * root <= last if root > 1.0 else value * root >= last
            self.converted = 0 if is_back else self.converted - 1
            return False
        self._jump = abs(self._move)
        partner = self._partner
        if not abs(value - usual) > abs(last - usual):
            return False
        if partner and abs(partner._move) > WITH_PARTNER * partner._jump_limit:
            return False
        is_flow = self._channel == "flow_rate"
        if looks_converted(self._channel, value, last) and (is_flow or value > last):
            self.converted, self._factor = CONVERTED, value / last
        return is_flow and self._jump > self._leap_limit

    def tells(self, silence: int) -> bool:
        """Whether the fault is alarmed: a silence of so many minutes; out of the allowed range by far, or for long."""
        if self.fault == "silence":
            return self.missing >= silence
        return self.fault is not None and not 0 < self._outside < OUTSIDE

    def check(self, value: float | None, usual: float) -> Check:
        """The Check of a value where `usual` is expected, NaN if unknown; sets `fault`."""
        if value is None:
            if not self.measured:
                return NOT_EVALUATED
            self.missing += 1
            self.skip()
            self.fault = "silence" if self.missing >= MISSING else None
            return Check(1 if self.fault else 0, float(self.missing), float(MISSING))
        self.missing = 0
        last, is_leap = self.last, False
        if self._beside and last is not None:
            self._move = value - last
            is_leap = (abs(self._move) > self._jump_limit or self.converted > 0) and self._leaps(value, last, usual)
        self._beside = True
        if value == self.last:
            self.run += 1
        else:
            self.run, self.last, self.measured = 1, value, True
        if not self._low <= value <= self._high:
            self.fault = "out_of_range"
            self._outside = self._outside + 1 if self._noise[0] <= value <= self._noise[1] else OUTSIDE
            return Check(1, value, self._low if value < self._low else self._high)
        self._outside = 0
        if self.converted or is_leap:
            self.fault = "out_of_range"
            return Check(1, self._jump, self._jump_limit)
        if self.run > self._run_limit:
            self.fault = "stuck"
            return Check(1, float(self.run), self._run_limit)
        self.fault = None
        run = self.run
        found = self._checks.get(run)
        if found is None:
            found = self._checks[run] = Check(0, float(run), self._run_limit)
        return found
