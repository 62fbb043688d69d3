"""Nothing is lost when the broker is killed, loses its sessions, refuses messages or drops connections."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from cli.init_site import mosquitto_hash
from shared.contract.messages import Message, Progress, Status, Tick
from shared.contract.texts import technical
from shared.runtime.broker_connection import CLIENT_ID_FILE
from shared.runtime.mqtt_bus import MqttBus
from shared.settings import Settings
from shared.settings.sections import Broker
from tests.conftest import Mosquitto, free_port
from tests.polling import wait_for
from tests.tcp_proxy import TcpProxy
from tests.unit.shared.runtime.test_buses import FakeListener, FakePublisher, anomaly, receive_messages

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

Connect = Callable[[FakeListener], MqttBus]


class Late(FakeListener):
    name: ClassVar[str] = "late"


class StatusListener(FakeListener):
    name: ClassVar[str] = "status"
    consumes: ClassVar[tuple[type[Message], ...]] = (Status,)


@pytest.fixture
def connect(settings: Settings) -> Iterator[Connect]:
    """Open the bus of a service."""
    opened: list[MqttBus] = []

    def open_bus(service: FakeListener) -> MqttBus:
        bus = MqttBus(service.name, settings)
        bus.open(service)
        opened.append(bus)
        return bus

    yield open_bus
    for bus in opened:
        bus.close()


def ticks(first: int, last: int) -> list[Tick]:
    return [Tick("site1", NOON + timedelta(minutes=minute)) for minute in range(first, last)]


def step(number: int) -> Progress:
    return Progress(site="site1", at=NOON, job="training", step=number, of=9999, eta=None, text=technical(""))


def publish_all(bus: MqttBus, *messages: Message) -> None:
    for message in messages:
        bus.publish(message)
    bus.confirm()


def receive_all(bus: MqttBus, expected: list[Tick], seconds: float = 20.0) -> list[Tick]:
    """Return what a service receives until all expected ticks arrived, without repetitions."""
    received: dict[Tick, None] = {}

    def all_came() -> bool:
        for delivery in bus.receive(1000, 0.1):
            delivery.acknowledge()
            if isinstance(delivery.message, Tick):
                received.setdefault(delivery.message)
        return received.keys() >= set(expected)

    wait_for(all_came, seconds, f"{len(expected)} ticks")
    return list(received)


def test_messages_that_a_killed_broker_lost_are_published_again(connect: Connect, mosquitto: Mosquitto) -> None:
    listener, speaker = connect(FakeListener()), connect(FakePublisher())
    listener.close()
    mosquitto.stop()
    mosquitto.start()
    publish_all(speaker, *ticks(0, 300))
    mosquitto.kill()
    mosquitto.start()
    assert receive_all(connect(FakeListener()), ticks(0, 300)) == ticks(0, 300)


def test_unhandled_messages_survive_a_broker_with_an_emptied_folder(connect: Connect, mosquitto: Mosquitto) -> None:
    listener, speaker = connect(FakeListener()), connect(FakePublisher())
    publish_all(speaker, *ticks(0, 20))
    wait_for(lambda: len(listener._inbox) == 20, what="deliveries")
    speaker.close()
    mosquitto.lose_power()
    mosquitto.start()
    wait_for(lambda: listener._inbox._current[0] == 2, what="a new session")
    assert receive_all(listener, ticks(0, 20)) == ticks(0, 20)


def test_retained_state_is_published_again_to_an_emptied_broker(connect: Connect, mosquitto: Mosquitto) -> None:
    speaker = connect(FakePublisher())
    publish_all(speaker, step(1), anomaly("opened"))
    mosquitto.lose_power()
    mosquitto.start()
    late = connect(Late())
    assert set(receive_messages(late, 2)) == {step(1), anomaly("opened")}


def test_service_resubscribes_after_the_broker_lost_its_session(connect: Connect, mosquitto: Mosquitto) -> None:
    listener, speaker = connect(FakeListener()), connect(FakePublisher())
    mosquitto.lose_power()
    mosquitto.start()
    wait_for(lambda: listener._inbox._current[0] == 2, what="a new session")
    publish_all(speaker, *ticks(0, 10))
    assert receive_all(listener, ticks(0, 10)) == ticks(0, 10)


def test_messages_to_an_emptied_broker_are_replayed_when_subscribers_return(
    connect: Connect, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.runtime.mqtt_bus.REPLAY_DELAYS_SECONDS", (2.0,))
    listener, speaker = connect(FakeListener()), connect(FakePublisher())
    listener.close()
    mosquitto.lose_power()
    mosquitto.start()
    publish_all(speaker, *ticks(0, 10))
    assert receive_all(connect(FakeListener()), ticks(0, 10)) == ticks(0, 10)


def test_flapping_broker_loses_nothing_and_keeps_the_newest_state(connect: Connect, mosquitto: Mosquitto) -> None:
    listener, speaker = connect(FakeListener()), connect(FakePublisher())
    calm = threading.Event()
    published: list[Tick] = []

    def speak() -> None:
        while not calm.is_set():
            number = len(published)
            published.append(ticks(number, number + 1)[0])
            publish_all(speaker, published[-1], step(number))

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    try:
        for restart in range(10):
            before = len(published)
            wait_for(lambda before=before: len(published) > before + 20, what="more ticks")  # type: ignore[misc]
            (mosquitto.kill if restart % 2 else mosquitto.stop)()
            mosquitto.start()
    finally:
        calm.set()
        thread.join(20)
    assert receive_all(listener, published) == published
    assert receive_messages(connect(Late()), 1) == [step(len(published) - 1)]


def test_cut_connections_lose_nothing_and_keep_the_order(settings: Settings, mosquitto: Mosquitto) -> None:
    proxy = TcpProxy(mosquitto.port)
    through = settings.model_copy(update={"broker": Broker(port=proxy.port)})
    listener, speaker = MqttBus("listener", through), MqttBus("speaker", through)
    listener.open(FakeListener())
    speaker.open(FakePublisher())
    expected = ticks(0, 6000)
    for first in range(0, 6000, 1000):
        for tick in expected[first : first + 1000]:
            speaker.publish(tick)
        proxy.cut_connections()
    speaker.confirm()
    assert receive_all(listener, expected) == expected
    for bus in (listener, speaker):
        bus.close()
    proxy.close()


def test_backlog_waits_for_room_and_arrives_after_the_broker_returns(
    connect: Connect, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.runtime.publish_buffer.MAX_UNACKED", 500)
    listener, speaker = connect(FakeListener()), connect(FakePublisher())
    mosquitto.stop()
    thread = threading.Thread(target=publish_all, args=(speaker, *ticks(0, 3000)), daemon=True)
    thread.start()
    wait_for(lambda: len(speaker._publish_buffer._unacked) == 500, what="a full buffer")
    mosquitto.start()
    thread.join(20)
    assert receive_all(listener, ticks(0, 3000)) == ticks(0, 3000)


class FakeAclBroker:
    """A broker whose users and rights change while it runs."""

    def __init__(self, folder: Path) -> None:
        access = f"allow_anonymous false\npassword_file {folder}/passwd\nacl_file {folder}/acl"
        self.folder = folder
        self.broker = Mosquitto(folder, free_port(), access)

    def allow(self, password: str = "any", rights: str = "wvr/v1/#") -> None:
        """Set the publisher's password and rights."""
        everybody = {"listener": "any", "status": "any", "speaker": password}
        lines = (f"{user}:{mosquitto_hash(secret)}\n" for user, secret in everybody.items())
        (self.folder / "passwd").write_text("".join(lines), encoding="ascii")
        all_rights = "".join(f"user {user}\ntopic readwrite wvr/v1/#\n" for user in ("listener", "status"))
        mine = "user speaker\ntopic readwrite wvr/v1/+/service/+\n" + f"topic readwrite {rights}\n"
        (self.folder / "acl").write_text(all_rights + mine, encoding="ascii")
        for file in ("passwd", "acl"):
            (self.folder / file).chmod(0o600)
        if self.broker.process:
            self.broker.signal(signal.SIGHUP)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[FakeAclBroker]:
    """A running broker that requires passwords."""
    folder = tmp_path / "guarded"
    folder.mkdir()
    guarded = FakeAclBroker(folder)
    guarded.allow()
    guarded.broker.start()
    yield guarded
    guarded.broker.stop()


@pytest.fixture
def guarded_connect(tmp_path: Path, guarded: FakeAclBroker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    monkeypatch.setenv("WVR_HEARTBEAT", str(tmp_path / "heartbeat"))
    opened: list[MqttBus] = []

    def open_bus(service: FakeListener) -> MqttBus:
        secrets = tmp_path / service.name
        secrets.mkdir()
        for secret in ("password", CLIENT_ID_FILE):
            (secrets / secret).write_text("any", encoding="ascii")
        bus = MqttBus(service.name, Settings(secrets=secrets, broker=Broker(port=guarded.broker.port)))
        opened.append(bus)
        bus.open(service)
        return bus

    yield open_bus
    for bus in opened:
        bus.close()


def logged(caplog: pytest.LogCaptureFixture, text: str) -> int:
    """Return the number of logged events with this text in their fields."""
    return sum(text in str(record.__dict__.get("fields")) for record in caplog.records)


def test_refused_user_is_reported_and_continues_with_the_new_password(
    guarded: FakeAclBroker, guarded_connect: Connect, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listener, speaker = guarded_connect(FakeListener()), guarded_connect(FakePublisher())
    guarded.allow(password="another")
    wait_for(lambda: logged(caplog, "the broker refuses the user speaker: Not authorized"), what="an error")
    speaker.publish(ticks(0, 1)[0])
    (tmp_path / "speaker/password").write_text("another", encoding="ascii")
    speaker.confirm()
    assert receive_all(listener, ticks(0, 1)) == ticks(0, 1)
    assert logged(caplog, "refuses the user speaker") == 1


def test_refused_message_is_reported_and_arrives_when_allowed(
    guarded: FakeAclBroker, guarded_connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    listener, watcher, speaker = (
        guarded_connect(service) for service in (FakeListener(), StatusListener(), FakePublisher())
    )
    guarded.allow(rights="wvr/v1/+/response/+")
    thread = threading.Thread(target=publish_all, args=(speaker, *ticks(0, 3)), daemon=True)
    thread.start()
    text = "the broker refuses wvr/v1/site1/tick: Not authorized"
    wait_for(lambda: logged(caplog, text), what="an error")
    wait_for(lambda: any(text in note for note in notes(watcher)), what="a status")
    assert thread.is_alive()
    guarded.allow()
    thread.join(20)
    assert not thread.is_alive()
    assert receive_all(listener, ticks(0, 3)) == ticks(0, 3)


def notes(bus: MqttBus) -> list[str]:
    """Return the status notes of the publishing services."""
    received = []
    for delivery in bus.receive(1000, 0.1):
        delivery.acknowledge()
        if isinstance(delivery.message, Status):
            received.append(delivery.message.note.en)
    return received
