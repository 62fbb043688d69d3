"""WVR as local processes with a real Mosquitto, under supervisord, which starts again what dies."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from cli import certificates
from cli.bootstrap import VENV, CommandError, ensure_program
from cli.init_site import SERVICES, set_up, set_up_broker, set_up_tls
from cli.local_config import (
    BROKER_USER,
    broker_folder,
    broker_user_reaches,
    heartbeat,
    mosquitto_conf,
    supervisor_conf,
    supervisord_conf,
)
from cli.local_site import supervisor_pid
from shared.runtime.health import STALE_AFTER, age
from shared.settings import Settings

HEALTHY_TIMEOUT_SECONDS = 180
MAX_SOCKET_PATH_BYTES = 100
"""Bytes of a Unix socket's path."""


def up(settings: Settings, bind: str) -> None:
    """Starts all and waits until every service is healthy. Raises Missing."""
    data = settings.data
    mosquitto = ensure_program("mosquitto", "mosquitto")
    if len(os.fsencode(data / "run/supervisor.sock")) > MAX_SOCKET_PATH_BYTES:
        raise CommandError(f"the path of {data} is too long for supervisord's socket; set WVR_DATA")
    # The first start's year of history comes when db_writer listens; later the broker keeps what it has not heard.
    held = "" if settings.database.exists() else "ingest"
    _prepare(settings, bind, mosquitto, held)
    for name in SERVICES:
        heartbeat(data, name).unlink(missing_ok=True)
    _supervisor(data, "supervisord", check=True)
    _wait(data, [name for name in SERVICES if name != held])
    if held:
        start(data, [held])
        supervisor_conf(data).write_text(supervisord_conf(data, mosquitto), encoding="utf-8")


def start(data: Path, services: Sequence[str]) -> None:
    """Starts services that stand still, and waits until they are healthy. Raises Missing."""
    for name in services:
        heartbeat(data, name).unlink(missing_ok=True)
    _supervisor(data, "supervisorctl", "start", *services, check=True)
    _wait(data, services)


def stop(data: Path, services: Sequence[str]) -> None:
    """Stops services, and returns when they have stopped. Raises Missing."""
    _supervisor(data, "supervisorctl", "stop", *services, check=True)


def down(data: Path) -> None:
    """Stops all, and returns when all have stopped."""
    pid = supervisor_pid(data)
    _supervisor(data, "supervisorctl", "shutdown")
    while pid and supervisor_pid(data) == pid:
        time.sleep(0.2)


def restart(data: Path, name: str) -> None:
    """Stops and starts one of them. Raises Missing."""
    _supervisor(data, "supervisorctl", "restart", name, check=True)


def states(data: Path) -> dict[str, str]:
    """Service to its state in words."""
    found = {}
    for line in _supervisor(data, "supervisorctl", "status").stdout.splitlines():
        name, state = line.split()[:2]
        seconds = age(heartbeat(data, name))
        alive = name == "broker" or (seconds is not None and seconds < STALE_AFTER)
        found[name] = "healthy" if state == "RUNNING" and alive else "starting" if state == "RUNNING" else state.lower()
    return found


def _prepare(settings: Settings, bind: str, mosquitto: Path, start_later: str) -> None:
    data, folder = settings.data, broker_folder(settings.data)
    if settings.broker.ca and not certificates.are_present(data):
        raise CommandError(f"WVR_BROKER__CA is set, and there are no certificates in {certificates.folder(data)}")
    # With TLS nothing goes over the network in plain.
    plain = "127.0.0.1" if certificates.are_present(data) else bind
    try:
        set_up(data)
        set_up_broker(data, folder)
        set_up_tls(data, folder, f"{settings.broker.tls_port} {bind}", folder)
        (data / "run/mosquitto.conf").write_text(mosquitto_conf(settings, plain), encoding="utf-8")
        supervisor_conf(data).write_text(supervisord_conf(data, mosquitto, start_later), encoding="utf-8")
    except PermissionError as error:
        raise CommandError(f"{error.filename} belongs to another user; run as its owner, or as root") from error
    if os.geteuid() == 0 and broker_user_reaches(folder):
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, BROKER_USER, BROKER_USER)


def _wait(data: Path, services: Iterable[str]) -> None:
    """Returns when the services have heard themselves through the broker. Raises Missing with what is not so."""
    limit = time.monotonic() + HEALTHY_TIMEOUT_SECONDS
    missing = list(services)
    while missing := [name for name in missing if not heartbeat(data, name).exists()]:
        if time.monotonic() > limit:
            now = states(data)
            named = ", ".join(f"{name} ({now.get(name, 'unknown')})" for name in missing)
            raise CommandError(f"not healthy after {HEALTHY_TIMEOUT_SECONDS} s: {named}; see ./wvr logs {missing[0]}")
        time.sleep(0.2)


def _supervisor(data: Path, name: str, *arguments: str, check: bool = False) -> subprocess.CompletedProcess[str]:
    command = [str(VENV / "bin" / name), "-c", str(supervisor_conf(data)), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if check and done.returncode:
        raise CommandError(f"{name}: {(done.stdout + done.stderr).strip()}")
    return done
