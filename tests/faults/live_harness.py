"""The real services of a site as threads over a real Mosquitto, in event time that a test controls."""

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
from services.ingest.tables.documented import read_measurements
from services.reporter.history_lookup import HistoryLookup
from services.reporter.output_folder import OutputFolder
from services.reporter.service import Reporter
from shared.contract.messages import Tick
from shared.contract.service import Service
from shared.domain.value_ranges import UNBOUNDED, ValueRanges
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
MAX_MINUTE_SECONDS = 2.0
"""A minute closes after this time, even if alert.txt does not show it."""


class ServiceThread:
    """A service that can be stopped and restarted."""

    def __init__(self, name: str, make: Callable[[MqttBus], Service], settings: Settings) -> None:
        self._name, self._make, self._settings = name, make, settings
        self.items: deque[Any] = deque()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stop = threading.Event()
        bus = self.bus = MqttBus(self._name, self._settings)
        service = self._make(bus)
        flush = service.flush_minute if isinstance(service, Ingest) else noop
        arguments = (service, bus, self._stop, self._poll, str, flush)
        self._thread = threading.Thread(target=serve, args=arguments, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(20)

    def _poll(self) -> Sequence[Delivery]:
        return [Delivery(self.items.popleft(), lambda: None) for _ in range(min(len(self.items), 1000))]


class LiveHarness:
    """A site whose event time is set by the test."""

    def __init__(self, settings: Settings, start: datetime) -> None:
        self.settings, self._start, self.minutes = settings, start, 0
        self.measurements: list[Measurement] = []
        site, zone, holidays = settings.site.name, settings.zone, make_calendar(settings.site.country)
        self._spool = Spool(settings.data / "spool", site, 2.0, 64)
        self._recorder: Recorder | None = None
        makers: dict[str, Callable[[MqttBus], Service]] = {
            "db_writer": self._db_writer,
            "detector": lambda bus: self._with_gap_recovery(lambda history: Detector(settings, history, holidays), bus),
            "forecaster": lambda bus: self._with_gap_recovery(
                lambda history: Forecaster(site, zone, history, lambda *_: None, holidays, settings.value_ranges),
                bus,
                settings.value_ranges,
            ),
            "reporter": self._reporter,
            "ingest": lambda _: Ingest(
                site, self._spool, "file", SensorRegistry(settings.sensors), lambda _: None, NoInitialHistory()
            ),
        }
        self.threads = {name: ServiceThread(name, make, settings) for name, make in makers.items()}

    @property
    def now(self) -> datetime:
        return self._start + self.minutes * MINUTE

    def live(self, flow_rates: Iterable[float]) -> None:
        """Feed one minute after the other; each closes once alert.txt shows it, or after MAX_MINUTE_SECONDS."""
        for flow_rate in flow_rates:
            at = self.now
            self.measurements.append(Measurement("001", at, flow_rate, 4.0 - self.minutes % 13 / 50))
            self.minutes += 1
            self.threads["ingest"].items.append(self.measurements[-1])
            with suppress(AssertionError):
                wait_for(lambda at=at: self._alert_shows(at), MAX_MINUTE_SECONDS, pause=0.005)  # type: ignore[misc]
            self.threads["ingest"].items.append(Tick(self.settings.site.name, at))

    def _alert_shows(self, at: datetime) -> bool:
        file = self.settings.sensor_folder / "alert.txt"
        return file.exists() and f"{at:%Y-%m-%dT%H:%M}" in file.read_text(encoding="utf-8")

    def read_without_broker(self, flow_rates: Iterable[float]) -> None:
        """Feed and close minutes while the broker is down; wait until ingest has read them."""
        items = self.threads["ingest"].items
        for flow_rate in flow_rates:
            self.measurements.append(Measurement("001", self.now, flow_rate, 4.0 - self.minutes % 13 / 50))
            items += self.measurements[-1], Tick(self.settings.site.name, self.now)
            self.minutes += 1
        wait_for(lambda: not items, 20, "ingest has read them")

    def pass_time(self) -> None:
        """Close a minute without a reading."""
        self.threads["ingest"].items.append(Tick(self.settings.site.name, self.now))
        self.minutes += 1

    def start(self) -> None:
        for thread in self.threads.values():
            thread.start()
        self.wait_for_connections(1)

    def wait_for_connections(self, number: int) -> None:
        """Wait until each service has connected this often: the broker queues nothing for services it does not know."""
        buses = [thread.bus for thread in self.threads.values()]
        wait_for(lambda: all(bus.connections >= number and bus._may_send.is_set() for bus in buses), what="connections")

    def close(self) -> None:
        for thread in reversed(self.threads.values()):
            thread.stop()
        self._close_recorder()

    def _history(self, ranges: ValueRanges = UNBOUNDED) -> History:
        return History(self.settings.database, self.settings.zone, self.settings.site.name, ranges)

    def _with_gap_recovery(
        self, make: Callable[[History], Detector | Forecaster], bus: MqttBus, ranges: ValueRanges = UNBOUNDED
    ) -> Service:
        """Return the service behind gap recovery; both use one history connection, and so the same state."""
        history = self._history(ranges)
        service = make(history)
        return with_gap_recovery(service, history, service.oldest_missing_output, lambda: bus.connections)

    def _reporter(self, _: MqttBus) -> Service:
        settings, reporter_settings = self.settings, self.settings.reporter
        lookup = HistoryLookup(self._history(), settings.zone, reporter_settings.outbox_days)
        folder = OutputFolder(settings.sensor_folder)
        return Reporter(folder, settings.zone, reporter_settings.horizons_hours, reporter_settings.outbox_days, lookup)

    def _db_writer(self, _: MqttBus) -> Service:
        settings = self.settings
        self._close_recorder()
        self._recorder = Recorder(settings.database, settings.zone, settings.store.horizons, settings.value_ranges)
        local = settings.zone
        return DbWriter(self._recorder, settings.site.name, 365, lambda at: datetime.fromtimestamp(at, local))

    def _close_recorder(self) -> None:
        if self._recorder:
            self._recorder.close()
            self._recorder = None


def rows(settings: Settings, table: str, columns: str = "*") -> set[tuple[Any, ...]]:
    """Return the rows of a table; none without a database."""
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
    """Return the outbox texts by file name."""
    files = (settings.sensor_folder / "outbox").glob("server-*.txt")
    return {file.name: file.read_text(encoding="utf-8") for file in files}


def replay_undisturbed(harness: LiveHarness, folder: Path) -> Settings:
    """Replay the harness's measurements into a new site and return its settings."""
    lines = (
        f"{measurement.at:%Y-%m-%d %H:%M},001,{measurement.flow_rate},{measurement.pressure}\n"
        for measurement in harness.measurements
    )
    (folder / "measurements.csv").write_text("".join(lines), encoding="ascii")
    settings = harness.settings.model_copy(update={"data": folder / "undisturbed"})
    settings.data.mkdir()
    replay(read_measurements(folder / "measurements.csv", settings.zone), settings, [])
    return settings
