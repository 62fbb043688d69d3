"""The real services of a site as threads over a real Mosquitto, in event time: a test says the minutes."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cli.replay import replay
from services.db_writer.service import DbWriter
from services.detector.service import Detector
from services.forecaster.service import Forecaster
from services.ingest.initial_history import NoInitialHistory
from services.ingest.service import Ingest
from services.ingest.sources.line_reader import Measurement
from services.ingest.spool import Spool
from services.reporter.history_lookup import HistoryLookup
from services.reporter.output_folder import OutputFolder
from services.reporter.service import Reporter
from shared.contract.messages import Tick
from shared.contract.service import Service
from shared.runtime.bus import Delivery, noop
from shared.runtime.gap_recovery import with_gap_recovery
from shared.runtime.loop import serve
from shared.runtime.mqtt_bus import MqttBus
from shared.runtime.public_holidays import make_calendar
from shared.runtime.sensor_registry import SensorRegistry
from shared.settings import Settings
from shared.store.history import History
from shared.store.recorder import Recorder
from tests.polling import wait_for

MINUTE = timedelta(minutes=1)
LONGEST = 2.0
"""Seconds that a minute lasts."""


class ServiceThread:
    """One service that can be stopped, and started anew."""

    def __init__(self, name: str, make: Callable[[MqttBus], Service], settings: Settings) -> None:
        self._name, self._make, self._settings = name, make, settings
        self.items: deque[Any] = deque()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stop = threading.Event()
        bus = self.bus = MqttBus(self._name, self._settings)
        service = self._make(bus)
        keep = service.flush_minute if isinstance(service, Ingest) else noop
        arguments = (service, bus, self._stop, self._poll, str, keep)
        self._thread = threading.Thread(target=serve, args=arguments, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(20)

    def _poll(self) -> Sequence[Delivery]:
        return [Delivery(self.items.popleft(), lambda: None) for _ in range(min(len(self.items), 1000))]


class LiveHarness:
    """A site whose clock is the test."""

    def __init__(self, settings: Settings, start: datetime) -> None:
        self.settings, self._start, self.minutes = settings, start, 0
        self.measurements: list[Measurement] = []
        site, zone, holidays = settings.site.name, settings.zone, make_calendar(settings.site.country)
        self._spool = Spool(settings.data / "spool", site, 2.0, 64)
        self._recorder: Recorder | None = None
        makers: dict[str, Callable[[MqttBus], Service]] = {
            "db_writer": self._db_writer,
            "detector": lambda bus: self._unbroken(lambda past: Detector(settings, past, holidays), bus),
            "forecaster": lambda bus: self._unbroken(
                lambda past: Forecaster(site, zone, past, lambda *_: None, holidays), bus
            ),
            "reporter": self._reporter,
            "ingest": lambda _: Ingest(
                site, self._spool, "file", SensorRegistry(settings.sensors), lambda _: None, NoInitialHistory()
            ),
        }
        self.actors = {name: ServiceThread(name, make, settings) for name, make in makers.items()}

    @property
    def now(self) -> datetime:
        return self._start + self.minutes * MINUTE

    def live(self, flow_rates: Iterable[float]) -> None:
        """One minute after the other comes, is shown in alert.txt, and closes, after a while also if it isn't shown."""
        for flow_rate in flow_rates:
            at = self.now
            self.measurements.append(Measurement("001", at, flow_rate, 4.0 - self.minutes % 13 / 50))
            self.minutes += 1
            self.actors["ingest"].items.append(self.measurements[-1])
            with suppress(AssertionError):
                wait_for(lambda at=at: self._alert_tells_of(at), LONGEST, pause=0.005)  # type: ignore[misc]
            self.actors["ingest"].items.append(Tick(self.settings.site.name, at))

    def _alert_tells_of(self, at: datetime) -> bool:
        file = self.settings.sensor_folder / "alert.txt"
        return file.exists() and f"{at:%Y-%m-%dT%H:%M}" in file.read_text(encoding="utf-8")

    def read_without_broker(self, flow_rates: Iterable[float]) -> None:
        """Minutes come and close while nobody can be told of them."""
        items = self.actors["ingest"].items
        for flow_rate in flow_rates:
            self.measurements.append(Measurement("001", self.now, flow_rate, 4.0 - self.minutes % 13 / 50))
            items += self.measurements[-1], Tick(self.settings.site.name, self.now)
            self.minutes += 1
        wait_for(lambda: not items, 20, "ingest has read them")

    def pass_time(self) -> None:
        """A minute goes by without a reading."""
        self.actors["ingest"].items.append(Tick(self.settings.site.name, self.now))
        self.minutes += 1

    def start(self) -> None:
        for actor in self.actors.values():
            actor.start()
        self.wait_for_connections(1)

    def wait_for_connections(self, number: int) -> None:
        """Until each service has its connection of that number: a broker that knows nobody keeps nothing for them."""
        buses = [actor.bus for actor in self.actors.values()]
        wait_for(lambda: all(bus.connections >= number and bus._may_send.is_set() for bus in buses), what="connections")

    def close(self) -> None:
        for actor in reversed(self.actors.values()):
            actor.stop()
        self._close_recorder()

    def _history(self) -> History:
        return History(self.settings.database, self.settings.zone, self.settings.site.name)

    def _unbroken(self, make: Callable[[History], Detector | Forecaster], bus: MqttBus) -> Service:
        """The service and what watches over its readings, in one history: what both see is of one instant."""
        past = self._history()
        service = make(past)
        return with_gap_recovery(service, past, service.oldest_missing_output, lambda: bus.connections)

    def _reporter(self, _: MqttBus) -> Service:
        settings, wanted = self.settings, self.settings.reporter
        lookup = HistoryLookup(self._history(), settings.zone, wanted.outbox_days)
        folder = OutputFolder(settings.sensor_folder)
        return Reporter(folder, settings.zone, wanted.horizons_hours, wanted.outbox_days, lookup)

    def _db_writer(self, _: MqttBus) -> Service:
        settings = self.settings
        self._close_recorder()
        self._recorder = Recorder(settings.database, settings.zone, settings.store.horizons)
        local = settings.zone
        return DbWriter(self._recorder, settings.site.name, 365, lambda at: datetime.fromtimestamp(at, local))

    def _close_recorder(self) -> None:
        if self._recorder:
            self._recorder.close()
            self._recorder = None


def rows(settings: Settings, table: str, columns: str = "*") -> set[tuple[Any, ...]]:
    """Rows of a table; none while there is no database."""
    if not settings.database.exists():
        return set()
    connection = sqlite3.connect(f"file:{settings.database}?mode=ro", uri=True)
    try:
        return set(connection.execute(f"SELECT {columns} FROM {table}"))
    except sqlite3.OperationalError:
        return set()
    finally:
        connection.close()


def blocks(settings: Settings) -> dict[str, str]:
    """Texts in the outbox by name."""
    files = (settings.sensor_folder / "outbox").glob("server-*.txt")
    return {file.name: file.read_text(encoding="utf-8") for file in files}


def undisturbed(stage: LiveHarness, folder: Path) -> Settings:
    """Settings of a replay of what was said on a stage."""
    lines = (f"{one.at:%Y-%m-%d %H:%M},001,{one.flow_rate},{one.pressure}\n" for one in stage.measurements)
    (folder / "measurements.csv").write_text("".join(lines), encoding="ascii")
    settings = stage.settings.model_copy(update={"data": folder / "undisturbed"})
    settings.data.mkdir()
    replay(folder / "measurements.csv", settings, [])
    return settings
