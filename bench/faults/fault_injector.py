"""What is done to a site: kinds of harm, each for a moment."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bench.faults.site import FaultableSite
from cli.bootstrap import VENV
from cli.init_site import SERVICES
from cli.local_config import broker_folder, supervisor_conf
from shared.runtime.mqtt_bus import SESSION_EXPIRY_DAYS

DAY = 86_400
CLOCKS = (-7200, -60, 90, 7200, 400 * DAY, -20_000 * DAY)
"""Seconds by which the clock is wrong: NTP's steps, a year ahead, 1970."""


class FaultInjector:
    """Does harm by a seed. `kinds` are what this site and machine allow."""

    def __init__(self, frail: FaultableSite, seed: int) -> None:
        self._frail, self._site, self._random = frail, frail.site, random.Random(seed)
        self.kinds: dict[str, Callable[[], None]] = {
            "kill a service": lambda: self._kill(self._service()),
            "kill two services": lambda: self._kill(*self._random.sample(SERVICES, 2)),
            "kill the broker": lambda: self._kill("broker"),
            "power cut, broker's memory lost": self._cut_power,
            "hold the write lock": self._lock,
            "stop a service for a while": lambda: self._stop(self._service()),
            "stop the broker for a while": lambda: self._stop("broker"),
            "drop a connection": lambda: self._drop(self._service()),
        }
        if frail.small_disk:
            self.kinds["fill the disk"] = self._fill
        if frail.clock:
            self.kinds["set the clock wrong"] = self._misset

    def inject(self) -> str:
        """Does one thing; its kind."""
        kind = self._random.choice(list(self.kinds))
        self.kinds[kind]()
        return kind

    def pause(self, longest: float) -> None:
        """Waits up to so many seconds."""
        time.sleep(self._random.uniform(0, longest))

    def _service(self) -> str:
        return self._random.choice(SERVICES)

    def _kill(self, *names: str) -> None:
        running = self._processes()
        for name in names:
            _signal(running.get(name), signal.SIGKILL)

    def _cut_power(self) -> None:
        """Kills all at once, and nothing comes up again before the broker's memory is gone."""
        supervisor = int((self._site.data / "run/supervisord.pid").read_text(encoding="ascii"))
        running = self._processes()
        _signal(supervisor, signal.SIGSTOP)
        for process in running.values():
            _signal(process, signal.SIGKILL)
        (broker_folder(self._site.data) / "mosquitto.db").unlink(missing_ok=True)
        _signal(supervisor, signal.SIGCONT)

    def _stop(self, name: str) -> None:
        process = self._processes().get(name)
        _signal(process, signal.SIGSTOP)
        time.sleep(self._random.uniform(0.5, 3))
        _signal(process, signal.SIGCONT)

    def _lock(self) -> None:
        database = sqlite3.connect(self._site.data / "wvr.db", timeout=10, isolation_level=None)
        with suppress(sqlite3.OperationalError):
            database.execute("BEGIN IMMEDIATE")
            time.sleep(self._random.uniform(1, 4))
        database.close()

    def _drop(self, name: str) -> None:
        """Comes to the broker as the service itself: it throws the other out and keeps the session."""
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=f"wvr-{name}", protocol=mqtt.MQTTv5, manual_ack=True
        )
        client.username_pw_set(name, self._site.password(name))
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = SESSION_EXPIRY_DAYS * DAY
        with suppress(OSError):
            client.connect("127.0.0.1", self._site.port, clean_start=False, properties=properties)
            client.loop(0.2)
        client.disconnect()

    def _fill(self) -> None:
        """Takes all that is left of the disk, and gives it back."""
        waste = self._site.data.parent / "waste"
        with suppress(OSError), waste.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 1_000_000)
        time.sleep(self._random.uniform(1, 3))
        waste.unlink()

    def _misset(self) -> None:
        self._frail.set_clock(self._random.choice(CLOCKS))
        time.sleep(self._random.uniform(1, 4))
        self._frail.set_clock(0)

    def _processes(self) -> dict[str, int]:
        """Process ids of the broker and the services that run."""
        command = [str(VENV / "bin/supervisorctl"), "-c", str(supervisor_conf(self._site.data)), "status"]
        lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
        return {line.split()[0]: int(line.split("pid ")[1].split(",")[0]) for line in lines if "pid " in line}


def _signal(process: int | None, number: signal.Signals) -> None:
    if process:
        with suppress(ProcessLookupError):
            os.kill(process, number)
