"""`./wvr up`: in Docker where an engine answers, else as local processes; says which, why, and where everything is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

from cli import certificates, compose
from cli.bootstrap import ROOT, CommandError, reexec_in_venv
from cli.local_site import data_folder, require_free_port, supervisor_pid


class Listeners(NamedTuple):
    """Where the broker listens."""

    bind: str
    """Address of the plain listener; with TLS that of the TLS listener, and the plain one is on loopback."""
    port: int
    tls: int | None
    """Port; None without certificates."""
    certified_until: str

    def require_free(self) -> None:
        """Raises Missing when another program listens there already."""
        require_free_port("127.0.0.1" if self.tls else self.bind, self.port)
        if self.tls:
            require_free_port(self.bind, self.tls)


def main(arguments: list[str]) -> int:
    """Starts WVR and waits until it is healthy."""
    if arguments not in ([], ["--local"]):
        raise CommandError("usage: ./wvr up [--local]")
    data = data_folder()
    doors = _listeners(data)
    if supervisor_pid(data):
        print("WVR runs already, as local processes: ./wvr status; ./wvr down first to start it anew")
    elif arguments:
        _up_locally(doors, "as you asked")
    elif (engine := compose.engine()).is_available:
        _up_in_docker(doors, engine.detail)
    else:
        _up_locally(doors, engine.detail)
    print(_summary(data, doors))
    return 0


def _listeners(data: Path) -> Listeners:
    bind, port = os.environ.get("WVR_BIND", "127.0.0.1"), int(os.environ.get("WVR_BROKER__PORT") or 1883)
    if not certificates.are_present(data):
        return Listeners(bind, port, None, "")
    return Listeners(bind, port, int(os.environ.get("WVR_BROKER__TLS_PORT") or 8883), certificates.validate(data))


def _up_in_docker(doors: Listeners, engine: str) -> None:
    print(f"WVR starts in Docker, since an engine answers: {engine}", flush=True)
    if not compose.is_running():
        doors.require_free()
    compose.up(tls=doors.tls is not None)
    print("every service is healthy")


def _up_locally(doors: Listeners, why: str) -> None:
    reexec_in_venv("local")
    from cli import local
    from shared.settings import SettingsError, load_settings

    print(f"WVR starts as local processes: {why}", flush=True)
    doors.require_free()
    try:
        local.up(load_settings(), doors.bind)
    except SettingsError as error:
        raise CommandError(str(error)) from error
    print("every service is healthy")


def _summary(data: Path, doors: Listeners) -> str:
    host = "127.0.0.1" if doors.tls or doors.bind in ("0.0.0.0", "127.0.0.1") else doors.bind
    look = f"XDG_CONFIG_HOME={data}/secrets/viewer mosquitto_sub -h {host} -p {doors.port} -t 'wvr/v1/#' -v"
    if not shutil.which("mosquitto_sub"):
        look += "   (apt-get install mosquitto-clients)"
    tls = f"\n  TLS      {doors.bind}:{doors.tls}, certified until {doors.certified_until}" if doors.tls else ""
    return f"""
  files    {data}/sensor/alert.txt (each minute), server.txt (each ten minutes)
  history  {data}/wvr.db
  models   {data}/output/Learning_lstm/
  broker   {host}:{doors.port}; read-only user viewer, password in {data}/secrets/viewer/password{tls}
  look     {look}
  change   {os.environ.get("WVR_SITE_FILE", ROOT / "site.toml")}, then ./wvr validate and ./wvr up
"""
