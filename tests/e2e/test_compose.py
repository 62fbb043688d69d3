"""The Compose stack for real, from nothing: `./wvr up` in Docker."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from shared.contract.messages import CHANNELS
from tests.e2e import promises
from tests.e2e.running import SERVICES, RunningSite, listening, watching_alert
from tests.waiting import wait_for

pytestmark = pytest.mark.docker


def inspect(site: RunningSite, service: str) -> dict[str, Any]:
    """What the engine knows of a service's container."""
    container = site.compose("ps", "--all", "--quiet", service).strip()
    found: list[dict[str, Any]] = json.loads(site.run("docker", "inspect", container).stdout)
    return found[0]


def test_every_service_is_healthy(compose_site: RunningSite) -> None:
    promises.every_service_is_healthy(compose_site)


def test_alert_is_written_each_minute_and_the_viewer_hears_why(compose_site: RunningSite) -> None:
    promises.alert_is_written_each_minute_and_the_viewer_hears_why(compose_site)


def test_the_viewer_may_say_nothing(compose_site: RunningSite) -> None:
    promises.the_viewer_may_say_nothing(compose_site)


def test_nobody_says_what_another_produces(compose_site: RunningSite) -> None:
    promises.nobody_says_what_another_produces(compose_site)


@pytest.mark.parametrize("service", ["init", "broker", *SERVICES])
def test_containers_have_no_more_rights_than_they_need(compose_site: RunningSite, service: str) -> None:
    found = inspect(compose_site, service)
    host = found["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["Privileged"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0
    assert {"max-size", "max-file"} <= set(host["LogConfig"]["Config"])
    if service == "init":
        assert set(host["CapAdd"]) == {"CHOWN", "DAC_OVERRIDE", "FOWNER"}
    else:
        assert not host["CapAdd"]
        assert int(found["Config"]["User"].split(":")[0]) > 0
        assert host["RestartPolicy"]["Name"] == "unless-stopped"
        assert "Healthcheck" in found["Config"]


def test_only_the_broker_listens_and_only_on_loopback(compose_site: RunningSite) -> None:
    ports = {service: inspect(compose_site, service)["HostConfig"]["PortBindings"] for service in ("broker", *SERVICES)}
    assert ports.pop("broker") == {"1883/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(compose_site.port)}]}
    assert not any(ports.values())


def test_a_service_sees_its_own_password_only(compose_site: RunningSite) -> None:
    look = "from os import listdir, path; print(listdir('/run/wvr'), path.exists('/data/secrets/viewer/password'))"
    assert compose_site.compose("exec", "-T", "reporter", "python", "-c", look).strip() == "['password'] False"


def test_only_the_trainer_has_tensorflow(compose_site: RunningSite) -> None:
    look = "import importlib.util; print(importlib.util.find_spec('tensorflow') is not None)"
    having = [name for name in SERVICES if "True" in compose_site.compose("exec", "-T", name, "python", "-c", look)]
    assert having == ["trainer"]


def test_a_restarted_trainer_trains_and_alert_misses_no_minute(compose_site: RunningSite) -> None:
    with listening(compose_site, "viewer") as viewer, watching_alert(compose_site) as minutes:
        compose_site.wait_for_alert_after(None)
        restarted = datetime.now().astimezone().replace(microsecond=0)
        compose_site.compose("restart", "trainer")

        def training() -> list[dict[str, Any]]:
            said = [one for one in viewer.messages("progress") if one["job"] == "training"]
            return [one for one in said if datetime.fromisoformat(one["at"]) >= restarted]

        wait_for(lambda: any(0 < one["step"] < one["of"] for one in training()), 300, "progress of a training")
        wait_for(lambda: any(0 < one["step"] == one["of"] for one in training()), 600, "the end of the training")
        assert promises.both_models_are_there(compose_site)
        last = compose_site.alert_minute()
        compose_site.wait_for_alert_after(last)
    assert all(later - earlier == timedelta(minutes=1) for earlier, later in pairwise(minutes))


def test_the_next_prediction_names_the_new_model(compose_site: RunningSite) -> None:
    wait_for(lambda: promises.both_models_are_there(compose_site), 600, "both models")
    with listening(compose_site, "ingest") as meter, listening(compose_site, "viewer") as viewer:
        wait_for(lambda: viewer.messages("prediction"), what="the newest prediction")
        newest = viewer.messages("prediction")[-1]
        at = datetime.fromisoformat(newest["issued_at"]) + timedelta(hours=1)
        reading = {"site": "test", "sensor": "001", "at": at.isoformat(), "flow_rate": 50.0, "pressure": 4.0}
        reading |= {"boot_id": "test", "seq": 1, "source": "replay"}
        assert meter.publish("wvr/v1/test/001/reading", json.dumps(reading).encode()) == "Success"
        wait_for(lambda: len(viewer.messages("prediction")) > 1, what="the prediction of the next hour")
        following = viewer.messages("prediction")[-1]
        assert all(following[channel]["model"] == promises.model_in_use(compose_site, channel) for channel in CHANNELS)
