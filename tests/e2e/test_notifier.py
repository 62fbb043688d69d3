"""The notifier as a process, with a real Mosquitto and a real HTTP server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from shared.contract.messages import Anomaly, SensorRetired
from tests.conftest import Mosquitto
from tests.e2e.http_receiver import HttpReceiver
from tests.e2e.notifier_process import NotifierProcess
from tests.polling import wait_for
from tests.unit.factories import KST
from tests.unit.services.notifier.notifier_site import anomaly, judged

SECRET = "Hook5ecretToken"
SITE = """
[notify.ops]
kind = "webhook"
daily = ""
headers = { Authorization = "Bearer {secret:ops_token}" }
[notify.boss]
kind = "webhook"
from = "critical"
daily = ""
"""


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    server = HttpReceiver()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def notifier(tmp_path: Path, mosquitto: Mosquitto, receiver: HttpReceiver) -> Iterator[NotifierProcess]:
    """A running notifier with two contacts at the same server."""
    process = NotifierProcess(tmp_path, mosquitto, SITE)
    for name in ("ops", "boss"):
        url = f"http://127.0.0.1:{receiver.port}/{name}/{SECRET}"
        (tmp_path / "secrets" / name).write_text(url, encoding="ascii")
    (tmp_path / "secrets/ops_token").write_text(SECRET + "2", encoding="ascii")
    process.start()
    yield process
    process.stop()


def opened(id_: str, severity: str = "warning") -> Anomaly:
    return anomaly(id_, datetime.now(KST).replace(second=0, microsecond=0), severity)


def test_opening_arrives_and_is_not_repeated(notifier: NotifierProcess, receiver: HttpReceiver) -> None:
    first = opened("first")
    notifier.publish(first)
    wait_for(lambda: receiver.requests, what="the opening")
    (key, body), *_ = receiver.requests
    assert (body["title"], body["key"], body["contact"]) == ("[주의] site1 001 파열 의심", key, "ops")
    (sent,) = wait_for(lambda: notifier.notifications("sent"), what="a Notification")
    assert (sent["key"], sent["channel"], sent["attempts"]) == (key, "ops", 1)
    notifier.kill()
    notifier.start()  # the broker delivers the retained anomaly again
    notifier.publish(replace(first, state="updated", at=first.at + timedelta(hours=1)))
    notifier.publish(opened("second"))
    wait_for(lambda: len(receiver.requests) > 1, what="the second opening")
    assert [body["sensor"] for _, body in receiver.requests] == ["001", "001"]
    assert "2건" not in receiver.requests[1][1]["title"]


def test_server_down_then_up(notifier: NotifierProcess, receiver: HttpReceiver) -> None:
    receiver.stop()
    notifier.publish(opened("first"))
    (waiting, *_) = wait_for(lambda: notifier.notifications("waiting"), what="a failed attempt")
    assert "Connection refused" in waiting["reason"]["en"]
    wait_for(lambda: notifier.statuses()[-1]["code"] == "notification_failing", what="the status")
    receiver.start()
    wait_for(lambda: notifier.notifications("sent"), what="the retry")
    assert receiver.keys() == [waiting["key"]]
    wait_for(lambda: notifier.statuses()[-1]["code"] == "ok", what="the status")


@pytest.mark.parametrize("is_accepted", [False, True], ids=["server down", "killed before the answer"])
def test_killed_between_accept_and_send(notifier: NotifierProcess, receiver: HttpReceiver, is_accepted: bool) -> None:
    if is_accepted:
        receiver.may_answer.clear()
    else:
        receiver.stop()
    notifier.publish(opened("first"))
    if is_accepted:
        wait_for(lambda: receiver.requests, what="the request")
    else:
        wait_for(lambda: notifier.notifications("waiting"), what="a failed attempt")
    notifier.kill()
    if is_accepted:
        receiver.may_answer.set()
    else:
        receiver.start()
    before = receiver.keys()
    notifier.start()
    wait_for(lambda: notifier.notifications("sent"), what="the message after the restart")
    assert len(receiver.keys()) == len(before) + 1
    assert len(set(receiver.keys())) == 1
    folder = notifier.folder / "data/notifier"
    assert [path.stem for path in (folder / "sent").iterdir()] == receiver.keys()[-1:]
    assert list((folder / "waiting").iterdir()) == []


def test_hanging_endpoint_delays_nobody_else(notifier: NotifierProcess, receiver: HttpReceiver) -> None:
    healthy = HttpReceiver()
    healthy.start()
    (notifier.folder / "secrets/boss").write_text(f"http://127.0.0.1:{healthy.port}/", encoding="ascii")
    receiver.may_answer.clear()
    notifier.publish(opened("first"))
    wait_for(lambda: receiver.requests, what="the hanging request")
    notifier.publish(opened("second", "critical"))
    wait_for(lambda: healthy.requests, seconds=10, what="the other contact's message")
    assert [body["contact"] for _, body in healthy.requests] == ["boss"]
    healthy.stop()


def test_no_secret_leaves_the_process(notifier: NotifierProcess, receiver: HttpReceiver) -> None:
    receiver.stop()
    notifier.publish(opened("first"))
    wait_for(lambda: notifier.notifications("waiting"), what="a failed attempt")
    (notifier.folder / "secrets/ops").write_text(f"{SECRET} is no URL", encoding="ascii")
    wait_for(lambda: "http" in str(notifier.statuses()[-1]["note"]), what="the reason of a wrong URL")
    notifier.stop()
    published = b"".join(text for _, text in notifier.received)
    stored = b"".join(path.read_bytes() for path in (notifier.folder / "data").rglob("*") if path.is_file())
    assert SECRET.encode() not in notifier.log.read_bytes() + published + stored


def test_descriptions_for_home_assistant(tmp_path: Path, mosquitto: Mosquitto) -> None:
    def described() -> dict[str, bytes]:
        return {topic: text for topic, text in process.received if topic.startswith("homeassistant/") and text}

    def removed() -> list[str]:
        return [topic for topic, text in process.received if topic.startswith("homeassistant/") and not text]

    process = NotifierProcess(tmp_path, mosquitto, "[home_assistant]\nenabled = true\n")
    try:
        process.start()
        now = datetime.now(KST)
        process.publish(judged("001", now))
        process.publish(judged("002", now))
        wait_for(lambda: len(described()) == 2, what="two descriptions")
        process.publish(SensorRetired("site1", "002", now))
        wait_for(lambda: removed() == ["homeassistant/device/wvr_site1_002/config"], what="the retired sensor")
        process.kill()
        (tmp_path / "site.toml").write_text("", encoding="ascii")
        process.start()
        wait_for(lambda: "homeassistant/device/wvr_site1_001/config" in removed(), what="the other sensor")
    finally:
        process.stop()


def test_messages_are_sent_while_the_broker_is_away(
    notifier: NotifierProcess, receiver: HttpReceiver, mosquitto: Mosquitto
) -> None:
    receiver.stop()
    notifier.publish(opened("first"))
    wait_for(lambda: notifier.notifications("waiting"), what="a failed attempt")
    mosquitto.stop()
    receiver.start()
    wait_for(lambda: receiver.requests, what="the message without a broker")
    mosquitto.start()
    folder = notifier.folder / "data/notifier/sent"
    wait_for(lambda: [path.stem for path in folder.iterdir()] == receiver.keys(), what="the recorded message")
