"""The present state of the site as its messages tell it: the newest of each kind, by sensor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from shared.contract.messages import (
    AlarmSummary,
    Anomaly,
    Channel,
    Criteria,
    ExpectedDay,
    Message,
    ModelTrained,
    NightResult,
    Notification,
    Prediction,
    Progress,
    Rejected,
    SensorRetired,
    SensorState,
    Status,
    StorageState,
    Stored,
    Tick,
    Verdict,
)

KEPT_MINUTES = 1500
"""Minutes of each sensor that are kept for today's curve: a day of 25 hours."""
COMMAND_USER = "operator"
"""User of the commands of `./wvr`, which are no service: each has a status while it runs."""
KEPT_NOTES = 50
"""Newest notifications and rejected inputs that are kept."""

Minute = tuple[datetime, float | None, float | None]
"""Time, flow rate in m³/h, pressure in bar."""


@dataclass
class SensorView:
    """The newest message of each kind of one sensor."""

    name: str
    verdict: Verdict | None = None
    prediction: Prediction | None = None
    expected: ExpectedDay | None = None
    night: NightResult | None = None
    alarms: AlarmSummary | None = None
    criteria: Criteria | None = None
    states: dict[str, SensorState] = field(default_factory=dict)
    """State by service."""
    models: dict[Channel, ModelTrained] = field(default_factory=dict)
    """The model that serves, by channel; none while the profile forecasts."""
    last_training: dict[Channel, ModelTrained] = field(default_factory=dict)
    minutes: deque[Minute] = field(default_factory=lambda: deque(maxlen=KEPT_MINUTES))
    """Minutes since the start of this process, in the order of arrival."""


class LiveState:
    """The newest messages; the bus thread changes it, the pages read copies of its lists."""

    def __init__(self) -> None:
        self.is_connected = False
        self.connection_changed_at: datetime | None = None
        """When the broker was connected or lost last; None before the first connection."""
        """Whether the broker is connected."""
        self.tick: Tick | None = None
        self.storage: StorageState | None = None
        self.stored: Stored | None = None
        self.statuses: dict[str, Status] = {}
        self.progress: dict[str, Progress] = {}
        """The newest progress by job."""
        self.notifications: deque[Notification] = deque(maxlen=KEPT_NOTES)
        self.rejected: deque[Rejected] = deque(maxlen=KEPT_NOTES)
        self._sensors: dict[str, SensorView] = {}
        self._anomalies: dict[tuple[str, str], Anomaly] = {}

    @property
    def sensors(self) -> list[SensorView]:
        """Return the sensors in the order of their names."""
        return sorted(self._sensors.values(), key=lambda sensor: sensor.name)

    def sensor(self, name: str) -> SensorView | None:
        """Return a sensor, or None if nothing is known of it."""
        return self._sensors.get(name)

    @property
    def open_anomalies(self) -> list[Anomaly]:
        """Return the open anomalies, the worst first, then the newest."""
        rank = {"critical": 0, "warning": 1, "info": 2}
        newest_first = sorted(self._anomalies.values(), key=lambda anomaly: anomaly.opened_at, reverse=True)
        return sorted(newest_first, key=lambda anomaly: rank[anomaly.severity])

    def anomaly(self, sensor: str, identifier: str) -> Anomaly | None:
        """Return an open anomaly."""
        return self._anomalies.get((sensor, identifier))

    def apply(self, message: Message) -> None:
        """Replace what a message replaces."""
        self.HANDLERS[type(message)](self, message)

    def _on_verdict(self, verdict: Verdict) -> None:
        sensor = self._of(verdict.sensor)
        reading = verdict.reading
        if reading.clock != "doubted":
            if sensor.verdict is None or verdict.at >= sensor.verdict.at or reading.clock == "set_back":
                sensor.verdict = verdict
            sensor.minutes.append((verdict.at, reading.flow_rate, reading.pressure))

    def _on_prediction(self, prediction: Prediction) -> None:
        self._of(prediction.sensor).prediction = prediction

    def _on_expected(self, day: ExpectedDay) -> None:
        self._of(day.sensor).expected = day

    def _on_night(self, night: NightResult) -> None:
        self._of(night.sensor).night = night

    def _on_alarms(self, alarms: AlarmSummary) -> None:
        """Keep the summary; without an open anomaly there, an older message of one is outdated."""
        self._of(alarms.sensor).alarms = alarms
        if not alarms.open:
            for key, anomaly in list(self._anomalies.items()):
                if anomaly.sensor == alarms.sensor and anomaly.kind != "works" and anomaly.at <= alarms.at:
                    del self._anomalies[key]

    def _on_criteria(self, criteria: Criteria) -> None:
        self._of(criteria.sensor).criteria = criteria

    def _on_sensor_state(self, state: SensorState) -> None:
        self._of(state.sensor).states[state.service] = state

    def _on_model(self, model: ModelTrained) -> None:
        sensor = self._of(model.sensor)
        sensor.last_training[model.channel] = model
        if model.promoted:
            sensor.models[model.channel] = model

    def _on_anomaly(self, anomaly: Anomaly) -> None:
        key = (anomaly.sensor, anomaly.id)
        if anomaly.state == "cleared":
            self._anomalies.pop(key, None)
        else:
            self._anomalies[key] = anomaly

    def _on_retired(self, retired: SensorRetired) -> None:
        self._sensors.pop(retired.sensor, None)
        for key in [key for key in list(self._anomalies) if key[0] == retired.sensor]:
            del self._anomalies[key]

    def _on_status(self, status: Status) -> None:
        if status.name != COMMAND_USER:
            self.statuses[status.name] = status

    def _on_progress(self, progress: Progress) -> None:
        self.progress[progress.job] = progress

    def _on_tick(self, tick: Tick) -> None:
        self.tick = tick

    def _on_stored(self, stored: Stored) -> None:
        self.stored = stored

    def _on_storage(self, storage: StorageState) -> None:
        self.storage = storage

    def _on_notification(self, notification: Notification) -> None:
        self.notifications.appendleft(notification)

    def _on_rejected(self, rejected: Rejected) -> None:
        self.rejected.appendleft(rejected)

    def _of(self, name: str) -> SensorView:
        return self._sensors.setdefault(name, SensorView(name))

    HANDLERS: ClassVar[dict[type[Message], Callable[[LiveState, Any], None]]] = {
        Verdict: _on_verdict,
        Prediction: _on_prediction,
        ExpectedDay: _on_expected,
        NightResult: _on_night,
        AlarmSummary: _on_alarms,
        Anomaly: _on_anomaly,
        Criteria: _on_criteria,
        SensorState: _on_sensor_state,
        ModelTrained: _on_model,
        SensorRetired: _on_retired,
        Status: _on_status,
        Progress: _on_progress,
        Tick: _on_tick,
        Stored: _on_stored,
        StorageState: _on_storage,
        Notification: _on_notification,
        Rejected: _on_rejected,
    }
