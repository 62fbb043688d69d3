"""A deaf or stuck service ends in time; one that waits, works long or was suspended does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest

from cli.bootstrap import ROOT
from shared.contract.messages import Message, Progress, Status, Tick
from shared.runtime.applied_settings import applied_file
from shared.runtime.health import heartbeat_age, heartbeat_file
from shared.runtime.mqtt_bus import KEEPALIVE_SECONDS, MqttBus
from shared.runtime.watchdog import MAX_DEAF_ROUNDS, MAX_STUCK_ROUNDS, ROUND_SECONDS, Watchdog
from shared.settings import Settings
from tests.conftest import Mosquitto
from tests.polling import wait_for
from tests.tcp_proxy import TcpProxy
from tests.unit.shared.runtime.fake_service import ENDLESS, LONG
from tests.unit.shared.runtime.test_buses import FakeListener

ROUND = 0.1

Start = Callable[[int], subprocess.Popen[bytes]]


class Watcher(FakeListener):
    consumes: ClassVar[tuple[type[Message], ...]] = (Progress, Status)


@pytest.fixture
def start(tmp_path: Path, settings: Settings) -> Iterator[Start]:
    """Start the fake service at a port, and wait until it has received its own status."""
    started: list[subprocess.Popen[bytes]] = []

    def start_small(port: int) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            "tests.unit.shared.runtime.fake_service",
            str(port),
            str(settings.secrets),
            str(ROUND),
        ]
        errors = (tmp_path / "errors").open("wb")
        started.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=errors, env=os.environ))
        wait_for(lambda: heartbeat_age(heartbeat_file()) is not None, what="heartbeat")
        return started[-1]

    yield start_small
    for process in started:
        process.kill()
        process.wait(10)


@pytest.fixture
def watcher(settings: Settings) -> Iterator[MqttBus]:
    """The bus of an observer that publishes ticks and receives what the fake service publishes."""
    bus = MqttBus("listener", settings)
    bus.open(Watcher())
    yield bus
    bus.close()


def tick(minute: int) -> Tick:
    return Tick("site1", datetime(2026, 1, 1, 12, minute, tzinfo=UTC))


def answer(bus: MqttBus, minute: int) -> list[Message]:
    """Return what arrives up to the progress of a minute."""
    received: list[Message] = []

    def progress_arrived() -> bool:
        for delivery in bus.receive(100, 0.1):
            delivery.acknowledge()
            received.append(delivery.message)
        return any(isinstance(message, Progress) and message.step == minute for message in received)

    wait_for(progress_arrived, what=f"the progress of minute {minute}")
    return received


def test_bounds_leave_time_for_a_restart_and_a_recovery() -> None:
    assert MAX_DEAF_ROUNDS * ROUND_SECONDS + ROUND_SECONDS <= 45
    assert 2 * KEEPALIVE_SECONDS < MAX_DEAF_ROUNDS * ROUND_SECONDS, (
        "a broker that hangs is left before that counts as deafness"
    )
    assert MAX_STUCK_ROUNDS * ROUND_SECONDS >= 600


def test_connected_service_that_receives_nothing_ends(start: Start, mosquitto: Mosquitto, tmp_path: Path) -> None:
    proxy = TcpProxy(mosquitto.port)
    process = start(proxy.port)
    proxy.swallows = True
    began = time.monotonic()
    assert process.wait(20) == 70
    assert time.monotonic() - began >= (MAX_DEAF_ROUNDS - 2) * ROUND
    assert "nothing received from the broker" in (tmp_path / "errors").read_text(encoding="utf-8")
    proxy.close()


def test_service_without_subscriptions_reports_it_and_is_restarted(
    start: Start, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    proxy = TcpProxy(mosquitto.port)
    process = start(proxy.port)
    proxy.refuses = True
    proxy.cut_connections()
    assert process.wait(20) == 70
    errors = (tmp_path / "errors").read_text(encoding="utf-8")
    assert "the broker refuses to deliver wvr/v1/site1/service/small: Not authorized" in errors
    proxy.close()


def test_endless_handler_is_found_and_its_stack_dumped(
    start: Start, mosquitto: Mosquitto, watcher: MqttBus, tmp_path: Path
) -> None:
    process = start(mosquitto.port)
    watcher.publish(tick(ENDLESS))
    assert process.wait(3 * MAX_STUCK_ROUNDS * ROUND) == 70
    errors = (tmp_path / "errors").read_text(encoding="utf-8")
    assert "no progress" in errors
    assert "fake_service.py" in errors


def test_long_work_is_reported_and_is_not_deafness(start: Start, mosquitto: Mosquitto, watcher: MqttBus) -> None:
    process = start(mosquitto.port)
    watcher.publish(tick(LONG))
    received = answer(watcher, LONG)
    assert any(isinstance(message, Status) and message.code == "busy" for message in received)
    assert process.poll() is None


def test_service_that_waits_for_the_broker_survives(start: Start, mosquitto: Mosquitto, watcher: MqttBus) -> None:
    process = start(mosquitto.port)
    watcher.publish(tick(1))
    answer(watcher, 1)
    mosquitto.stop()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3 * MAX_DEAF_ROUNDS * ROUND)
    mosquitto.start()
    watcher.publish(tick(2))
    answer(watcher, 2)
    assert process.poll() is None


def test_suspended_service_survives_when_continued(start: Start, mosquitto: Mosquitto, watcher: MqttBus) -> None:
    process = start(mosquitto.port)
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3 * MAX_DEAF_ROUNDS * ROUND)
    process.send_signal(signal.SIGCONT)
    watcher.publish(tick(3))
    answer(watcher, 3)
    assert process.poll() is None


def test_service_ends_when_another_start_applies_other_settings(
    start: Start, mosquitto: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WVR_DATA", str(tmp_path))
    process = start(mosquitto.port)
    applied_file(tmp_path).parent.mkdir()
    applied_file(tmp_path).write_text("site.toml 1\n", encoding="ascii")
    assert process.wait(20) == 0


def test_network_thread_that_ends_during_a_round_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)
    closed, in_round = threading.Event(), threading.Event()
    network = threading.Thread(target=closed.wait, name="paho-mqtt-client-wvr-small", daemon=True)
    network.start()

    def connected() -> bool:
        in_round.set()
        network.join(0.5)
        return True

    watchdog = Watchdog("small", "wvr-small", lambda: None, connected, 0.01)
    watchdog.start()
    assert in_round.wait(20)
    watchdog.stop()
    closed.set()
    network.join(20)
    assert ended == []
