"""The configuration of local mode for Mosquitto and supervisord, generated under data/run/."""

from __future__ import annotations

import os
import pwd
import shlex
from collections.abc import Iterator
from pathlib import Path

from cli.bootstrap import ROOT, VENV, CommandError
from cli.init_site import SERVICES
from shared.settings import Settings

BROKER_USER = "mosquitto"
"""User to which Debian's Mosquitto switches when root starts it."""


def broker_folder(data: Path) -> Path:
    """Return the folder of the local broker: passwords, access list and persistence file."""
    return data / "run/broker"


def heartbeat(data: Path, service: str) -> Path:
    """Return the file that a service touches after each round trip through the broker."""
    return data / "run/heartbeat" / service


def supervisor_conf(data: Path) -> Path:
    """Return the configuration file of supervisord and supervisorctl."""
    return data / "run/supervisord.conf"


def mosquitto_conf(settings: Settings, bind: str) -> str:
    """Return broker/mosquitto.conf with the paths, address and port of this machine."""
    folder = broker_folder(settings.data)
    here = {
        "listener": f"{settings.broker.port} {bind}",
        "password_file": str(folder / "passwd"),
        "acl_file": str(folder / "acl"),
        "persistence_location": f"{folder}/",
        "include_dir": str(folder),
    }
    lines = (ROOT / "broker/mosquitto.conf").read_text(encoding="utf-8").splitlines()
    words = [line.split(" ", 1) for line in lines]
    lines = [f"{key[0]} {here[key[0]]}" if key[0] in here else " ".join(key) for key in words]
    if os.geteuid() == 0 and not broker_user_reaches(folder):
        lines.append("user root")
    return "\n".join(lines) + "\n"


def broker_user_reaches(folder: Path) -> bool:
    """Return whether Mosquitto can reach its files after it drops root (it can't below /root)."""
    try:
        pwd.getpwnam(BROKER_USER)
    except KeyError:
        return False
    return all(parent.stat().st_mode & 0o001 for parent in folder.parents)


def supervisord_conf(data: Path, mosquitto: Path, zone: str, start_later: str = "") -> str:
    """Return supervisord's configuration of broker and services; `start_later` is not started automatically.

    `zone` is the site's time zone as POSIX TZ, for the broker's log.

    It contains the site's environment, so that systemd can start it without `./wvr up`.
    """
    run = data / "run"
    head = [
        "[unix_http_server]",
        f"file={_escape_percent(run / 'supervisor.sock')}",
        "chmod=0700",
        "[supervisord]",
        f"logfile={_escape_percent(data / 'log/supervisord.log')}",
        "logfile_maxbytes=5MB",
        "logfile_backups=3",
        f"pidfile={_escape_percent(run / 'supervisord.pid')}",
        f"childlogdir={_escape_percent(data / 'log')}",
        f"environment={','.join(_settings())}",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        "[supervisorctl]",
        f"serverurl=unix://{_escape_percent(run / 'supervisor.sock')}",
    ]
    broker = _program_section(data, "broker", [str(mosquitto), "-c", str(run / "mosquitto.conf")], priority=1)
    environment = f'environment=TZ="{zone}"'
    services = (line for name in SERVICES for line in _service(data, name, autostart=name != start_later))
    return "\n".join([*head, *broker, environment, *services]) + "\n"


def _settings() -> Iterator[str]:
    """Yield the WVR_ variables of the environment. supervisord has no escapes in quotes and expands % twice here."""
    for key in sorted(os.environ):
        if key.startswith("WVR_"):
            value = os.environ[key].replace("%", "%%%%")
            quote = "'" if '"' in value else '"'
            if any(odd in value for odd in (quote, "\n", " #", " ;")):
                raise CommandError(f"supervisord can't use {key}: {value}; remove quotes, # and ;")
            yield f"{key}={quote}{value}{quote}"


def _service(data: Path, name: str, autostart: bool) -> Iterator[str]:
    prefix = ["nice", "-n", "19"] if name == "trainer" else []
    command = [*prefix, str(VENV / "bin/python"), "-m", f"services.{name}.main"]
    yield from _program_section(data, name, command, priority=10)
    memory_limits = 'MALLOC_ARENA_MAX="1",MALLOC_TRIM_THRESHOLD_="131072",OPENBLAS_NUM_THREADS="1",PYTHONUNBUFFERED="1"'
    yield f'environment=WVR_HEARTBEAT="{_escape_percent(heartbeat(data, name))}",{memory_limits}'
    if not autostart:
        yield "autostart=false"


def _program_section(data: Path, name: str, command: list[str], priority: int) -> Iterator[str]:
    yield f"[program:{name}]"
    yield f"command={shlex.join(command).replace('%', '%%')}"
    yield f"directory={_escape_percent(ROOT)}"
    yield f"priority={priority}"
    yield "autorestart=true"
    yield "startretries=1000000"
    yield "stopwaitsecs=30"
    yield "stopasgroup=true"
    yield "killasgroup=true"
    yield "redirect_stderr=true"
    yield f"stdout_logfile={_escape_percent(data / f'log/{name}.log')}"
    yield "stdout_logfile_maxbytes=5MB"
    yield "stdout_logfile_backups=3"


def _escape_percent(path: Path) -> str:
    return str(path).replace("%", "%%")
