"""system (시스템): faults of the meter and its clock: no value, one value for too long, out of range, a leap in time.

Limits of a run of one value come from the meter's own runs on clean days: a coarse meter stands still longer.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from services.detector.memory import Past
from services.detector.methods.spreads import Learned
from services.detector.tail import limit_for
from shared.contract.messages import NOT_EVALUATED, Check
from shared.domain.series import Floats
from shared.settings import Range

Fault = Literal["silence", "stuck", "out_of_range"]

MISSING = 5
"""Minutes in a row without a value from which on a measured channel is abnormal."""
FAR_OUT = 3.0
"""Widths of the usual range beyond it that no site reaches."""
MARGIN = 1.5
UNLEARNED_RUN = 1440.0
NORMAL = Check(0, 0.0, 1.0)


def learn(past: Past, per_day: float, stuck_minutes: int) -> Learned | None:
    """Longest run of one value in minutes, and the range that the meter can plausibly show."""
    values = past.values[past.calm]
    if not len(values):
        return None
    runs = np.where(past.calm, longest_runs(past.values), np.where(past.known, np.inf, np.nan))
    run = max(MARGIN * limit_for(runs, per_day), float(stuck_minutes))
    low, high = np.nanquantile(values, (0.001, 0.999))
    width = max(float(high - low), 0.1 * max(abs(float(low)), abs(float(high))))
    beyond = FAR_OUT * width * (1.0 + 3.0 / len(values))
    limits = {"run": min(run, 4 * UNLEARNED_RUN), "low": low - beyond, "high": high + beyond}
    return Learned({name: float(f"{limit:.6g}") for name, limit in limits.items()}, {})


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

    def __init__(self, learned: Learned | None, allowed: Range) -> None:
        limits = learned.limits if learned else {}
        self._run_limit = limits.get("run", UNLEARNED_RUN)
        self._low = max(limits.get("low", -math.inf), -math.inf if allowed.min is None else allowed.min)
        self._high = min(limits.get("high", math.inf), math.inf if allowed.max is None else allowed.max)
        self.measured = False
        self.fault: Fault | None = None
        self.run = 0
        self.missing = 0
        self.last: float | None = None
        self._checks: dict[int, Check] = {}

    def take_over(self, before: System) -> System:
        """Goes on where the one with older criteria was."""
        self.measured, self.run, self.missing, self.last = before.measured, before.run, before.missing, before.last
        self.fault = before.fault
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

    def check(self, value: float | None) -> Check:
        """The Check of a value; sets `fault`."""
        if value is None:
            if not self.measured:
                return NOT_EVALUATED
            self.missing += 1
            self.fault = "silence" if self.missing >= MISSING else None
            return Check(1 if self.fault else 0, float(self.missing), float(MISSING))
        self.missing = 0
        if value == self.last:
            self.run += 1
        else:
            self.run, self.last, self.measured = 1, value, True
        if not self._low <= value <= self._high:
            self.fault = "out_of_range"
            return Check(1, value, self._low if value < self._low else self._high)
        if self.run > self._run_limit:
            self.fault = "stuck"
            return Check(1, float(self.run), self._run_limit)
        self.fault = None
        run = self.run
        found = self._checks.get(run)
        if found is None:
            found = self._checks[run] = Check(0, float(run), self._run_limit)
        return found
