"""The real MQTT integration of Home Assistant makes the expected entities of the descriptions; with --full only."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cli.bootstrap import ROOT
from services.notifier.home_assistant import CHECKS, device_id, device_payload, device_topic
from shared.contract.codec import encode
from shared.contract.messages import Anomaly, Check, FlowChecks, Message, NightResult, PressureChecks, Status
from shared.contract.status_codes import NO_TEXT
from shared.contract.topics import topic_of
from tests.unit.factories import START, minute_at, verdict
from tests.unit.services.notifier.notifier_site import anomaly, cleared

pytestmark = [pytest.mark.full, pytest.mark.timeout(1800)]
HOME_ASSISTANT = "2025.4.4"
REQUIREMENTS = ROOT / "tests/e2e/home_assistant/requirements.txt"
"""This Home Assistant with pytest-homeassistant-custom-component, all pinned, for Python 3.13."""
CHECK = ROOT / "tests/e2e/home_assistant/check_entities.py"
DEVICE = device_id("site1", "001")


@cache
def python_313() -> Path | None:
    """Return an installed Python 3.13, also one of pyenv."""
    paths = sorted(Path.home().glob(".pyenv/versions/3.13*/bin/python3.13"))
    names = [shutil.which("python3.13"), *map(str, paths)]
    for name in filter(None, names):
        if subprocess.run([name, "--version"], capture_output=True, check=False).returncode == 0:
            return Path(name)
    return None


@pytest.fixture(scope="module")
def home_assistant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with Home Assistant."""
    python = python_313()
    if python is None:
        pytest.skip(f"Home Assistant {HOME_ASSISTANT} needs Python 3.13, and none is installed")
    folder = tmp_path_factory.mktemp("home_assistant")
    subprocess.run([str(python), "-m", "venv", str(folder)], check=True)
    environment = folder / "bin/python"
    # Without --no-deps, pip tries hundreds of versions of packages that others leave open.
    install = [str(environment), "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(REQUIREMENTS)]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"pip can't install Home Assistant {HOME_ASSISTANT}: {done.stderr.strip().splitlines()[-1:]}")
    return environment


def run_steps(python: Path, folder: Path, steps: list[list[tuple[str, str]]]) -> list[dict[str, Any]]:
    """Return what Home Assistant shows after each step of messages."""
    (folder / "steps.json").write_text(json.dumps(steps), encoding="utf-8")
    variables = {"WVR_STEPS": str(folder / "steps.json"), "WVR_RESULT": str(folder / "result.json")}
    shutil.copy(CHECK, folder / "test_entities.py")  # away from the conftest of this repository
    options = ("-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", f"--rootdir={folder}")
    command = [str(python), "-m", "pytest", *options, "test_entities.py"]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | variables, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    content = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert content["version"] == HOME_ASSISTANT
    results: list[dict[str, Any]] = content["results"]
    return results


def packet(message: Message) -> tuple[str, str]:
    return topic_of(message), encode(message).decode()


def status(name: str, state: str = "online") -> Status:
    return Status(
        site="site1",
        name=name,
        state=state,  # type: ignore[arg-type]
        version="1",
        since=START,
        at=START,
        memory_mb=1.0,
        lag=0,
        code="ok",
        note=NO_TEXT,
    )


def night_result() -> NightResult:
    return NightResult(
        site="site1",
        sensor="001",
        at=START,
        window_from=minute_at(-300),
        window_to=minute_at(-120),
        minimum_m3h=7.5,
        usual_m3h=7.0,
        limit_m3h=2.0,
        leak_m3h=None,
        flag=0,
    )


def shown(result: dict[str, Any], key: str) -> dict[str, Any]:
    """Return an entity; fail if Home Assistant has not made it."""
    entity: dict[str, Any] = result["states"][f"{DEVICE}_{key}"]
    return entity


def test_entities_units_events_availability_and_removal(home_assistant: Path, tmp_path: Path) -> None:
    config = device_topic(DEVICE), device_payload("site1", "온정리", "001").decode()
    judged = replace(
        verdict(0),
        flow_rate=FlowChecks(Check(0, 0.1, 1.0), Check(1, 2.0, 1.0), Check(0, 0.1, 1.0), Check()),
        pressure=PressureChecks(Check(0, 0.1, 1.0), Check(1, 2.0, 1.0), Check()),
    )
    opened: Anomaly = anomaly(lost_m3=76.0)
    steps = [
        [config],
        [packet(status("ingest")), packet(status("detector")), packet(judged), packet(night_result())],
        [packet(opened)],
        [packet(cleared(opened, minute_at(9))), (topic_of(opened), "")],
        [packet(verdict(1, flow_rate=None))],
        [packet(status("detector", "stopping"))],
        [packet(status("detector")), (config[0], "")],
    ]
    described, online, event, ended, without_flow, stopped, removed = run_steps(home_assistant, tmp_path, steps)
    assert described["devices"] == ["온정리 001"]
    assert {entity["state"] for entity in described["states"].values()} == {"unavailable"}
    assert len(described["states"]) == 11
    for key, value, unit, device_class in (
        ("flow_rate", 12.34, "m³/h", "volume_flow_rate"),
        ("pressure", 4.11, "bar", "pressure"),
        ("night_minimum", 7.5, "m³/h", "volume_flow_rate"),
    ):
        entity = shown(online, key)
        assert (entity["domain"], float(entity["state"])) == ("sensor", value)
        attributes = entity["attributes"]
        assert (attributes["unit_of_measurement"], attributes["device_class"]) == (unit, device_class)
        assert attributes["state_class"] == "measurement"
    states = {f"{channel}_{method}" for channel, methods in CHECKS.items() for method in methods}
    assert {key: shown(online, key)["state"] for key in states} == {
        "flow_rate_system": "off",
        "flow_rate_value": "on",
        "flow_rate_prediction": "off",
        "flow_rate_night": "unknown",
        "pressure_system": "off",
        "pressure_value": "on",
        "pressure_prediction": "unknown",
    }
    assert {shown(online, key)["attributes"]["device_class"] for key in states} == {"problem"}
    assert shown(online, "incident")["state"] == "unknown"
    attributes = shown(event, "incident")["attributes"]
    assert {key: attributes[key] for key in ("event_type", "id", "kind", "severity", "lost_m3", "text_ko")} == {
        "event_type": "opened",
        "id": opened.id,
        "kind": "burst",
        "severity": "critical",
        "lost_m3": 76.0,
        "text_ko": opened.text.ko,
    }
    assert shown(ended, "incident")["attributes"]["event_type"] == "cleared"
    assert shown(without_flow, "flow_rate")["state"] == "unknown"
    assert {entity["state"] for entity in stopped["states"].values()} == {"unavailable"}
    assert removed == {"states": {}, "devices": []}
