"""WVR as local processes with Mosquitto under supervisord, which restarts a process that exits."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from cli import certificates
from cli.bootstrap import VENV, CommandError, ensure_program
from cli.dashboard_address import DEFAULT_PORT, PORT_VARIABLE
from cli.init_site import SERVICES, describe_present, record_applied, set_up, set_up_broker, set_up_tls
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
from cli.mosquitto import posix_zone, require_supported
from cli.service_state import ServiceState, with_heartbeat
from shared.runtime.applied_settings import changed_parts, read_applied
from shared.runtime.health import STALE_SECONDS, heartbeat_age, read_heartbeat
from shared.settings import Settings

HEALTHY_TIMEOUT_SECONDS = 180
MAX_SOCKET_PATH_BYTES = 100
"""Limit of the operating system for the path of a Unix socket."""


def up(settings: Settings, bind: str) -> None:
    """Start WVR and wait until all services are healthy. Raises CommandError."""
    data = settings.data
    mosquitto = ensure_program("mosquitto", "mosquitto")
    require_supported(subprocess.run([mosquitto, "-h"], check=False, capture_output=True, text=True).stdout)
    if len(os.fsencode(data / "run/supervisor.sock")) > MAX_SOCKET_PATH_BYTES:
        raise CommandError(f"the path of {data} is too long for supervisord's socket; set WVR_DATA")
    # At the first start the history must not arrive before db_writer subscribes; later the broker queues messages.
    held = "" if settings.database.exists() else "ingest"
    _prepare(settings, bind, mosquitto, held)
    for name in SERVICES:
        heartbeat(data, name).unlink(missing_ok=True)
    _supervisor(data, "supervisord", check=True)
    _wait(data, [name for name in SERVICES if name != held])
    if held:
        start(data, [held])
        conf = supervisord_conf(data, mosquitto, posix_zone(settings.site.timezone))
        supervisor_conf(data).write_text(conf, encoding="utf-8")


def changes(data: Path) -> list[str]:
    """Return what has changed since the last start: `site.toml`, `acl`, `version`."""
    return changed_parts(read_applied(data), describe_present())


def listens_on(data: Path, port: int) -> bool:
    """Return whether the broker of the last start used a port."""
    conf = (data / "run/mosquitto.conf").read_text(encoding="utf-8")
    return any(line.split()[:2] == ["listener", str(port)] for line in conf.splitlines())


def serves_dashboard_on(data: Path, port: int) -> bool:
    """Return whether the dashboard of the last start used a port."""
    conf = supervisor_conf(data).read_text(encoding="utf-8")
    own_port = re.search(rf"{PORT_VARIABLE}=['\"](\d+)", conf)
    return "[program:dashboard]" in conf and port == (int(own_port[1]) if own_port else DEFAULT_PORT)


def start(data: Path, services: Sequence[str]) -> None:
    """Start stopped services and wait until they are healthy. Raises CommandError."""
    for name in services:
        heartbeat(data, name).unlink(missing_ok=True)
    _supervisor(data, "supervisorctl", "start", *services, check=True)
    _wait(data, services)


def stop(data: Path, services: Sequence[str]) -> None:
    """Stop services and wait for their end. Raises CommandError."""
    _supervisor(data, "supervisorctl", "stop", *services, check=True)


def down(data: Path) -> None:
    """Stop WVR and wait for the end of all processes."""
    pid = supervisor_pid(data)
    _supervisor(data, "supervisorctl", "shutdown")
    while pid and supervisor_pid(data) == pid:
        time.sleep(0.2)


def restart(data: Path, name: str) -> None:
    """Restart one service. Raises CommandError."""
    _supervisor(data, "supervisorctl", "restart", name, check=True)


def states(data: Path) -> dict[str, ServiceState]:
    """Return the state of each service."""
    lines = (line.split() for line in _supervisor(data, "supervisorctl", "status").stdout.splitlines())
    return {name: _state(name, state, heartbeat(data, name)) for name, state, *_ in lines}


def _state(name: str, state: str, file: Path) -> ServiceState:
    """Return the state of a process from supervisord's word and its heartbeat file; the broker has none."""
    if state != "RUNNING":
        return ServiceState(state.lower())
    if name == "broker":
        return ServiceState("healthy")
    seconds = heartbeat_age(file)
    is_fresh = seconds is not None and seconds < STALE_SECONDS
    return with_heartbeat(read_heartbeat(file)) if is_fresh else ServiceState("starting")


def _prepare(settings: Settings, bind: str, mosquitto: Path, start_later: str) -> None:
    data, folder = settings.data, broker_folder(settings.data)
    if settings.broker.ca and not certificates.are_present(data):
        raise CommandError(f"WVR_BROKER__CA is set, but {certificates.folder(data)} holds no certificates")
    # With TLS, the plain listener stays on loopback.
    plain = "127.0.0.1" if certificates.are_present(data) else bind
    zone = posix_zone(settings.site.timezone)
    try:
        set_up(data)
        set_up_broker(data, folder)
        set_up_tls(data, folder, f"{settings.broker.tls_port} {bind}", folder)
        (data / "run/mosquitto.conf").write_text(mosquitto_conf(settings, plain), encoding="utf-8")
        supervisor_conf(data).write_text(supervisord_conf(data, mosquitto, zone, start_later), encoding="utf-8")
        record_applied(data)
    except PermissionError as error:
        raise CommandError(f"{error.filename} belongs to another user; run ./wvr as its owner, or as root") from error
    if os.geteuid() == 0 and broker_user_reaches(folder):
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, BROKER_USER, BROKER_USER)


def _wait(data: Path, services: Iterable[str]) -> None:
    """Wait for the first heartbeat of each service through the broker. Raises CommandError with those without one."""
    limit = time.monotonic() + HEALTHY_TIMEOUT_SECONDS
    missing = list(services)
    while missing := [name for name in missing if not heartbeat(data, name).exists()]:
        if time.monotonic() > limit:
            now = states(data)
            unhealthy = ", ".join(f"{name} ({now.get(name, 'unknown')})" for name in missing)
            raise CommandError(
                f"not healthy after {HEALTHY_TIMEOUT_SECONDS} s: {unhealthy}; see ./wvr logs {missing[0]}"
            )
        time.sleep(0.2)


def _supervisor(data: Path, name: str, *arguments: str, check: bool = False) -> subprocess.CompletedProcess[str]:
    command = [str(VENV / "bin" / name), "-c", str(supervisor_conf(data)), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if check and done.returncode:
        raise CommandError(f"{name}: {(done.stdout + done.stderr).strip()}")
    return done
