"""Descriptions of the sensors on the broker, from which Home Assistant makes devices and entities."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from services.notifier.home_assistant import device_id, device_payload, device_topic


class Discovery:
    """Publishes a description of each sensor, and removes those of sensors that are no more described."""

    def __init__(self, site: str, place: str, is_enabled: bool, publish: Callable[[str, bytes], None]) -> None:
        """`publish` sends a retained message; an empty one removes it."""
        self._site, self._place, self._is_enabled, self._publish = site, place, is_enabled, publish
        self._waiting: dict[str, bytes] = {}
        """Device id to the description that is not published yet; empty to remove it."""
        self._sensors: set[str] = set()
        self._is_started = False

    def on_sensor(self, sensor: str) -> None:
        """Describe a sensor that was not described since the start."""
        if self._is_enabled and sensor not in self._sensors:
            self._sensors.add(sensor)
            self._waiting[device_id(self._site, sensor)] = device_payload(self._site, self._place, sensor)

    def on_retired(self, sensor: str) -> None:
        """Remove a sensor."""
        self._sensors.discard(sensor)
        if self._is_enabled:
            self._waiting[device_id(self._site, sensor)] = b""

    def announce(self, discovered: Sequence[str]) -> list[str]:
        """Return the devices on the broker with those to come: what is stored first can be removed after a crash."""
        return sorted({*discovered, *self._waiting})

    def publish(self, discovered: Sequence[str]) -> list[str]:
        """Publish what has changed; `discovered` are the devices on the broker; return them as they are now."""
        if not self._is_started and not self._is_enabled:
            self._waiting = dict.fromkeys(discovered, b"")
        self._is_started = True
        present = set(discovered)
        for device, payload in self._waiting.items():
            self._publish(device_topic(device), payload)
            present = present | {device} if payload else present - {device}
        self._waiting.clear()
        return sorted(present)
