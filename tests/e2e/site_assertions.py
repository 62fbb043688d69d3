"""What a running site must do, in Docker and as local processes."""

from __future__ import annotations

import json
import urllib.request
from datetime import timedelta
from pathlib import Path

from shared.contract.messages import CHANNELS
from tests.e2e.running_site import SERVICES, RunningSite, listening
from tests.polling import wait_for

TRAINED_FILES = ("model.tflite", "model.keras", "scaler.joblib", "manifest.json")


def service_states(status: str) -> dict[str, str]:
    """Return the state of each service in the output of `./wvr status`; lines of sensors and advice follow them."""
    lines = (line.split(maxsplit=1) for line in status.splitlines())
    return {name: state for name, state in lines if name not in ("sensor", "what")}


def assert_all_services_healthy(site: RunningSite) -> None:
    """Assert that `./wvr status` shows every service as healthy."""
    status = site.wvr("status")
    assert status.returncode == 0, status.stdout + status.stderr
    states = service_states(status.stdout)
    assert set(states.values()) <= {"healthy", "done"}
    assert {"broker", *SERVICES} <= set(states)


def assert_dashboard_shows_the_site(site: RunningSite) -> None:
    """Assert that the dashboard has a reading of this site, and every service in its health."""
    address = f"http://localhost:{site.dashboard_port}"

    def page(path: str) -> str:
        with urllib.request.urlopen(f"{address}{path}?lang=en", timeout=10) as response:
            text: str = response.read().decode()
        return text

    assert address in site.wvr("up").stdout
    wait_for(lambda: 'aria-label="001"' in page("/"), 90, "the dashboard shows a reading")
    wait_for(
        lambda: all(f">{name}" in page("/health") for name in SERVICES if name != "dashboard"), 30, "health of all"
    )


def assert_degraded(site: RunningSite, *services: str) -> None:
    """Assert that all services run, and that `./wvr status` shows a problem of these."""

    def all_run_and_these_report() -> bool:
        status = site.wvr("status")
        states = {name: state.split()[0] for name, state in service_states(status.stdout).items()}
        degraded = {name for name, state in states.items() if state == "degraded"}
        return status.returncode == 1 and {*states.values()} <= {"healthy", "degraded"} and degraded >= set(services)

    wait_for(all_run_and_these_report, 15, f"a status that shows problems of {', '.join(services)}")


def assert_alert_is_written_each_minute(site: RunningSite) -> None:
    """Assert that alert.txt follows every minute, and that the viewer receives each type of message."""
    with listening(site, "viewer") as viewer:
        first = site.wait_for_alert_after(None)
        assert site.wait_for_alert_after(first) == first + timedelta(minutes=1)
        assert {"reading", "tick", "verdict", "prediction"} <= viewer.topics()


def assert_viewer_may_publish_nothing(site: RunningSite) -> None:
    """Assert that the broker refuses all that the viewer publishes."""
    with listening(site, "viewer") as viewer:
        assert viewer.publish("wvr/v1/test/tick", b"{}") == "Not authorized"
        assert viewer.publish("wvr/v1/test/command/train", b"{}") == "Not authorized"


def assert_services_publish_only_their_own(site: RunningSite) -> None:
    """Assert that the broker refuses a service on topics that it does not produce."""
    with listening(site, "reporter") as reporter:
        assert reporter.publish("wvr/v1/test/001/reading", b"{}") == "Not authorized"
        assert reporter.publish("wvr/v1/test/service/detector", b"{}") == "Not authorized"


def assert_broker_keeps_messages_over_restart(site: RunningSite) -> None:
    """Assert that `./wvr doctor --deep` restarts the broker without loss and that all services reconnect."""
    output = site.wvr("doctor", "--deep").stdout
    assert "kept a retained message and a queued one over a restart" in output, output
    assert "8 services reconnected after the broker's restart" in output, output


def assert_ended_sensor_can_be_renamed_and_retired(site: RunningSite, folder: Path) -> None:
    """Assert that `./wvr sensors` changes a sensor that is silent, and refuses one that sends."""
    table = folder / "ended.csv"
    table.write_text("timestamp,sensor,flow_rate,pressure\n2024-05-01 00:00,900,1.5,3\n", encoding="ascii")
    imported = site.wvr("import", str(table), "--yes")
    assert imported.returncode == 0, imported.stdout + imported.stderr
    assert "still sends readings" in site.wvr("sensors", "retire", "001").stdout
    for change in (("rename", "900", "901"), ("retire", "901")):
        changed = site.wvr("sensors", *change)
        assert changed.returncode == 0, changed.stdout + changed.stderr
    lines = {line.split()[0]: line for line in site.wvr("sensors").stdout.splitlines()}
    assert lines["901"].endswith("retired")
    assert "900" not in lines
    assert "sensor 901" not in site.wvr("doctor").stdout


def has_both_models(site: RunningSite) -> bool:
    """Return whether each channel has a complete model, in use or among the versions."""
    return all(any(_is_complete(folder) for folder in _models(site, channel)) for channel in CHANNELS)


def model_in_use(site: RunningSite, channel: str) -> str:
    """Return the id of the model in use by its manifest; "profile" without one."""
    manifest = model_folder(site, channel) / "manifest.json"
    return str(json.loads(manifest.read_text(encoding="utf-8"))["id"]) if manifest.exists() else "profile"


def _models(site: RunningSite, channel: str) -> list[Path]:
    folder = model_folder(site, channel)
    return [folder, *folder.glob("versions/*")]


def _is_complete(folder: Path) -> bool:
    return all((folder / name).exists() for name in TRAINED_FILES)


def model_folder(site: RunningSite, channel: str) -> Path:
    """Return the model folder of the simulated meter."""
    return site.data / "output/Learning_lstm" / channel / "001"
