"""Which sensors a site has: nobody may fill its memory with ever new names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress

from shared.contract.messages import MAX_SENSORS
from shared.contract.service import Unavailable


class SensorRegistry:
    """The sensors that site.toml names; without any, the stored ones and the first that come, MOST_SENSORS in all."""

    def __init__(self, named: Collection[str] = (), stored: Callable[[], Iterable[str]] = tuple) -> None:
        """`stored`: the sensors that have readings; it may raise Unavailable."""
        self._named, self._stored = bool(named), stored
        self._known = set(named)

    def rejection_reason(self, sensor: str, may_be_new: bool = True) -> str:
        """Why nothing of this sensor is taken; empty when it is. A new one is known from then on, if it may be new."""
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
            return f"no reading of a sensor {sensor} has come"
        if len(self._known) >= MAX_SENSORS:
            return f"more than {MAX_SENSORS} sensors; to choose, name those of this site in site.toml: [sensors.…]"
        self._known.add(sensor)
        return ""
