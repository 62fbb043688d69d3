"""The same tests for both buses: what holds live holds in a replay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal

import pytest

from shared.contract.messages import Anomaly, Command, LocalizedText, Message, Prediction, Progress, Tick
from shared.contract.texts import technical
from shared.runtime.bus import Bus, MemoryBroker, MemoryBus
from shared.runtime.mqtt_bus import MqttBus
from shared.settings import Settings
from tests.unit.factories import prediction

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class FakeListener:
    """Consumes ticks, progress and anomalies, and handles the command `train`."""

    name: ClassVar[str] = "listener"
    consumes: ClassVar[tuple[type[Message], ...]] = (Tick, Progress, Anomaly, Prediction)
    produces: ClassVar[tuple[type[Message], ...]] = ()
    commands: ClassVar[tuple[str, ...]] = ("train",)

    def start(self) -> Iterable[Message]:
        return ()

    def handle(self, message: Message) -> Iterable[Message]:  # noqa: ARG002
        return ()

    def end_batch(self) -> Iterable[Message]:
        return ()


class FakePublisher(FakeListener):
    """Only publishes."""

    name: ClassVar[str] = "speaker"
    consumes: ClassVar[tuple[type[Message], ...]] = ()
    commands: ClassVar[tuple[str, ...]] = ()


class FakeForecaster(FakePublisher):
    """Publishes predictions."""

    name: ClassVar[str] = "forecaster"
    produces: ClassVar[tuple[type[Message], ...]] = (Prediction,)


Connect = Callable[[FakeListener], Bus]


@pytest.fixture(params=["memory", "mqtt"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Open a bus for a service; a call after a close is the next run of that service."""
    opened: list[Bus] = []
    broker = MemoryBroker()
    settings: Settings | None = request.getfixturevalue("settings") if request.param == "mqtt" else None

    def open_bus(service: FakeListener) -> Bus:
        bus: Bus = MqttBus(service.name, settings) if settings else MemoryBus(broker)
        bus.open(service)
        opened.append(bus)
        return bus

    yield open_bus
    for bus in opened:
        bus.close()


def receive_messages(bus: Bus, number: int) -> list[Message]:
    """Return this number of messages, acknowledged."""
    messages: list[Message] = []
    while len(messages) < number:
        deliveries = bus.receive(number - len(messages), 5.0)
        assert deliveries, f"only {len(messages)} of {number} messages came"
        for delivery in deliveries:
            delivery.acknowledge()
            messages.append(delivery.message)
    return messages


def ticks(number: int) -> list[Tick]:
    return [Tick("site1", NOON + timedelta(minutes=minute)) for minute in range(number)]


def anomaly(state: Literal["opened", "cleared"]) -> Anomaly:
    return Anomaly(
        site="site1",
        sensor="001",
        id="001-leak",
        at=NOON,
        channels=("flow_rate",),
        methods=("night",),
        kind="leak",
        trigger="leak",
        state=state,
        acknowledged=False,
        severity="warning",
        opened_at=NOON,
        onset_at=NOON,
        cleared_at=NOON if state == "cleared" else None,
        peak=1.0,
        excess_m3h=2.0,
        text=LocalizedText("누수", "leak"),
    )


class TestEveryBus:
    def test_messages_arrive_in_order_of_publishing(self, connect: Connect) -> None:
        listener, speaker = connect(FakeListener()), connect(FakePublisher())
        for tick in ticks(200):
            speaker.publish(tick)
        speaker.confirm()
        assert receive_messages(listener, 200) == ticks(200)

    def test_unacknowledged_message_is_redelivered_to_the_next_run(self, connect: Connect) -> None:
        listener, speaker = connect(FakeListener()), connect(FakePublisher())
        for tick in ticks(3):
            speaker.publish(tick)
        speaker.confirm()
        first, *rest = listener.receive(3, 5.0)
        first.acknowledge()
        while len(rest) < 2:
            rest.extend(listener.receive(3, 5.0))
        listener.close()
        assert receive_messages(connect(FakeListener()), 2) == ticks(3)[1:]

    def test_messages_are_kept_for_a_stopped_service(self, connect: Connect) -> None:
        listener, speaker = connect(FakeListener()), connect(FakePublisher())
        listener.close()
        for tick in ticks(5):
            speaker.publish(tick)
        speaker.confirm()
        assert receive_messages(connect(FakeListener()), 5) == ticks(5)

    def test_retained_message_reaches_a_later_subscriber(self, connect: Connect) -> None:
        speaker = connect(FakePublisher())
        for step in (1, 2):
            speaker.publish(
                Progress(site="site1", at=NOON, job="training", step=step, of=2, eta=None, text=technical("epoch"))
            )
        speaker.confirm()
        assert receive_messages(connect(FakeListener()), 1) == [
            Progress(site="site1", at=NOON, job="training", step=2, of=2, eta=None, text=technical("epoch"))
        ]

    def test_cleared_anomaly_is_delivered_but_not_retained(self, connect: Connect) -> None:
        listener, speaker = connect(FakeListener()), connect(FakePublisher())
        speaker.publish(anomaly("opened"))
        speaker.publish(anomaly("cleared"))
        speaker.confirm()
        assert receive_messages(listener, 2) == [anomaly("opened"), anomaly("cleared")]

        class Late(FakeListener):
            name: ClassVar[str] = "late"

        speaker.publish(ticks(1)[0])
        late = connect(Late())
        speaker.publish(ticks(1)[0])
        assert receive_messages(late, 1) == ticks(1)

    def test_retained_messages_of_a_retired_sensor_are_removed(self, connect: Connect) -> None:
        bus = connect(FakeForecaster())
        for sensor in ("001", "002"):
            bus.publish(prediction(sensor=sensor))
        bus.confirm()
        bus.forget("001")
        bus.confirm()
        late = FakeListener()
        (message,) = receive_messages(connect(late), 1)
        assert isinstance(message, Prediction)
        assert message.sensor == "002"

    def test_command_reaches_only_its_owner(self, connect: Connect) -> None:
        owner, speaker = connect(FakeListener()), connect(FakePublisher())
        speaker.publish(Command("site1", "acknowledge", "t1"))
        speaker.publish(Command("site1", "train", "t2"))
        speaker.confirm()
        assert receive_messages(owner, 1) == [Command("site1", "train", "t2")]
