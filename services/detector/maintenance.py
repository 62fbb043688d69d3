"""Maintenance windows on the mains or the meter: no anomaly is opened.

Days of a window of all methods are not used for fitting.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from services.detector.alarm_lifecycle import OperatorEntry
from services.detector.alarm_text import render_text
from shared.contract.messages import Anomaly, Method
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

    def schedule(
        self, now: datetime, start: datetime, until: datetime, methods: tuple[Method, ...], entry: OperatorEntry
    ) -> Iterator[Anomaly]:
        """Schedule a window; one of the same methods that is active at its start ends then instead.

        With an end at the start, the active window ends.
        """
        active = next((window for window in self.windows if _is_open_at(window, start, methods)), None)
        if active is None and until <= start:
            return
        window = self._new_window(start, methods) if active is None else replace(active, state="updated")
        window = replace(entry.apply(window, now), at=now, cleared_at=until)
        yield self._recorded(replace(window, state="cleared") if until <= now else window)

    def end(self, id_: str, now: datetime, by: str) -> Iterator[Anomaly]:
        """End a window now, or cancel one that has not begun; yield nothing if none has this id."""
        for window in list(self.windows):
            if window.id == id_ and window.state != "cleared":
                until = max(now, window.opened_at)
                ended = replace(window, state="cleared", at=now, cleared_at=until, closed=True, by=by or window.by)
                yield self._recorded(ended)

    def _recorded(self, window: Anomaly) -> Anomaly:
        window = replace(window, text=render_text(window, None))
        self.record(window)
        return window

    def record(self, window: Anomaly) -> None:
        """Store the newest state of a window."""
        self.windows = [*(other for other in self.windows if other.id != window.id), window][-MAX_WINDOWS:]
        self._last_end = max((other.cleared_at for other in self.windows if other.cleared_at), default=None)

    def is_relevant(self, at: datetime) -> bool:
        """Whether a window may be active at a time, or one has yet to be published as ended."""
        return self._last_end is not None and (at < self._last_end or self.windows[-1].state != "cleared")

    def silenced_methods(self, at: datetime) -> frozenset[Method]:
        """Return the methods that open no alarm at a time."""
        return frozenset(method for window in self._active(at) for method in window.methods)

    def silenced_until(self, at: datetime) -> datetime | None:
        """Return the end of the windows that are active at a time; None without any."""
        return max((window.cleared_at for window in self._active(at) if window.cleared_at), default=None)

    def _active(self, at: datetime) -> Iterator[Anomaly]:
        return (
            window
            for window in self.windows
            if window.opened_at <= at and (window.cleared_at is None or at < window.cleared_at)
        )

    def expire(self, at: datetime) -> Iterator[Anomaly]:
        """Yield the windows that have ended."""
        for window in list(self.windows):
            if window.state != "cleared" and window.cleared_at is not None and window.cleared_at <= at:
                expired = replace(window, state="cleared", at=window.cleared_at)
                self.record(expired)
                yield expired

    def _new_window(self, at: datetime, methods: tuple[Method, ...]) -> Anomaly:
        scope = "works" if len(methods) > 1 else f"works-{methods[0]}"
        id_ = f"{self.sensor}-{scope}-{at:%Y%m%dT%H%M}"[-64:]
        return Anomaly(
            site=self.site,
            sensor=self.sensor,
            id=id_,
            at=at,
            channels=("flow_rate",),
            methods=methods,
            kind="works",
            trigger="works",
            state="opened",
            acknowledged=True,
            severity="info",
            opened_at=at,
            onset_at=at,
            cleared_at=None,
            peak=None,
            excess_m3h=None,
            text=NO_TEXT,
        )


def _is_open_at(window: Anomaly, at: datetime, methods: tuple[Method, ...]) -> bool:
    is_running = window.state != "cleared" and window.opened_at <= at
    return is_running and window.methods == methods and (window.cleared_at is None or at <= window.cleared_at)
