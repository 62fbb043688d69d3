"""A broker that is killed, forgets, refuses or loses its connections: all that was said arrives."""

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
from shared.runtime.mqtt_bus import MqttBus
from shared.settings import Broker, Settings
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
    """Opens the bus of a service."""
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
    return Progress("site1", NOON, "training", number, 9999, None, "")


def say(bus: MqttBus, *messages: Message) -> None:
    for message in messages:
        bus.publish(message)
    bus.confirm()


def heard_all(bus: MqttBus, wanted: list[Tick], seconds: float = 20.0) -> list[Tick]:
    """What a service hears until it has heard all that is wanted, each as it came first."""
    found: dict[Tick, None] = {}

    def all_came() -> bool:
        for delivery in bus.receive(1000, 0.1):
            delivery.acknowledge()
            if isinstance(delivery.message, Tick):
                found.setdefault(delivery.message)
        return found.keys() >= set(wanted)

    wait_for(all_came, seconds, f"{len(wanted)} ticks")
    return list(found)


def test_what_a_killed_broker_had_confirmed_and_forgot_comes_again(connect: Connect, mosquitto: Mosquitto) -> None:
    listener, speaker = connect(FakeListener()), connect(FakePublisher())
    listener.close()
    mosquitto.stop()
    mosquitto.start()
    say(speaker, *ticks(0, 300))
    mosquitto.kill()
    mosquitto.start()
    assert heard_all(connect(FakeListener()), ticks(0, 300)) == ticks(0, 300)


def test_what_was_delivered_but_not_handled_outlives_a_broker_with_an_emptied_folder(
    connect: Connect, mosquitto: Mosquitto
) -> None:
    listener, speaker = connect(FakeListener()), connect(FakePublisher())
    say(speaker, *ticks(0, 20))
    wait_for(lambda: len(listener._inbox) == 20, what="deliveries")
    speaker.close()
    mosquitto.lose_power()
    mosquitto.start()
    wait_for(lambda: listener._inbox._current[0] == 2, what="a new session")
    assert heard_all(listener, ticks(0, 20)) == ticks(0, 20)


def test_each_producer_says_its_state_again_to_a_broker_with_an_emptied_folder(
    connect: Connect, mosquitto: Mosquitto
) -> None:
    speaker = connect(FakePublisher())
    say(speaker, step(1), anomaly("opened"))
    mosquitto.lose_power()
    mosquitto.start()
    late = connect(Late())
    assert set(receive_messages(late, 2)) == {step(1), anomaly("opened")}


def test_a_service_hears_again_after_the_broker_has_forgotten_what_it_subscribed_to(
    connect: Connect, mosquitto: Mosquitto
) -> None:
    listener, speaker = connect(FakeListener()), connect(FakePublisher())
    mosquitto.lose_power()
    mosquitto.start()
    wait_for(lambda: listener._inbox._current[0] == 2, what="a new session")
    say(speaker, *ticks(0, 10))
    assert heard_all(listener, ticks(0, 10)) == ticks(0, 10)


def test_what_was_said_to_a_broker_that_knew_nobody_is_said_again_when_the_others_are_back(
    connect: Connect, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.runtime.mqtt_bus.REPLAY_DELAYS_SECONDS", (2.0,))
    listener, speaker = connect(FakeListener()), connect(FakePublisher())
    listener.close()
    mosquitto.lose_power()
    mosquitto.start()
    say(speaker, *ticks(0, 10))
    assert heard_all(connect(FakeListener()), ticks(0, 10)) == ticks(0, 10)


def test_a_flapping_broker_loses_nothing_and_keeps_the_newest_state(connect: Connect, mosquitto: Mosquitto) -> None:
    listener, speaker = connect(FakeListener()), connect(FakePublisher())
    calm = threading.Event()
    said: list[Tick] = []

    def speak() -> None:
        while not calm.is_set():
            number = len(said)
            said.append(ticks(number, number + 1)[0])
            say(speaker, said[-1], step(number))

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    try:
        for restart in range(10):
            before = len(said)
            wait_for(lambda before=before: len(said) > before + 20, what="more ticks")  # type: ignore[misc]
            (mosquitto.kill if restart % 2 else mosquitto.stop)()
            mosquitto.start()
    finally:
        calm.set()
        thread.join(20)
    assert heard_all(listener, said) == said
    assert receive_messages(connect(Late()), 1) == [step(len(said) - 1)]


def test_cut_connections_lose_nothing_and_keep_the_order(settings: Settings, mosquitto: Mosquitto) -> None:
    proxy = TcpProxy(mosquitto.port)
    through = settings.model_copy(update={"broker": Broker(port=proxy.port)})
    listener, speaker = MqttBus("listener", through), MqttBus("speaker", through)
    listener.open(FakeListener())
    speaker.open(FakePublisher())
    wanted = ticks(0, 6000)
    for first in range(0, 6000, 1000):
        for tick in wanted[first : first + 1000]:
            speaker.publish(tick)
        proxy.cut_connections()
    speaker.confirm()
    assert heard_all(listener, wanted) == wanted
    for bus in (listener, speaker):
        bus.close()
    proxy.close()


def test_a_backlog_while_the_broker_is_away_waits_for_room_and_arrives(
    connect: Connect, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.runtime.publish_buffer.MAX_UNACKED", 500)
    listener, speaker = connect(FakeListener()), connect(FakePublisher())
    mosquitto.stop()
    thread = threading.Thread(target=say, args=(speaker, *ticks(0, 3000)), daemon=True)
    thread.start()
    wait_for(lambda: len(speaker._publish_buffer._unacked) == 500, what="a full outbox")
    mosquitto.start()
    thread.join(20)
    assert heard_all(listener, ticks(0, 3000)) == ticks(0, 3000)


class Guarded:
    """A broker with users and rights that change while it runs."""

    def __init__(self, folder: Path) -> None:
        access = f"allow_anonymous false\npassword_file {folder}/passwd\nacl_file {folder}/acl"
        self.folder = folder
        self.broker = Mosquitto(folder, free_port(), access)

    def let(self, password: str = "any", rights: str = "wvr/v1/#") -> None:
        """From now on the speaker has this password and these rights."""
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
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    """A running broker that asks for passwords."""
    folder = tmp_path / "guarded"
    folder.mkdir()
    guarded = Guarded(folder)
    guarded.let()
    guarded.broker.start()
    yield guarded
    guarded.broker.stop()


@pytest.fixture
def guarded_connect(tmp_path: Path, guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    monkeypatch.setenv("WVR_HEARTBEAT", str(tmp_path / "heartbeat"))
    opened: list[MqttBus] = []

    def open_bus(service: FakeListener) -> MqttBus:
        secrets = tmp_path / service.name
        secrets.mkdir()
        (secrets / "password").write_text("any", encoding="ascii")
        bus = MqttBus(service.name, Settings(secrets=secrets, broker=Broker(port=guarded.broker.port)))
        opened.append(bus)
        bus.open(service)
        return bus

    yield open_bus
    for bus in opened:
        bus.close()


def test_a_refused_user_says_so_and_goes_on_with_the_new_password(
    guarded: Guarded, guarded_connect: Connect, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listener, speaker = guarded_connect(FakeListener()), guarded_connect(FakePublisher())
    guarded.let(password="another")
    wait_for(lambda: "the broker refuses the user speaker: Not authorized" in caplog.text, what="a complaint")
    speaker.publish(ticks(0, 1)[0])
    (tmp_path / "speaker/password").write_text("another", encoding="ascii")
    speaker.confirm()
    assert heard_all(listener, ticks(0, 1)) == ticks(0, 1)
    assert caplog.text.count("refuses the user speaker") == 1


def test_a_refused_message_is_not_safe_is_told_and_arrives_when_it_may(
    guarded: Guarded, guarded_connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    listener, watcher, speaker = (
        guarded_connect(service) for service in (FakeListener(), StatusListener(), FakePublisher())
    )
    guarded.let(rights="wvr/v1/+/response/+")
    thread = threading.Thread(target=say, args=(speaker, *ticks(0, 3)), daemon=True)
    thread.start()
    text = "the broker refuses wvr/v1/site1/tick: Not authorized"
    wait_for(lambda: text in caplog.text, what="a complaint")
    wait_for(lambda: any(text in note for note in notes(watcher)), what="a status")
    assert thread.is_alive()
    guarded.let()
    thread.join(20)
    assert not thread.is_alive()
    assert heard_all(listener, ticks(0, 3)) == ticks(0, 3)


def notes(bus: MqttBus) -> list[str]:
    """What hinders the services that speak."""
    found = []
    for delivery in bus.receive(1000, 0.1):
        delivery.acknowledge()
        if isinstance(delivery.message, Status):
            found.append(delivery.message.note)
    return found
