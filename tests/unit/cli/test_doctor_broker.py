"""`./wvr doctor` says what the broker, the services and the queues are like."""

from __future__ import annotations

import socket
import sqlite3
from dataclasses import replace

import pytest

from cli.doctor_checks import backlog, services
from shared.contract.messages import Status, Stored
from shared.contract.status_codes import problem
from shared.contract.texts import technical
from shared.runtime import broker_probe
from shared.settings import Broker, Settings
from shared.version import VERSION
from tests.unit.cli.findings import notes, wrongs
from tests.unit.factories import minute_at

NOW = minute_at(30)


def test_what_a_status_means() -> None:
    well = Status(
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
    assert not wrongs(services.check_service("detector", well, NOW))
    assert "never published a status" in wrongs(services.check_service("detector", None, NOW))
    assert "is offline since" in wrongs(services.check_service("detector", replace(well, state="offline"), NOW))
    assert "the disk is full" in wrongs(
        services.check_service("detector", replace(well, code="database_full", note=technical("the disk is full")), NOW)
    )
    assert "no status for 30 minutes" in wrongs(services.check_service("detector", replace(well, at=minute_at(0)), NOW))


def test_a_broker_that_is_not_there(site: Settings) -> None:
    unused = site.model_copy(update={"broker": site.broker.model_copy(update={"port": 1})})
    assert "no connection to the broker" in wrongs(services.check(unused, NOW))


def test_a_broker_that_answers(settings: Settings) -> None:
    found = list(services.check(settings, NOW))
    assert found[0].what.endswith("accepts the operator")
    assert "ingest has never published a status" in wrongs(found)


def test_a_broker_that_hangs(site: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_probe, "ANSWER_TIMEOUT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        hung = site.model_copy(update={"broker": Broker(port=deaf.getsockname()[1])})
        assert "does not answer within" in wrongs(services.check(hung, NOW))


def test_an_operator_whose_password_is_missing(settings: Settings) -> None:
    assert settings.secrets
    (settings.secrets / "password").unlink()
    assert "password of 'operator' is missing" in wrongs(services.check(settings, NOW))


def test_a_service_of_another_version() -> None:
    old = Status(
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
    assert "detector is version 0.0.1" in wrongs(services.check_service("detector", old, NOW))
    slow = replace(old, version=VERSION, lag=5000)
    assert "5000 messages waiting" in notes(services.check_service("detector", slow, NOW))


def test_service_that_waits_for_a_migration_is_only_noted() -> None:
    """The first seconds of an update, until db_writer has made them."""
    waits = Status(
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
    assert "older WVR" in notes(services.check_service("reporter", waits, NOW))
    assert not wrongs(services.check_service("reporter", waits, NOW))


def test_services_that_do_not_come_back(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "RETURN_TIMEOUT_SECONDS", 0.1)
    assert "ingest did not reconnect" in wrongs(services.wait_for_return(settings, NOW, ["ingest"]))


def test_readings_that_wait_in_the_spool(site: Settings) -> None:
    assert "spool is empty" in notes(backlog.check_spool(site, running=False))
    lines = "".join(f"{seq},001,,,,file,0\n" for seq in range(3000, 3005))
    (site.data / "spool/abcabcabcabc-000000003000.log").write_text(f"{lines}=\n3005,001", encoding="ascii")
    assert "3005 readings of ingest's spool are not stored" in notes(backlog.check_spool(site, running=True))
    assert "3005 readings" in notes(backlog.check_spool(site, running=False))
    with sqlite3.connect(site.database) as source:
        source.execute("INSERT INTO STORED_TB (site, boot_id, seq, at) VALUES ('site1', 'abcabcabcabc', 3003, 0)")
    assert [one.what[:22] for one in backlog.check_spool(site, running=True)] == ["1 readings are on thei"]
    with sqlite3.connect(site.database) as source:
        source.execute("UPDATE STORED_TB SET seq = 3004")
    assert [one.state for one in backlog.check_spool(site, running=False)] == ["ok"]


def test_readings_that_are_missing_on_their_way() -> None:
    stored = Stored(site="site1", boot_id="abc", seq=10, at=minute_at(10), judged=10, waiting=0, seen=17)
    assert "7 readings are missing" in notes(backlog.check_store(stored))
    assert not notes(backlog.check_store(replace(stored, seen=10)))
    assert "has not reported" in notes(backlog.check_store(None))


def test_messages_that_the_broker_holds_or_dropped() -> None:
    statistics = {backlog.QUEUE: b"2020", backlog.RETAINED: b"20", backlog.DROPPED: b"3"}
    assert notes(backlog.check_broker(statistics)).splitlines() == [
        "the broker queues 2000 messages",
        "the broker has dropped 3 messages since its start",
    ]
    assert not notes(backlog.check_broker({backlog.QUEUE: b"30", backlog.RETAINED: b"20"}))
    assert [one.what for one in backlog.check_broker({})] == ["the broker's queues do not grow"]
