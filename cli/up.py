"""`./wvr up`: start WVR in Docker if an engine answers, else as local processes, and print which, why and where."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cli import assets, certificates, compose
from cli.bootstrap import ROOT, CommandError, reexec_in_venv
from cli.dashboard_address import DashboardAddress, dashboard_address
from cli.local_site import data_folder, require_free_port, require_own_supervisor, supervisor_pid
from cli.mosquitto import ACCESS_LIST, require_valid_access_list

if TYPE_CHECKING:
    from shared.settings import Settings


class Listeners(NamedTuple):
    """Addresses of the broker and the dashboard."""

    bind: str
    """Address of the plain listener; with TLS, of the TLS listener, while the plain one stays on loopback."""
    port: int
    tls: int | None
    """TLS port, or None without certificates."""
    certified_until: str
    dashboard: DashboardAddress

    def require_free(self) -> None:
        """Check that no program uses these ports. Raises CommandError."""
        require_free_port("127.0.0.1" if self.tls else self.bind, self.port)
        if self.tls:
            require_free_port(self.bind, self.tls, "WVR_BROKER__TLS_PORT")
        self.dashboard.require_free()


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="./wvr up", description=__doc__)
    command.add_argument("--local", action="store_true", help="use local processes in any case")
    return command


def main(arguments: list[str]) -> int:
    """Start WVR and wait until it is healthy."""
    options = parser().parse_args(arguments)
    data = data_folder()
    listeners = _listeners(data)
    if supervisor_pid(data):
        _apply_changes(data, listeners)
    elif options.local:
        _up_locally(listeners, "--local was given")
    elif (engine := compose.engine()).is_available:
        _up_in_docker(data, listeners, engine.detail)
    else:
        _up_locally(listeners, engine.detail)
    print(_summary(data, listeners))
    return 0


def _listeners(data: Path) -> Listeners:
    bind, port = os.environ.get("WVR_BIND") or "127.0.0.1", int(os.environ.get("WVR_BROKER__PORT") or 1883)
    certificates.require_beyond_loopback(data, bind, os.environ.get("WVR_BIND_PLAINTEXT", ""))
    dashboard = dashboard_address()
    dashboard.require_password(data)
    if not certificates.are_present(data):
        return Listeners(bind, port, None, "", dashboard)
    tls_port = int(os.environ.get("WVR_BROKER__TLS_PORT") or 8883)
    return Listeners(bind, port, tls_port, certificates.validate(data), dashboard)


def _apply_changes(data: Path, listeners: Listeners) -> None:
    """Restart the local processes if site.toml, the access list or the version has changed. Raises CommandError."""
    reexec_in_venv("local")
    from cli import local

    require_own_supervisor(data)
    if not (parts := local.changes(data)):
        print("WVR already runs as local processes, with this site.toml: ./wvr status")
        return
    settings = _settings()
    assets.ensure()
    if not local.listens_on(data, listeners.port):
        listeners.require_free()
    elif not local.serves_dashboard_on(data, listeners.dashboard.port):
        listeners.dashboard.require_free()
    print(f"changed since the last start: {', '.join(parts)}; WVR restarts as local processes", flush=True)
    local.down(data)
    local.up(settings, listeners.bind)
    print("every service is healthy")


def _up_in_docker(data: Path, listeners: Listeners, engine: str) -> None:
    require_valid_access_list(ACCESS_LIST)
    print(f"WVR starts in Docker: {engine}", flush=True)
    compose.require_own_site(data)
    if not compose.is_running():
        listeners.require_free()
    compose.up(data, tls=listeners.tls is not None)
    print("every service is healthy")


def _up_locally(listeners: Listeners, reason: str) -> None:
    reexec_in_venv("local")
    from cli import local

    print(f"WVR starts as local processes: {reason}", flush=True)
    listeners.require_free()
    assets.ensure()
    local.up(_settings(), listeners.bind)
    print("every service is healthy")


def _settings() -> Settings:
    """Return the settings. Raises CommandError with file, line and key of an invalid one, or of the access list."""
    require_valid_access_list(ACCESS_LIST)
    from shared.settings import SettingsError, load_settings

    try:
        return load_settings()
    except SettingsError as error:
        raise CommandError(str(error)) from error


def _summary(data: Path, listeners: Listeners) -> str:
    host = "127.0.0.1" if listeners.tls or listeners.bind in ("0.0.0.0", "127.0.0.1") else listeners.bind
    look = f"XDG_CONFIG_HOME={data}/secrets/viewer mosquitto_sub -h {host} -p {listeners.port} -t 'wvr/v1/#' -v"
    if not shutil.which("mosquitto_sub"):
        look += "   (apt-get install mosquitto-clients)"
    tls = (
        f"\n  TLS      {listeners.bind}:{listeners.tls}, certificate valid until {listeners.certified_until}"
        if listeners.tls
        else ""
    )
    return f"""
  look     {listeners.dashboard.url} (dashboard)
  files    {data}/sensor/alert.txt (each minute), server.txt (each ten minutes)
  history  {data}/wvr.db
  models   {data}/output/Learning_lstm/
  broker   {host}:{listeners.port}; read-only user viewer, password in {data}/secrets/viewer/password{tls}
  listen   {look}
  change   {os.environ.get("WVR_SITE_FILE", ROOT / "site.toml")}, then ./wvr validate and ./wvr up
"""
