"""What a running site promises, wherever it runs."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from shared.contract.messages import CHANNELS
from tests.e2e.running_site import RunningSite, listening

LEARNED = ("model.tflite", "model.keras", "scaler.joblib", "manifest.json")


def assert_all_services_healthy(site: RunningSite) -> None:
    """`./wvr status` says so of all."""
    status = site.wvr("status")
    assert status.returncode == 0, status.stdout + status.stderr
    states = dict(line.split(maxsplit=1) for line in status.stdout.splitlines())
    assert set(states.values()) <= {"healthy", "done"}
    assert {"broker", "ingest", "detector", "forecaster", "trainer", "db_writer", "reporter"} <= set(states)


def assert_alert_is_written_each_minute(site: RunningSite) -> None:
    """alert.txt within 90 s and anew for the very next minute; readings, verdicts and predictions on the broker."""
    with listening(site, "viewer") as viewer:
        first = site.wait_for_alert_after(None)
        assert site.wait_for_alert_after(first) == first + timedelta(minutes=1)
        assert {"reading", "tick", "verdict", "prediction"} <= viewer.topics()


def assert_viewer_may_publish_nothing(site: RunningSite) -> None:
    """Whatever the viewer publishes is refused."""
    with listening(site, "viewer") as viewer:
        assert viewer.publish("wvr/v1/test/tick", b"{}") == "Not authorized"
        assert viewer.publish("wvr/v1/test/command/train", b"{}") == "Not authorized"


def assert_services_publish_only_their_own(site: RunningSite) -> None:
    """A service's user is refused on topics that it doesn't produce."""
    with listening(site, "reporter") as reporter:
        assert reporter.publish("wvr/v1/test/001/reading", b"{}") == "Not authorized"
        assert reporter.publish("wvr/v1/test/service/detector", b"{}") == "Not authorized"


def assert_broker_keeps_messages_over_restart(site: RunningSite) -> None:
    """`./wvr doctor --deep` restarts the broker, finds what it must have kept, and every service comes back."""
    output = site.wvr("doctor", "--deep").stdout
    assert "kept a retained message and a queued one over a restart" in output, output
    assert "6 services reconnected after the broker's restart" in output, output


def has_both_models(site: RunningSite) -> bool:
    """Whether each channel has a complete model; one that is not better than the profile stays among the versions."""
    return all(any(_is_complete(folder) for folder in _models(site, channel)) for channel in CHANNELS)


def model_in_use(site: RunningSite, channel: str) -> str:
    """Id of the model that serves, by its manifest; the profile where none was better."""
    manifest = model_folder(site, channel) / "manifest.json"
    return str(json.loads(manifest.read_text(encoding="utf-8"))["id"]) if manifest.exists() else "profile"


def _models(site: RunningSite, channel: str) -> list[Path]:
    folder = model_folder(site, channel)
    return [folder, *folder.glob("versions/*")]


def _is_complete(folder: Path) -> bool:
    return all((folder / name).exists() for name in LEARNED)


def model_folder(site: RunningSite, channel: str) -> Path:
    """Where the model of the simulated meter is."""
    return site.data / "output/Learning_lstm" / channel / "001"
