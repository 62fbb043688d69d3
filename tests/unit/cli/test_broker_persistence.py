"""`./wvr doctor --deep` reports what a real broker loses over a restart, and why."""

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
def broker_install(mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> broker_persistence.BrokerInstall:
    """The test's broker as the broker of a site."""
    monkeypatch.setattr(broker_persistence, "RECEIVE_TIMEOUT_SECONDS", 0.5)

    def restart() -> None:
        mosquitto.stop()
        mosquitto.start()

    file = mosquitto.folder / broker_persistence.MEMORY
    saved_at = lambda: file.stat().st_mtime if file.exists() else None  # noqa: E731
    return broker_persistence.BrokerInstall(
        mosquitto.folder / "mosquitto.conf", str(mosquitto.folder), restart, saved_at
    )


def single_finding(settings: Settings, broker_install: broker_persistence.BrokerInstall) -> Finding:
    (finding,) = broker_persistence.check(settings, broker_install)
    return finding


def test_persistent_broker_passes(settings: Settings, broker_install: broker_persistence.BrokerInstall) -> None:
    assert single_finding(settings, broker_install).state == "ok"


def test_persistence_check_leaves_no_message(
    settings: Settings, broker_install: broker_persistence.BrokerInstall
) -> None:
    assert single_finding(settings, broker_install).state == "ok"
    assert (
        retained_messages(settings, f"{broker_persistence.RETAINED_TOPIC}/#", broker_persistence.RETAINED_TOPIC) == {}
    )
    assert single_finding(settings, broker_install).state == "ok"


def test_disabled_persistence_is_reported(
    settings: Settings, broker_install: broker_persistence.BrokerInstall, mosquitto: Mosquitto
) -> None:
    mosquitto.persistence = "false"
    broker_install.restart()
    finding = single_finding(settings, broker_install)
    assert "retained and queued messages over a restart: persistence is off" in finding.what
    assert "broker/mosquitto.conf" in finding.advice


def test_unwritable_persistence_folder_is_reported(
    settings: Settings, broker_install: broker_persistence.BrokerInstall, mosquitto: Mosquitto
) -> None:
    # Mosquitto writes a .new file and renames it. Root may write anywhere, but a folder of that name blocks it.
    (mosquitto.folder / f"{broker_persistence.MEMORY}.new").mkdir()
    finding = single_finding(settings, broker_install)
    assert f"it can't write its persistence file in {mosquitto.folder}" in finding.what
    assert "free disk space" in finding.advice


def test_lost_persistence_file_is_reported(
    settings: Settings, broker_install: broker_persistence.BrokerInstall, mosquitto: Mosquitto
) -> None:
    def restart() -> None:
        mosquitto.stop()
        (mosquitto.folder / broker_persistence.MEMORY).unlink()
        mosquitto.start()

    finding = single_finding(settings, replace(broker_install, restart=restart, saved_at=time.time))
    assert "although it wrote its persistence file" in finding.what


def test_failed_restart_is_reported(
    settings: Settings,
    broker_install: broker_persistence.BrokerInstall,
    mosquitto: Mosquitto,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(broker_persistence, "RESTART_TIMEOUT_SECONDS", 0.5)
    finding = single_finding(settings, replace(broker_install, restart=mosquitto.stop))
    assert "failed around a restart" in finding.what
    assert "./wvr logs broker" in finding.advice


def test_missing_restart_permission_is_reported(
    settings: Settings, broker_install: broker_persistence.BrokerInstall
) -> None:
    def refuse_restart() -> None:
        raise CommandError("permission denied")

    assert (
        "can't be restarted: permission denied"
        in single_finding(settings, replace(broker_install, restart=refuse_restart)).what
    )
