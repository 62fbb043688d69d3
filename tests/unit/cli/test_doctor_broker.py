"""`./wvr doctor` checks the broker, the services and the queues."""

from __future__ import annotations

import socket
import sqlite3
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from cli.doctor_checks import backlog, services
from services.ingest.spool_segment import encode_line
from shared.contract.messages import Status, Stored
from shared.contract.status_codes import problem
from shared.contract.texts import technical
from shared.contract.topics import topic_filter
from shared.runtime import broker_probe
from shared.runtime.broker_probe import retained_with_will_ages
from shared.runtime.mqtt_bus import MqttBus
from shared.settings import Settings
from shared.settings.sections import Broker
from shared.version import VERSION
from tests.polling import wait_for
from tests.unit.cli.findings import notes, problems
from tests.unit.factories import minute_at, reading
from tests.unit.shared.runtime.test_buses import FakeListener

NOW = minute_at(30)


def test_status_problems_are_reported() -> None:
    healthy = Status(
        site="site1",
        name="detector",
        state="online",
        version=VERSION,
        since=minute_at(0),
        at=minute_at(30),
        memory_mb=80.0,
        lag=0,
        code="ok",
        note=technical(""),
    )
    assert not problems(services.check_service("detector", healthy, NOW))
    assert "never published a status" in problems(services.check_service("detector", None, NOW))
    assert "is offline since" in problems(services.check_service("detector", replace(healthy, state="offline"), NOW))
    assert "the disk is full" in problems(
        services.check_service(
            "detector", replace(healthy, code="database_full", note=technical("the disk is full")), NOW
        )
    )
    assert "no status for 30 minutes" in problems(
        services.check_service("detector", replace(healthy, at=minute_at(0)), NOW)
    )


def test_offline_since_is_when_the_service_went_offline(settings: Settings) -> None:
    """The broker publishes the last will that the service wrote when it connected."""
    bus = MqttBus("detector", settings)
    bus.open(FakeListener())
    since = bus._status_factory.since
    wait_for(lambda: datetime.now(settings.zone) > since + timedelta(seconds=3), what="an older will")
    bus._watchdog.stop()
    bus._client.loop_stop()
    bus._client._sock_close()
    closed = datetime.now(settings.zone)

    def offline() -> Status | None:
        retained, will_ages = retained_with_will_ages(settings, topic_filter(Status, "site1"))
        status = services.dated_statuses(retained, will_ages, datetime.now(settings.zone)).get("detector")
        return status if status and status.state == "offline" else None

    wait_for(lambda: datetime.now(settings.zone) > closed + timedelta(seconds=2), what="a look some time later")
    status = wait_for(offline, what="the last will")
    assert status
    assert abs(status.at - closed) < timedelta(seconds=1.5)


def test_unreachable_broker_is_reported(site: Settings) -> None:
    settings = site.model_copy(update={"broker": site.broker.model_copy(update={"port": 1})})
    assert "no connection to the broker" in problems(services.check(settings, NOW))


def test_missing_statuses_on_a_reachable_broker_are_reported(settings: Settings) -> None:
    findings = list(services.check(settings, NOW))
    assert findings[0].what.endswith("accepts the operator")
    assert "ingest has never published a status" in problems(findings)


def test_unresponsive_broker_is_reported(site: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_probe, "ANSWER_TIMEOUT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings = site.model_copy(update={"broker": Broker(port=server.getsockname()[1])})
        assert "does not answer within" in problems(services.check(settings, NOW))


def test_missing_operator_password_is_reported(settings: Settings) -> None:
    assert settings.secrets
    (settings.secrets / "password").unlink()
    assert "password of 'operator' is missing" in problems(services.check(settings, NOW))


def test_service_of_another_version_and_waiting_messages_are_reported() -> None:
    old_version = Status(
        site="site1",
        name="detector",
        state="online",
        version="0.0.1",
        since=minute_at(0),
        at=minute_at(30),
        memory_mb=80.0,
        lag=0,
        code="ok",
        note=technical(""),
    )
    assert "detector is version 0.0.1" in problems(services.check_service("detector", old_version, NOW))
    delayed = replace(old_version, version=VERSION, lag=5000)
    assert "5000 messages waiting" in notes(services.check_service("detector", delayed, NOW))


def test_service_that_waits_for_a_migration_is_only_a_note() -> None:
    """An update starts like this, until db_writer has migrated the database."""
    waiting = Status(
        site="site1",
        name="reporter",
        state="online",
        version=VERSION,
        since=minute_at(0),
        at=minute_at(30),
        memory_mb=80.0,
        lag=0,
        code="schema_older",
        note=problem("schema_older").text,
    )
    assert "older WVR" in notes(services.check_service("reporter", waiting, NOW))
    assert not problems(services.check_service("reporter", waiting, NOW))


def test_service_that_does_not_reconnect_is_reported(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "RETURN_TIMEOUT_SECONDS", 0.1)
    assert "ingest did not reconnect" in problems(services.wait_for_return(settings, NOW, ["ingest"]))


def test_unstored_readings_in_the_spool_are_reported(site: Settings) -> None:
    assert "spool is empty" in notes(backlog.check_spool(site, running=False))
    lines = b"".join(encode_line(replace(reading(0), seq=seq)) for seq in range(3000, 3005))
    (site.data / "spool/abcabcabcabc-000000003000.log").write_bytes(lines + b"=\n3005,001")
    assert "3005 readings of ingest's spool are not stored" in notes(backlog.check_spool(site, running=True))
    assert "3005 readings" in notes(backlog.check_spool(site, running=False))
    with sqlite3.connect(site.database) as source:
        source.execute("INSERT INTO STORED_TB (site, boot_id, seq, at) VALUES ('site1', 'abcabcabcabc', 3003, 0)")
    assert [finding.what[:22] for finding in backlog.check_spool(site, running=True)] == ["1 readings are on thei"]
    with sqlite3.connect(site.database) as source:
        source.execute("UPDATE STORED_TB SET seq = 3004")
    assert [finding.state for finding in backlog.check_spool(site, running=False)] == ["ok"]


def test_readings_missing_in_transit_are_noted() -> None:
    stored = Stored(site="site1", boot_id="abc", seq=10, at=minute_at(10), judged=10, waiting=0, seen=17)
    assert "7 readings are missing" in notes(backlog.check_store(stored))
    assert not notes(backlog.check_store(replace(stored, seen=10)))
    assert "has not reported" in notes(backlog.check_store(None))


def test_queued_and_dropped_messages_are_noted() -> None:
    statistics = {backlog.QUEUE: b"2020", backlog.RETAINED: b"20", backlog.DROPPED: b"3"}
    assert notes(backlog.check_broker(statistics)).splitlines() == [
        "the broker queues 2000 messages",
        "the broker has dropped 3 messages since its start",
    ]
    assert not notes(backlog.check_broker({backlog.QUEUE: b"30", backlog.RETAINED: b"20"}))
    assert [finding.what for finding in backlog.check_broker({})] == ["the broker's queues do not grow"]
