"""The known sensors of a site; their number is bounded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress

from shared.contract.messages import MAX_SENSORS
from shared.contract.service import Unavailable


class SensorRegistry:
    """The sensors in site.toml; without any, the stored sensors and the first new ones, MAX_SENSORS in total."""

    def __init__(self, named: Collection[str] = (), stored: Callable[[], Iterable[str]] = tuple) -> None:
        """`stored` returns the sensors with stored readings; it may raise Unavailable."""
        self._named, self._stored = bool(named), stored
        self._known = set(named)

    def rejection_reason(self, sensor: str, may_be_new: bool = True) -> str:
        """Return why a sensor is rejected; empty if it is accepted. A new sensor is registered if `may_be_new`."""
        if sensor in self._known:
            return ""
        if self._named:
            return f"site.toml has no [sensors.{sensor}]"
        if len(self._known) < MAX_SENSORS:
            with suppress(Unavailable):
                self._known.update(self._stored())
        if sensor in self._known:
            return ""
        if not may_be_new:
            return f"unknown sensor {sensor}: it has no readings"
        if len(self._known) >= MAX_SENSORS:
            return f"more than {MAX_SENSORS} sensors; list those of this site in site.toml as [sensors.NAME]"
        self._known.add(sensor)
        return ""
