"""A whole site that runs for a test: its own data folder, port and Compose project; and someone who listens to it."""

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
from tests.polling import wait_for

SERVICES = ("ingest", "detector", "forecaster", "trainer", "db_writer", "reporter")


@dataclass(frozen=True)
class RunningSite:
    """Started by `./wvr up` beside whatever else runs on this machine."""

    data: Path
    port: int
    project: str
    tls_port: int = 8883
    """Only with certificates."""

    @classmethod
    def create(cls, folder: Path, port: int, site_toml: str, tls_port: int = 8883) -> RunningSite:
        """A site with these settings, not yet started."""
        (folder / "site.toml").write_text(site_toml, encoding="ascii")
        return cls(folder / "data", port, f"wvr-test-{port}", tls_port)

    def wvr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a command of ./wvr on this site."""
        return self.run(str(ROOT / "wvr"), *arguments)

    def compose(self, *arguments: str) -> str:
        """What `docker compose` prints for this site; fails when it does."""
        done = self.run("docker", "compose", "--project-directory", str(ROOT), *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a program with this site's environment."""
        mine = {
            "WVR_DATA": str(self.data),
            "WVR_SITE_FILE": str(self.data.parent / "site.toml"),
            "WVR_BROKER__PORT": str(self.port),
            "WVR_BROKER__TLS_PORT": str(self.tls_port),
            "COMPOSE_PROJECT_NAME": self.project,
        }
        return subprocess.run(command, env=os.environ | mine, capture_output=True, text=True, check=False, cwd="/")

    def listens(self) -> bool:
        """Whether the broker's port is open."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def alert_minute(self) -> datetime | None:
        """The minute that alert.txt tells of; None while there is no such file."""
        try:
            return datetime.fromisoformat((self.data / "sensor/alert.txt").read_text(encoding="utf-8").split()[1])
        except FileNotFoundError:
            return None

    def wait_for_alert_after(self, minute: datetime | None, seconds: float = 90.0) -> datetime:
        """The next minute that alert.txt tells of."""

        def newer() -> datetime | None:
            now = self.alert_minute()
            return now if now is not None and (minute is None or now > minute) else None

        found = wait_for(newer, seconds, f"alert.txt newer than {minute}")
        assert found is not None
        return found

    def process(self, service: str) -> int:
        """Process id of a service of a local site; 0 while it doesn't run."""
        conf = self.data / "run/supervisord.conf"
        ctl = Path(sys.executable).with_name("supervisorctl")
        output = self.run(str(ctl), "-c", str(conf), "pid", service).stdout.strip()
        return int(output) if output.isdecimal() else 0

    def password(self, user: str) -> str:
        """A broker user's password."""
        return (self.data / "secrets" / user / "password").read_text(encoding="ascii")


def simulated(days: int) -> str:
    """The site.toml of a simulated site with so many days of history."""
    return f'[site]\nname = "test"\n[simulator]\nhistory_days = {days}\n'


@dataclass
class Listener:
    """A broker user who remembers what was output on each topic."""

    client: mqtt.Client
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    refusals: dict[int, str] = field(default_factory=dict)

    def topics(self) -> set[str]:
        """Last level of every topic heard."""
        return {topic.rsplit("/", 1)[-1] for topic, _ in list(self.heard)}

    def messages(self, last_level: str) -> list[dict[str, Any]]:
        """What was heard on topics that end so."""
        return [json.loads(text) for topic, text in list(self.heard) if text and topic.endswith(f"/{last_level}")]

    def publish(self, topic: str, payload: bytes) -> str:
        """The broker's answer to a publication."""
        sent = self.client.publish(topic, payload, qos=1)
        return wait_for(lambda: self.refusals.get(sent.mid), what=f"an answer to {topic}") or ""


@contextmanager
def listening(site: RunningSite, user: str) -> Iterator[Listener]:
    """Listens to everything the user may hear."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.username_pw_set(user, site.password(user))
    listener, subscribed = Listener(client), threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda _, __, packet: listener.heard.append((packet.topic, bytes(packet.payload)))
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
    """Collects every minute that alert.txt tells of meanwhile."""
    minutes: list[datetime] = []
    enough = threading.Event()

    def watch() -> None:
        while not enough.wait(0.2):
            now = site.alert_minute()
            if now is not None and now not in minutes[-1:]:
                minutes.append(now)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield minutes
    finally:
        enough.set()
        thread.join()
