"""Faults that are injected into a running site; each lasts at most some seconds."""

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
from shared.runtime.broker_connection import client_id
from shared.runtime.mqtt_bus import SESSION_EXPIRY_DAYS
from shared.settings import Settings

DAY_SECONDS = 86_400
CLOCK_ERROR_SECONDS = (-7200, -60, 90, 7200, 400 * DAY_SECONDS, -20_000 * DAY_SECONDS)
"""Offsets of the clock: steps of NTP, a year ahead, 1970."""


class FaultInjector:
    """Injects random faults by a seed. `kinds` are those that this site and machine allow."""

    def __init__(self, faultable: FaultableSite, seed: int) -> None:
        self._faultable, self._site, self._random = faultable, faultable.site, random.Random(seed)
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
        if faultable.small_disk:
            self.kinds["fill the disk"] = self._fill
        if faultable.clock:
            self.kinds["set the clock wrong"] = self._set_wrong_clock

    def inject(self) -> str:
        """Inject one fault and return its kind."""
        kind = self._random.choice(list(self.kinds))
        self.kinds[kind]()
        return kind

    def pause(self, longest: float) -> None:
        """Wait for a random time up to `longest` seconds."""
        time.sleep(self._random.uniform(0, longest))

    def _service(self) -> str:
        return self._random.choice(SERVICES)

    def _kill(self, *names: str) -> None:
        running = self._processes()
        for name in names:
            _signal(running.get(name), signal.SIGKILL)

    def _cut_power(self) -> None:
        """Kill all processes at once; nothing restarts before the broker's saved state is deleted."""
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
        """Connect with the service's client id: the broker closes the service's connection and keeps its session."""
        own_id = client_id(name, Settings(data=self._site.data))
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=own_id, protocol=mqtt.MQTTv5, manual_ack=True)
        client.username_pw_set(name, self._site.password(name))
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = SESSION_EXPIRY_DAYS * DAY_SECONDS
        with suppress(OSError):
            client.connect("127.0.0.1", self._site.port, clean_start=False, properties=properties)
            client.loop(0.2)
        client.disconnect()

    def _fill(self) -> None:
        """Fill the disk for a moment."""
        filler = self._site.data.parent / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 1_000_000)
        time.sleep(self._random.uniform(1, 3))
        filler.unlink()

    def _set_wrong_clock(self) -> None:
        self._faultable.set_clock(self._random.choice(CLOCK_ERROR_SECONDS))
        time.sleep(self._random.uniform(1, 4))
        self._faultable.set_clock(0)

    def _processes(self) -> dict[str, int]:
        """Return the process ids of the broker and the running services."""
        command = [str(VENV / "bin/supervisorctl"), "-c", str(supervisor_conf(self._site.data)), "status"]
        lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
        return {line.split()[0]: int(line.split("pid ")[1].split(",")[0]) for line in lines if "pid " in line}


def _signal(process: int | None, number: signal.Signals) -> None:
    if process:
        with suppress(ProcessLookupError):
            os.kill(process, number)
