"""`./wvr doctor --deep` tells what a real broker forgets over a restart, and why."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from cli.bootstrap import CommandError
from cli.doctor_checks import broker_persistence
from cli.doctor_checks.finding import Finding
from shared.runtime.broker_probe import retained_messages
from shared.settings import Settings
from tests.conftest import Mosquitto


@pytest.fixture
def here(mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> broker_persistence.BrokerInstall:
    """The broker of the test, as a site's."""
    monkeypatch.setattr(broker_persistence, "RECEIVE_TIMEOUT_SECONDS", 0.5)

    def restart() -> None:
        mosquitto.stop()
        mosquitto.start()

    file = mosquitto.folder / broker_persistence.MEMORY
    saved_at = lambda: file.stat().st_mtime if file.exists() else None  # noqa: E731
    return broker_persistence.BrokerInstall(
        mosquitto.folder / "mosquitto.conf", str(mosquitto.folder), restart, saved_at
    )


def only(settings: Settings, here: broker_persistence.BrokerInstall) -> Finding:
    (finding,) = broker_persistence.check(settings, here)
    return finding


def test_persistent_broker_passes(settings: Settings, here: broker_persistence.BrokerInstall) -> None:
    assert only(settings, here).state == "ok"


def test_persistence_check_leaves_nothing(settings: Settings, here: broker_persistence.BrokerInstall) -> None:
    assert only(settings, here).state == "ok"
    assert (
        retained_messages(settings, f"{broker_persistence.RETAINED_TOPIC}/#", broker_persistence.RETAINED_TOPIC) == {}
    )
    assert only(settings, here).state == "ok"


def test_persistence_that_is_off(
    settings: Settings, here: broker_persistence.BrokerInstall, mosquitto: Mosquitto
) -> None:
    mosquitto.persistence = "false"
    here.restart()
    finding = only(settings, here)
    assert "retained and queued messages over a restart: persistence is off" in finding.what
    assert "broker/mosquitto.conf" in finding.advice


def test_a_folder_that_the_broker_can_not_write(
    settings: Settings, here: broker_persistence.BrokerInstall, mosquitto: Mosquitto
) -> None:
    # Mosquitto writes beside and renames; root may write everywhere, but not over a folder.
    (mosquitto.folder / f"{broker_persistence.MEMORY}.new").mkdir()
    finding = only(settings, here)
    assert f"it can't write its persistence file in {mosquitto.folder}" in finding.what
    assert "free disk space" in finding.advice


def test_lost_persistence_file_is_found(
    settings: Settings, here: broker_persistence.BrokerInstall, mosquitto: Mosquitto
) -> None:
    def restart() -> None:
        mosquitto.stop()
        (mosquitto.folder / broker_persistence.MEMORY).unlink()
        mosquitto.start()

    finding = only(settings, replace(here, restart=restart, saved_at=time.time))
    assert "although it wrote its persistence file" in finding.what


def test_a_broker_that_does_not_come_back(
    settings: Settings, here: broker_persistence.BrokerInstall, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_persistence, "RESTART_TIMEOUT_SECONDS", 0.5)
    finding = only(settings, replace(here, restart=mosquitto.stop))
    assert "failed around a restart" in finding.what
    assert "./wvr logs broker" in finding.advice


def test_a_broker_that_this_user_may_not_restart(settings: Settings, here: broker_persistence.BrokerInstall) -> None:
    def refused() -> None:
        raise CommandError("permission denied")

    assert "can't be restarted: permission denied" in only(settings, replace(here, restart=refused)).what
