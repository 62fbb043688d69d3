"""The known sensors of a site; their number is bounded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress

from shared.contract.messages import MAX_SENSORS, LocalizedText
from shared.contract.service import Unavailable
from shared.contract.texts import localized


class SensorRegistry:
    """The sensors in site.toml; without any, the stored sensors and the first new ones, MAX_SENSORS in total."""

    def __init__(self, named: Collection[str] = (), stored: Callable[[], Iterable[str]] = tuple) -> None:
        """Make a registry; `stored` returns the sensors with stored readings and may raise Unavailable."""
        self._named, self._stored = bool(named), stored
        self._known = set(named)

    def rejection_reason(self, sensor: str, may_be_new: bool = True) -> LocalizedText | None:
        """Return why a sensor is rejected; None if it is accepted. A new sensor is registered if `may_be_new`."""
        if sensor in self._known:
            return None
        if self._named:
            return localized(
                "site.toml에 [sensors.{sensor}]가 없습니다", "site.toml has no [sensors.{sensor}]", sensor=sensor
            )
        if len(self._known) < MAX_SENSORS:
            with suppress(Unavailable):
                self._known.update(self._stored())
        if sensor in self._known:
            return None
        if not may_be_new:
            return localized(
                "센서 {sensor}을(를) 알 수 없습니다: 계측값이 없습니다",
                "unknown sensor {sensor}: it has no readings",
                sensor=sensor,
            )
        if len(self._known) >= MAX_SENSORS:
            return localized(
                "센서가 {limit}개를 넘습니다. 이 현장의 센서를 site.toml에 [sensors.이름]으로 적으세요",
                "more than {limit} sensors; list those of this site in site.toml as [sensors.NAME]",
                limit=MAX_SENSORS,
            )
        self._known.add(sensor)
        return None
