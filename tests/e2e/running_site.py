"""A complete site that runs for a test, with its own data folder, port and Compose project, and an MQTT listener."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from cli.bootstrap import ROOT
from tests.conftest import free_port
from tests.polling import wait_for

SERVICES = ("ingest", "detector", "forecaster", "trainer", "db_writer", "reporter", "dashboard", "notifier")


@dataclass(frozen=True)
class RunningSite:
    """A site started by `./wvr up`, separate from all other sites on this machine."""

    data: Path
    port: int
    project: str
    tls_port: int = 8883
    """Used only with certificates."""
    root: Path = ROOT
    """The clone."""
    dashboard_port: int = 8080

    @classmethod
    def create(cls, folder: Path, port: int, site_toml: str, tls_port: int = 8883) -> RunningSite:
        """Return a site with these settings that is not started yet."""
        (folder / "site.toml").write_text(site_toml, encoding="ascii")
        return cls(folder / "data", port, f"wvr-test-{port}", tls_port, dashboard_port=free_port())

    def wvr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a ./wvr command on this site."""
        return self.run(str(self.root / "wvr"), *arguments)

    def compose(self, *arguments: str) -> str:
        """Return what `docker compose` prints for this site; fail if it fails."""
        done = self.run("docker", "compose", "--project-directory", str(self.root), *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program with this site's environment."""
        variables = {
            "WVR_DATA": str(self.data),
            "WVR_SITE_FILE": str(self.data.parent / "site.toml"),
            "WVR_BROKER__PORT": str(self.port),
            "WVR_BROKER__TLS_PORT": str(self.tls_port),
            "WVR_DASHBOARD__PORT": str(self.dashboard_port),
        }
        if self.project:
            variables["COMPOSE_PROJECT_NAME"] = self.project
        return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False, cwd="/")

    def listens(self) -> bool:
        """Return whether the broker's port is open."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def alert_minute(self) -> datetime | None:
        """Return the minute that alert.txt shows; None without that file."""
        try:
            return datetime.fromisoformat((self.data / "sensor/alert.txt").read_text(encoding="utf-8").split()[1])
        except FileNotFoundError:
            return None

    def wait_for_alert_after(self, minute: datetime | None, seconds: float = 90.0) -> datetime:
        """Return the first minute after this one that alert.txt shows."""

        def newer_minute() -> datetime | None:
            shown_minute = self.alert_minute()
            return shown_minute if shown_minute is not None and (minute is None or shown_minute > minute) else None

        next_minute = wait_for(newer_minute, seconds, f"alert.txt newer than {minute}")
        assert next_minute is not None
        return next_minute

    def process(self, service: str) -> int:
        """Return the process id of a service of a local site; 0 if it does not run."""
        conf = self.data / "run/supervisord.conf"
        supervisorctl = Path(sys.executable).with_name("supervisorctl")
        output = self.run(str(supervisorctl), "-c", str(conf), "pid", service).stdout.strip()
        return int(output) if output.isdecimal() else 0

    def password(self, user: str) -> str:
        """Return a broker user's password."""
        return (self.data / "secrets" / user / "password").read_text(encoding="ascii")


def simulated(days: int) -> str:
    """Return the site.toml of a simulated site with this many days of history."""
    return f'[site]\nname = "test"\n[simulator]\nhistory_days = {days}\n'


@dataclass
class Listener:
    """A broker user that records every message it receives."""

    client: mqtt.Client
    received: list[tuple[str, bytes]] = field(default_factory=list)
    refusals: dict[int, str] = field(default_factory=dict)

    def topics(self) -> set[str]:
        """Return the last level of every received topic."""
        return {topic.rsplit("/", 1)[-1] for topic, _ in list(self.received)}

    def messages(self, last_level: str) -> list[dict[str, Any]]:
        """Return the messages received on topics with this last level."""
        return [json.loads(text) for topic, text in list(self.received) if text and topic.endswith(f"/{last_level}")]

    def publish(self, topic: str, payload: bytes) -> str:
        """Publish a payload and return the broker's answer."""
        sent = self.client.publish(topic, payload, qos=1)
        return wait_for(lambda: self.refusals.get(sent.mid), what=f"an answer to {topic}") or ""


@contextmanager
def listening(site: RunningSite, user: str) -> Iterator[Listener]:
    """Subscribe a user to everything that it may receive."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.username_pw_set(user, site.password(user))
    listener, subscribed = Listener(client), threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda _, __, packet: listener.received.append((packet.topic, bytes(packet.payload)))
    client.on_publish = lambda _, __, mid, reason, ___: listener.refusals.update({mid: str(reason)})
    client.connect("127.0.0.1", site.port)
    client.subscribe("wvr/v1/#", 1)
    client.loop_start()
    try:
        assert subscribed.wait(10), f"{user} could not subscribe"
        yield listener
    finally:
        client.disconnect()
        client.loop_stop()


@contextmanager
def watching_alert(site: RunningSite) -> Iterator[list[datetime]]:
    """Collect every minute that alert.txt shows meanwhile."""
    minutes: list[datetime] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            minute = site.alert_minute()
            if minute is not None and minute not in minutes[-1:]:
                minutes.append(minute)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield minutes
    finally:
        stop.set()
        thread.join()
