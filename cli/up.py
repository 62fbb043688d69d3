"""`./wvr up`: in Docker where an engine answers, else as local processes; says which, why, and where everything is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cli import compose
from cli.packages import ROOT, Missing, enter
from cli.place import data_folder, refuse_taken_port, supervisor


def main(arguments: list[str]) -> int:
    """Starts WVR and waits until it is healthy."""
    if arguments not in ([], ["--local"]):
        raise Missing("usage: ./wvr up [--local]")
    data, bind = data_folder(), os.environ.get("WVR_BIND", "127.0.0.1")
    port = int(os.environ.get("WVR_BROKER__PORT") or 1883)
    if supervisor(data):
        print("WVR runs already, as local processes: ./wvr status; ./wvr down first to start it anew")
    elif arguments:
        _up_locally(bind, port, "as you asked")
    elif (engine := compose.engine()).answers:
        _up_in_docker(bind, port, engine.says)
    else:
        _up_locally(bind, port, engine.says)
    print(_where(data, bind, port))
    return 0


def _up_in_docker(bind: str, port: int, engine: str) -> None:
    print(f"WVR starts in Docker, since an engine answers: {engine}", flush=True)
    if not compose.runs():
        refuse_taken_port(bind, port)
    compose.up()
    print("every service is healthy")


def _up_locally(bind: str, port: int, why: str) -> None:
    enter("local")
    from cli import local
    from shared.settings import SettingsError, load_settings

    print(f"WVR starts as local processes: {why}", flush=True)
    refuse_taken_port(bind, port)
    try:
        local.up(load_settings(), bind)
    except SettingsError as error:
        raise Missing(str(error)) from error
    print("every service is healthy")


def _where(data: Path, bind: str, port: int) -> str:
    host = "127.0.0.1" if bind in ("0.0.0.0", "127.0.0.1") else bind
    look = f"XDG_CONFIG_HOME={data}/secrets/viewer mosquitto_sub -h {host} -p {port} -t 'wvr/v1/#' -v"
    if not shutil.which("mosquitto_sub"):
        look += "   (apt-get install mosquitto-clients)"
    return f"""
  files    {data}/sensor/alert.txt (each minute), server.txt (each ten minutes)
  history  {data}/wvr.db
  models   {data}/output/Learning_lstm/
  broker   {host}:{port}; read-only user viewer, password in {data}/secrets/viewer/password
  look     {look}
  change   {os.environ.get("WVR_SITE_FILE", ROOT / "site.toml")}, then ./wvr validate and ./wvr up
"""
