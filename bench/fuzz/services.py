"""Fuzz of each service with valid messages of extreme content: no handler fails, and all that it publishes is valid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

from bench.fuzz.bytes_source import BytesSource
from bench.fuzz.message_generator import NAMES, START, ValueSource, message, moment
from bench.fuzz.targets import FuzzInput
from services.dashboard.live_state import LiveState
from services.dashboard.service import Dashboard
from services.db_writer.service import DbWriter
from services.detector.service import Detector
from services.forecaster.service import Forecaster
from services.ingest.initial_history import NoInitialHistory
from services.ingest.service import Ingest
from services.ingest.sources.line_reader import BadLine, Measurement
from services.ingest.spool import NullSpool
from services.notifier.contact import Contact
from services.notifier.sending import Attempt
from services.notifier.service import Notifier
from services.notifier.state import Outgoing
from services.notifier.state_file import StateFile
from services.reporter.history_lookup import HistoryLookup
from services.reporter.output_folder import OutputFolder
from services.reporter.service import Reporter
from services.trainer.model_selection import ModelSelector
from services.trainer.runner import InProcessRunner
from services.trainer.service import Trainer
from shared.contract.codec import encode
from shared.contract.messages import Command, HistoryBatch, Message, Reading, Rejected
from shared.contract.service import Service
from shared.contract.status_codes import Problem
from shared.contract.texts import technical
from shared.domain.holiday_calendar import NO_HOLIDAYS
from shared.models.loader import make_model_loader
from shared.models.registry import ModelRegistry
from shared.runtime.bus import Delivery
from shared.runtime.gap_recovery import with_gap_recovery
from shared.runtime.loop import process_batch
from shared.runtime.sensor_registry import SensorRegistry
from shared.settings import Settings
from shared.store.history import History
from shared.store.recorder import Recorder


class FakeBus:
    """A bus that validates and records published messages."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def open(self, service: Service, while_disconnected: Callable[[], None] = ...) -> None: ...
    def receive(self, max_messages: int, wait_seconds: float) -> list[Delivery]:  # noqa: ARG002
        return []

    def publish(self, message: Message) -> None:
        encode(message)
        self.messages.append(message)

    def forget(self, sensor: str) -> None: ...
    def confirm(self) -> None: ...
    def heartbeat(self, problems: Sequence[Problem]) -> None: ...
    def close(self) -> None: ...


class ServiceHarness:
    """A service that handles all inputs, behind the sensor limits that a broker's messages pass."""

    def __init__(self, service: Service) -> None:
        self.service, self.bus = service, FakeBus()
        self.registry = SensorRegistry()
        self.registering_types = (Reading, HistoryBatch) if Reading in service.consumes else ()

    def process(self, items: Sequence[Message | Measurement | BadLine]) -> list[Message]:
        """Return the published messages; fail if a handler failed."""
        process_batch(
            self.service, self.bus, [Delivery(item, lambda: None) for item in items if self._is_admitted(item)]
        )
        messages, self.bus.messages = self.bus.messages, []
        for published in messages:
            assert not (isinstance(published, Rejected) and published.source.startswith(self.service.name)), published
        return messages

    def _is_admitted(self, item: Message | Measurement | BadLine) -> bool:
        sensor = getattr(item, "sensor", None)
        may_register = not self.registering_types or isinstance(item, self.registering_types)
        return (
            sensor is None or isinstance(item, Measurement) or not self.registry.rejection_reason(sensor, may_register)
        )


def make(name: str, folder: Path) -> Service:
    """Return a service with an empty data folder."""
    settings = Settings(data=folder)
    site, zone = settings.site.name, settings.zone
    history = History(settings.database, zone, site)
    makers: dict[str, Callable[[], Service]] = {
        "ingest": lambda: Ingest(site, NullSpool("001"), "file", SensorRegistry(), lambda _: None, NoInitialHistory()),
        "detector": lambda: _with_gap_recovery(Detector(settings, history), history),
        "forecaster": lambda: _with_gap_recovery(
            Forecaster(site, zone, history, make_model_loader(folder), NO_HOLIDAYS), history
        ),
        "trainer": lambda: Trainer(
            site,
            zone,
            settings.training,
            InProcessRunner(lambda _: ()),
            START,
            ModelSelector(site, zone, ModelRegistry(folder), history),
        ),
        "db_writer": lambda: DbWriter(
            Recorder(settings.database, zone, (0, 24)), site, 365, lambda at: datetime.fromtimestamp(at, zone)
        ),
        "dashboard": lambda: Dashboard(LiveState(), lambda _: None, lambda _: None),
        "reporter": lambda: Reporter(OutputFolder(folder), zone, (24, 48), 7, HistoryLookup(history, zone, 7)),
        "notifier": lambda: _notifier(site, folder),
    }
    return makers[name]()


class _NoMessenger:
    """Sends nothing."""

    def put(self, message: Outgoing) -> None:
        pass

    def attempts(self) -> Iterable[Attempt]:
        return ()

    def prune(self, now: datetime) -> None:
        pass


def _notifier(site: str, folder: Path) -> Notifier:
    """Return a notifier whose clock runs ten minutes ahead at each look, so that everything becomes due."""
    minutes = count(step=10)
    contacts = [
        Contact(name="ops", quiet=(1320, 420)),
        Contact(name="boss", language="en", after=timedelta(minutes=15)),
    ]
    store = StateFile(folder / "notifier/state.json")
    return Notifier(contacts, site, site, store, _NoMessenger(), lambda: START + timedelta(minutes=next(minutes)))


def _with_gap_recovery(service: Detector | Forecaster, history: History) -> Service:
    return with_gap_recovery(service, history, service.oldest_missing_output, lambda: 1)


def items(draw: ValueSource, service: Service, number: int) -> list[Message | Measurement | BadLine]:
    """Return random items that the service may receive."""
    kinds = [kind for kind in service.consumes if kind is not Command]
    drawn: list[Message | Measurement | BadLine] = []
    for _ in range(number):
        choice = draw.integer(0, 9)
        if service.name == "ingest" and choice < 7:
            drawn.append(
                _measurement(draw)
                if choice
                else BadLine(draw.text(40), draw.integer(0, 9), draw.text(40), technical("bad"))
            )
        else:
            drawn.append(message(draw, kinds))
    return drawn


def _measurement(draw: ValueSource) -> Measurement:
    name = NAMES[draw.integer(0, len(NAMES) - 1)] if draw.integer(0, 5) else f"s{draw.integer(0, 999)}"
    return Measurement(name, moment(draw), draw.number() % 1e9, None)


def open_target(name: str, folder: Path) -> FuzzInput:
    import atheris

    harness = ServiceHarness(make(name, folder))
    list(harness.service.start())

    def run_input(data: bytes) -> None:
        draw = BytesSource(atheris.FuzzedDataProvider(data))
        harness.process(items(draw, harness.service, draw.integer(1, 30)))

    return run_input


def seeds(_: str) -> Iterator[bytes]:
    yield bytes(range(256)) * 4
    yield bytes(1000)
