"""Maintenance windows on the mains or the meter: no anomaly is opened, and their days are not used for fitting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from services.detector.alarm_text import render_text
from shared.contract.anomaly_kinds import ANOMALY_KINDS
from shared.contract.messages import Anomaly
from shared.contract.status_codes import NO_TEXT

MAX_WINDOWS = 50
"""Newest windows kept, so that a recovered monitor suppresses the same alarms."""


class MaintenanceWindows:
    """Maintenance windows of one sensor; each is an anomaly of kind `works` whose `cleared_at` is its planned end."""

    def __init__(self, site: str, sensor: str) -> None:
        self.site, self.sensor = site, sensor
        self.windows: list[Anomaly] = []
        self._last_end: datetime | None = None
        """End of the last window; None without any."""

    def schedule(self, at: datetime, until: datetime) -> Iterator[Anomaly]:
        """Schedule a window from now until then; an active window ends then instead, at once if that is now."""
        active = next((window for window in self.windows if window.state != "cleared"), None)
        if active is None and until <= at:
            return
        new_window = self._new_window(at, until) if active is None else replace(active, at=at, state="updated")
        new_window = replace(new_window, cleared_at=until)
        new_window = replace(new_window, text=render_text(new_window, None))
        if until <= at:
            new_window = replace(new_window, state="cleared")
        self.record(new_window)
        yield new_window

    def record(self, window: Anomaly) -> None:
        """Store the newest state of a window."""
        self.windows = [*(other for other in self.windows if other.id != window.id), window][-MAX_WINDOWS:]
        self._last_end = max((other.cleared_at for other in self.windows if other.cleared_at), default=None)

    def is_relevant(self, at: datetime) -> bool:
        """Whether a window may be active at a time, or one has yet to be published as ended."""
        return self._last_end is not None and (at < self._last_end or self.windows[-1].state != "cleared")

    def is_active(self, at: datetime) -> bool:
        """Whether a window is active at a time."""
        return any(
            window.opened_at <= at and (window.cleared_at is None or at < window.cleared_at) for window in self.windows
        )

    def expire(self, at: datetime) -> Iterator[Anomaly]:
        """Yield the windows that have ended."""
        for window in list(self.windows):
            if window.state != "cleared" and window.cleared_at is not None and window.cleared_at <= at:
                expired = replace(window, state="cleared", at=window.cleared_at)
                self.record(expired)
                yield expired

    def _new_window(self, at: datetime, until: datetime) -> Anomaly:
        id_ = f"{self.sensor}-works-{at:%Y%m%dT%H%M}"[-64:]
        return Anomaly(
            site=self.site,
            sensor=self.sensor,
            id=id_,
            at=at,
            channels=("flow_rate",),
            methods=(ANOMALY_KINDS["works"].method,),
            kind="works",
            trigger="works",
            state="opened",
            acknowledged=True,
            severity="info",
            opened_at=at,
            onset_at=at,
            cleared_at=until,
            peak=None,
            excess_m3h=None,
            text=NO_TEXT,
        )
