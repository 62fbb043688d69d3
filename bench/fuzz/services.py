"""Valid and absurd messages, handled by each service as at its broker: it goes on, and may say what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from bench.fuzz.bytes_source import BytesSource
from bench.fuzz.message_generator import NAMES, START, ValueSource, message, moment
from bench.fuzz.targets import FuzzInput
from services.db_writer.service import DbWriter
from services.detector.service import Detector
from services.forecaster.service import Forecaster
from services.ingest.initial_history import NoInitialHistory
from services.ingest.service import Ingest
from services.ingest.sources.line_reader import BadLine, Measurement
from services.ingest.spool import NullSpool
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
from shared.store.history import History as Stored
from shared.store.recorder import Recorder


class ValidatingBus:
    """The side of the broker that checks what is said."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def open(self, service: Service, while_disconnected: Callable[[], None] = ...) -> None: ...
    def receive(self, max_messages: int, wait_seconds: float) -> list[Delivery]:  # noqa: ARG002
        return []

    def publish(self, message: Message) -> None:
        encode(message)
        self.messages.append(message)

    def confirm(self) -> None: ...
    def heartbeat(self, problems: Sequence[Problem]) -> None: ...
    def close(self) -> None: ...


class ServiceHarness:
    """One service that lives through all inputs, behind the limits that a broker's messages pass."""

    def __init__(self, service: Service) -> None:
        self.service, self.bus = service, ValidatingBus()
        self.register = SensorRegistry()
        self.introducing = (Reading, HistoryBatch) if Reading in service.consumes else ()

    def process(self, items: Sequence[Message | Measurement | BadLine]) -> list[Message]:
        """What was said; fails when a handler did."""
        process_batch(self.service, self.bus, [Delivery(item, lambda: None) for item in items if self._admitted(item)])
        messages, self.bus.messages = self.bus.messages, []
        for one in messages:
            assert not (isinstance(one, Rejected) and one.source.startswith(self.service.name)), one
        return messages

    def _admitted(self, item: Message | Measurement | BadLine) -> bool:
        sensor = getattr(item, "sensor", None)
        new = not self.introducing or isinstance(item, self.introducing)
        return sensor is None or isinstance(item, Measurement) or not self.register.rejection_reason(sensor, new)


def make(name: str, folder: Path) -> Service:
    """A service with everything around it empty."""
    settings = Settings(data=folder)
    site, zone = settings.site.name, settings.zone
    past = Stored(settings.database, zone, site)
    makers: dict[str, Callable[[], Service]] = {
        "ingest": lambda: Ingest(site, NullSpool("001"), "file", SensorRegistry(), lambda _: None, NoInitialHistory()),
        "detector": lambda: _behind_gaps(Detector(settings, past), past),
        "forecaster": lambda: _behind_gaps(Forecaster(site, zone, past, make_model_loader(folder), NO_HOLIDAYS), past),
        "trainer": lambda: Trainer(
            site,
            zone,
            settings.training,
            InProcessRunner(lambda _: ()),
            START,
            ModelSelector(site, zone, ModelRegistry(folder), past),
        ),
        "db_writer": lambda: DbWriter(
            Recorder(settings.database, zone, (0, 24)), site, 365, lambda at: datetime.fromtimestamp(at, zone)
        ),
        "reporter": lambda: Reporter(OutputFolder(folder), zone, (24, 48), 7, HistoryLookup(past, zone, 7)),
    }
    return makers[name]()


def _behind_gaps(service: Detector | Forecaster, past: Stored) -> Service:
    return with_gap_recovery(service, past, service.oldest_missing_output, lambda: 1)


def items(draw: ValueSource, service: Service, number: int) -> list[Message | Measurement | BadLine]:
    """So many of what the service is handed."""
    kinds = [kind for kind in service.consumes if kind is not Command]
    found: list[Message | Measurement | BadLine] = []
    for _ in range(number):
        choice = draw.integer(0, 9)
        if service.name == "ingest" and choice < 7:
            found.append(
                _read(draw) if choice else BadLine(draw.text(40), draw.integer(0, 9), draw.text(40), technical("bad"))
            )
        else:
            found.append(message(draw, kinds))
    return found


def _read(draw: ValueSource) -> Measurement:
    name = NAMES[draw.integer(0, len(NAMES) - 1)] if draw.integer(0, 5) else f"s{draw.integer(0, 999)}"
    return Measurement(name, moment(draw), draw.number() % 1e9, None)


def open_target(name: str, folder: Path) -> FuzzInput:
    import atheris

    stage = ServiceHarness(make(name, folder))
    list(stage.service.start())

    def take(data: bytes) -> None:
        draw = BytesSource(atheris.FuzzedDataProvider(data))
        stage.process(items(draw, stage.service, draw.integer(1, 30)))

    return take


def seeds(_: str) -> Iterator[bytes]:
    yield bytes(range(256)) * 4
    yield bytes(1000)
