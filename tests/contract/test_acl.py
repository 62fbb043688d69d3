"""The broker's access list says what the services declare, and a real Mosquitto keeps to it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.contract import contents
from cli.local_files import broker_folder, mosquitto_conf
from cli.packages import ROOT, program
from cli.setup_site import USERS, set_up, set_up_broker
from shared.runtime.probe import kept, visit
from shared.settings import Broker, Settings
from tests.conftest import free_port
from tests.e2e.running import RunningSite, listening
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """A broker with the real users, passwords and access list, and no services."""
    data = tmp_path_factory.mktemp("guarded")
    settings = Settings(data=data, broker=Broker(port=free_port()))
    set_up(data)
    set_up_broker(data, broker_folder(data))
    conf = data / "mosquitto.conf"
    conf.write_text(mosquitto_conf(settings, "127.0.0.1"), encoding="utf-8")
    broker = subprocess.Popen([program("mosquitto", "mosquitto"), "-c", conf])
    site = RunningSite(data, settings.broker.port, "")
    wait_for(site.listens, what="mosquitto listens")
    yield site
    broker.terminate()
    broker.wait(10)


@pytest.mark.parametrize("path", ["broker/acl", "docs/asyncapi.json"])
def test_generated_files_are_what_the_code_declares(path: str) -> None:
    assert Path(ROOT / path).read_text(encoding="utf-8") == contents()[path], "write it again with ./wvr contract"


@pytest.mark.parametrize("user", USERS)
def test_every_user_logs_in_with_the_generated_password(guarded: RunningSite, user: str) -> None:
    with listening(guarded, user):
        pass


def test_a_wrong_password_is_refused(guarded: RunningSite) -> None:
    command = [
        str(program("mosquitto_sub", "mosquitto-clients")),
        "-p",
        str(guarded.port),
        "-t",
        "#",
        "-C",
        "1",
        "-W",
        "5",
    ]
    refused = subprocess.run([*command, "-u", "viewer", "-P", "wrong"], capture_output=True, text=True, check=False)
    assert "ot authori" in refused.stderr
    nobody = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "ot authori" in nobody.stderr


@pytest.mark.parametrize(
    ("user", "topic", "answer"),
    [
        ("ingest", "wvr/v1/any/001/reading", "Success"),
        ("ingest", "wvr/v1/any/001/verdict", "Not authorized"),
        ("detector", "wvr/v1/any/001/anomaly/7", "Success"),
        ("detector", "wvr/v1/any/001/reading", "Not authorized"),
        ("detector", "wvr/v1/any/service/detector", "Success"),
        ("detector", "wvr/v1/any/service/ingest", "Not authorized"),
        ("operator", "wvr/v1/any/command/train", "Success"),
        ("operator", "wvr/v1/any/001/reading", "Not authorized"),
        ("operator", "wvr/v1/any/stored", "Not authorized"),
        ("operator", "$SYS/broker/version", "Not authorized"),
        ("viewer", "health/doctor/queued", "Not authorized"),
        ("trainer", "wvr/v1/any/command/train", "Not authorized"),
        ("trainer", "wvr/v1/any/response/train", "Success"),
        ("reporter", "wvr/v1/any/response/train", "Not authorized"),
        ("viewer", "wvr/v1/any/001/reading", "Not authorized"),
        ("viewer", "elsewhere", "Not authorized"),
    ],
)
def test_each_may_say_only_what_it_produces(guarded: RunningSite, user: str, topic: str, answer: str) -> None:
    with listening(guarded, user) as someone:
        assert someone.publish(topic, b"{}") == answer


def test_the_operator_talks_to_itself_and_sees_the_brokers_own_figures(guarded: RunningSite) -> None:
    settings = Settings(data=guarded.data, broker=Broker(port=guarded.port))
    with visit(settings) as operator:
        operator.listen("health/doctor/any")
        operator.say("health/doctor/any", b"heard")
        assert operator.hears(("health/doctor/any", b"heard"))
    assert kept(settings, "$SYS/broker/version")["$SYS/broker/version"].startswith(b"mosquitto version")


def test_each_hears_only_what_it_consumes(guarded: RunningSite) -> None:
    with listening(guarded, "viewer") as viewer, listening(guarded, "reporter") as reporter:
        with listening(guarded, "ingest") as ingest:
            ingest.publish("wvr/v1/any/001/reading", b"{}")
            ingest.publish("wvr/v1/any/tick", b"{}")
        wait_for(lambda: {"reading", "tick"} <= viewer.topics(), what="the viewer hears both")
        wait_for(lambda: "tick" in reporter.topics(), what="the reporter hears the tick")
        assert "reading" not in reporter.topics()
