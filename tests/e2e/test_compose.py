"""The complete Compose stack, started from an empty folder by `./wvr up`."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cli.audit import IMAGES
from cli.bootstrap import ROOT
from cli.init_site import USERS
from cli.mosquitto import TESTED_VERSIONS
from shared.contract.messages import CHANNELS
from tests.conftest import free_port
from tests.contract.mqtt_client import connected
from tests.e2e import site_assertions
from tests.e2e.running_site import SERVICES, RunningSite, listening, simulated, watching_alert
from tests.polling import wait_for

pytestmark = pytest.mark.docker
PROBE = """
cat /proc/1/status
for folder in / /app /app/shared /etc /usr /data/secrets /run/wvr /mosquitto /mosquitto/config /tmp; do
  touch "$folder/probe" 2>/dev/null && echo "could write $folder"
done
find / -name docker.sock -exec echo could see {} ';' 2>/dev/null
exit 0
"""


def inspect(site: RunningSite, service: str) -> dict[str, Any]:
    """Return the engine's description of a service's container."""
    container = site.compose("ps", "--all", "--quiet", service).strip()
    descriptions: list[dict[str, Any]] = json.loads(site.run("docker", "inspect", container).stdout)
    return descriptions[0]


def test_every_service_is_healthy(compose_site: RunningSite) -> None:
    site_assertions.assert_all_services_healthy(compose_site)


def test_alert_is_written_each_minute_and_the_viewer_receives_its_messages(compose_site: RunningSite) -> None:
    """Takes up to two minutes of real time: two minutes must pass."""
    site_assertions.assert_alert_is_written_each_minute(compose_site)


def test_dashboard_shows_the_site(compose_site: RunningSite) -> None:
    site_assertions.assert_dashboard_shows_the_site(compose_site)


def test_viewer_may_publish_nothing(compose_site: RunningSite) -> None:
    site_assertions.assert_viewer_may_publish_nothing(compose_site)


def test_service_cannot_publish_for_another(compose_site: RunningSite) -> None:
    site_assertions.assert_services_publish_only_their_own(compose_site)


@pytest.mark.parametrize("service", ["init", "broker", *SERVICES])
def test_containers_have_minimal_rights(compose_site: RunningSite, service: str) -> None:
    container = inspect(compose_site, service)
    host = container["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["Privileged"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0
    assert {"max-size", "max-file"} <= set(host["LogConfig"]["Config"])
    assert host["NetworkMode"] == ("none" if service == "init" else f"{compose_site.project}_default")
    assert not any(host[key] for key in ("PidMode", "UTSMode", "UsernsMode", "Devices", "DeviceRequests", "GroupAdd"))
    assert host["IpcMode"] == "private"
    if service == "init":
        assert set(host["CapAdd"]) == {"CHOWN", "DAC_OVERRIDE", "FOWNER"}
    else:
        assert not host["CapAdd"]
        assert int(container["Config"]["User"].split(":")[0]) > 0
        assert host["RestartPolicy"]["Name"] == "unless-stopped"
        assert "Healthcheck" in container["Config"]


@pytest.mark.parametrize("service", ["init", "broker", *SERVICES])
def test_containers_have_minimal_mounts(compose_site: RunningSite, service: str) -> None:
    data, shipped = str(compose_site.data), str(ROOT / "broker")
    common = {"/data": (data, True), "/app/site.toml": (str(compose_site.data.parent / "site.toml"), False)}
    own = {"/run/wvr": (f"{data}/secrets/{service}", False)}
    volume = f"{compose_site.project}_broker"
    expected = {
        "init": common | {"/app/broker": (shipped, False)},
        "broker": own | {"/mosquitto/config": (shipped, False), "/mosquitto/data": (volume, True)},
    }.get(service, common | own)
    mounts = inspect(compose_site, service)["Mounts"]
    assert {mount["Destination"]: (mount.get("Name") or mount["Source"], mount["RW"]) for mount in mounts} == expected


@pytest.mark.parametrize("service", ["broker", *SERVICES])
def test_container_cannot_write_outside_data(compose_site: RunningSite, service: str) -> None:
    output = compose_site.compose("exec", "-T", service, "sh", "-c", PROBE)
    status = dict(line.split(":", 1) for line in output.splitlines() if ":" in line)
    assert all(int(user) > 0 for user in status["Uid"].split())
    assert all(int(group) > 0 for group in status["Gid"].split())
    assert {int(status[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {0}
    assert int(status["NoNewPrivs"]) == 1
    assert [line for line in output.splitlines() if line.startswith("could")] == ["could write /tmp"]


def test_docker_shows_no_password(compose_site: RunningSite) -> None:
    with pytest.raises(PermissionError), connected(compose_site, "viewer", "wrong"):
        pass
    broker = (compose_site.data / "secrets/broker/password").read_text(encoding="ascii")
    secrets = {user: compose_site.password(user) for user in USERS} | {"broker": broker}
    containers = compose_site.compose("ps", "--all", "--quiet").split()
    images = [f"wvr-{name}" for name in IMAGES]
    shown = [
        compose_site.compose("config"),
        compose_site.compose("logs"),
        compose_site.run("docker", "inspect", *containers, *images).stdout,
        *(compose_site.run("docker", "history", "--no-trunc", image).stdout for image in images),
    ]
    assert all(len(text) > 500 for text in shown)
    assert not [user for user, secret in secrets.items() if secret in "".join(shown)]


def test_only_broker_and_dashboard_listen_and_only_on_loopback(compose_site: RunningSite) -> None:
    ports = {service: inspect(compose_site, service)["HostConfig"]["PortBindings"] for service in ("broker", *SERVICES)}
    assert ports.pop("broker") == {"1883/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(compose_site.port)}]}
    own_port = str(compose_site.dashboard_port)
    assert ports.pop("dashboard") == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": own_port}]}
    assert not any(ports.values())


@pytest.mark.parametrize("service", SERVICES)
def test_only_services_with_a_need_reach_the_network_outside(compose_site: RunningSite, service: str) -> None:
    inside, outside = f"{compose_site.project}_default", f"{compose_site.project}_outside"
    networks = inspect(compose_site, service)["NetworkSettings"]["Networks"].keys()
    assert networks == ({inside, outside} if service in ("notifier", "dashboard") else {inside})
    assert json.loads(compose_site.run("docker", "network", "inspect", inside).stdout)[0]["Internal"]


def test_service_sees_only_its_own_secrets(compose_site: RunningSite) -> None:
    script = "from os import listdir, path; print(*listdir('/run/wvr'), path.exists('/data/secrets/viewer/password'))"
    *files, sees_the_viewer = compose_site.compose("exec", "-T", "reporter", "python", "-c", script).split()
    assert set(files) == {"client_id", "password"}
    assert sees_the_viewer == "False"


def test_only_the_trainer_has_tensorflow(compose_site: RunningSite) -> None:
    script = "import importlib.util; print(importlib.util.find_spec('tensorflow') is not None)"
    services_with_tensorflow = [
        name for name in SERVICES if "True" in compose_site.compose("exec", "-T", name, "python", "-c", script)
    ]
    assert services_with_tensorflow == ["trainer"]


def test_restarted_trainer_trains_and_alert_misses_no_minute(compose_site: RunningSite) -> None:
    """Takes minutes: a real training of both channels on 60 days, beside the minute work."""
    with listening(compose_site, "viewer") as viewer, watching_alert(compose_site) as minutes:
        compose_site.wait_for_alert_after(None)
        restarted = datetime.now().astimezone().replace(microsecond=0)
        compose_site.compose("restart", "trainer")

        def training_progress() -> list[dict[str, Any]]:
            messages = [progress for progress in viewer.messages("progress") if progress["job"] == "training"]
            return [progress for progress in messages if datetime.fromisoformat(progress["at"]) >= restarted]

        wait_for(
            lambda: any(0 < progress["step"] < progress["of"] for progress in training_progress()),
            300,
            "progress of a training",
        )
        wait_for(
            lambda: any(0 < progress["step"] == progress["of"] for progress in training_progress()),
            600,
            "the end of the training",
        )
        assert site_assertions.has_both_models(compose_site)
        minute_after_training = compose_site.alert_minute()
        compose_site.wait_for_alert_after(minute_after_training)
    assert all(later - earlier == timedelta(minutes=1) for earlier, later in pairwise(minutes))


def test_ended_sensor_is_renamed_and_retired(compose_site: RunningSite, tmp_path: Path) -> None:
    site_assertions.assert_ended_sensor_can_be_renamed_and_retired(compose_site, tmp_path)


def test_broker_keeps_its_messages_over_a_restart(compose_site: RunningSite) -> None:
    before = inspect(compose_site, "broker")["State"]["StartedAt"]
    site_assertions.assert_broker_keeps_messages_over_restart(compose_site)
    assert inspect(compose_site, "broker")["State"]["StartedAt"] != before


def test_broker_is_of_a_tested_version_and_logs_in_site_time(compose_site: RunningSite) -> None:
    version = compose_site.compose("exec", "-T", "broker", "sh", "-c", "mosquitto -h || true").split()[2]
    assert version in TESTED_VERSIONS
    log = compose_site.run("docker", "logs", compose_site.compose("ps", "--quiet", "broker").strip())
    lines = (log.stdout + log.stderr).splitlines()
    # It has dropped its configuration, and with it the format, when it writes its last line.
    timed = [line for line in lines if not line.endswith("terminating")]
    assert timed
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0900: ", line) for line in timed), timed


def test_hanging_broker_is_restarted_within_a_minute(compose_site: RunningSite) -> None:
    before = inspect(compose_site, "broker")["RestartCount"]
    compose_site.compose("exec", "-T", "broker", "sh", "-c", "kill -STOP $(pidof mosquitto)")
    wait_for(lambda: inspect(compose_site, "broker")["RestartCount"] > before, 60, "a restart by the engine")
    wait_for(lambda: inspect(compose_site, "broker")["State"]["Health"]["Status"] == "healthy", 120, "a healthy broker")


def test_second_clone_runs_beside_the_first(compose_site: RunningSite, tmp_path: Path) -> None:
    """The second one starts its broker only, which is enough for ports, names and volumes."""
    clone = tmp_path / "Second Site"
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(".git", ".venv", "data", "__pycache__", "tests"))
    second = replace(RunningSite.create(tmp_path, compose_site.port, simulated(1)), root=clone, project="")
    broker = inspect(compose_site, "broker")["State"]["StartedAt"]
    refused = second.wvr("up")
    assert f"port {second.port} of 127.0.0.1 is in use" in refused.stderr
    assert f"WVR_BROKER__PORT={second.port + 1}" in refused.stderr
    second = replace(second, port=free_port())
    try:
        second.compose("up", "--detach", "--build", "--wait", "broker")
        assert second.listens()
        volumes = {mount.get("Name") for mount in inspect(second, "broker")["Mounts"]}
        assert "secondsite_broker" in volumes
        assert second.wvr("status").stdout.startswith("broker      healthy")
        assert inspect(compose_site, "broker")["State"]["StartedAt"] == broker
        site_assertions.assert_all_services_healthy(compose_site)
    finally:
        second.compose("down", "--volumes", "--timeout", "5")


def test_changed_site_file_takes_effect_with_docker_compose_alone(compose_site: RunningSite) -> None:
    """The file is replaced, as most editors do: a running container keeps the old one mounted."""
    site_file = compose_site.data.parent / "site.toml"
    new_file = site_file.with_name("new.toml")
    new_text = f"{site_file.read_text(encoding='ascii')}[detection]\nstuck_minutes = 200\n"
    new_file.write_text(new_text, encoding="ascii")
    new_file.replace(site_file)
    compose_site.compose("up", "--detach", "--build")

    def all_see_the_new_file() -> bool:
        command = ("docker", "compose", "--project-directory", str(ROOT), "exec", "-T")
        return all(compose_site.run(*command, name, "cat", "/app/site.toml").stdout == new_text for name in SERVICES)

    wait_for(all_see_the_new_file, 90, "all services have the new site.toml")
    wait_for(lambda: compose_site.wvr("status").returncode == 0, 120, "all is healthy again")


def test_running_site_is_restored(compose_site: RunningSite) -> None:
    backup_run = compose_site.wvr("backup")
    assert backup_run.returncode == 0, backup_run.stdout + backup_run.stderr
    backup = max((compose_site.data / "backup").glob("wvr-*.db"))
    restored = compose_site.wvr("restore", backup.name)
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert "ingest continues" in restored.stdout
    site_assertions.assert_all_services_healthy(compose_site)
    compose_site.wait_for_alert_after(compose_site.alert_minute())


def test_next_prediction_names_the_new_model(compose_site: RunningSite) -> None:
    """Runs last, because its invented reading moves alert.txt an hour ahead."""
    wait_for(lambda: site_assertions.has_both_models(compose_site), 600, "both models")
    with listening(compose_site, "ingest") as meter, listening(compose_site, "viewer") as viewer:
        wait_for(lambda: viewer.messages("prediction"), what="the newest prediction")
        newest = viewer.messages("prediction")[-1]
        at = datetime.fromisoformat(newest["issued_at"]) + timedelta(hours=1)
        reading = {"site": "test", "sensor": "001", "at": at.isoformat(), "flow_rate": 50.0, "pressure": 4.0}
        reading |= {"boot_id": "test", "seq": 1, "source": "replay"}
        assert meter.publish("wvr/v1/test/001/reading", json.dumps(reading).encode()) == "Success"
        wait_for(lambda: len(viewer.messages("prediction")) > 1, what="the prediction of the next hour")
        following = viewer.messages("prediction")[-1]
        assert all(
            following[channel]["model"] == site_assertions.model_in_use(compose_site, channel) for channel in CHANNELS
        )
