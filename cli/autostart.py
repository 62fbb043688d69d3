"""`./wvr autostart [on|off]`: whether WVR starts again by itself after a power cut. Standard library only."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path
from pwd import getpwuid

from cli import compose
from cli.bootstrap import ROOT, VENV, CommandError, as_root
from cli.local_site import data_folder, supervisor_pid

UNIT = "wvr.service"
FOLDER = "etc/systemd/system"
TEMPLATE = """\
# Written by: ./wvr autostart on
[Unit]
Description=WVR, water-flow and pressure watch
After=network.target time-sync.target
RequiresMountsFor={data} {root}

[Service]
Type=exec
User={user}
WorkingDirectory={root}
ExecStart={supervisord} --nodaemon --configuration {data}/run/supervisord.conf
KillMode=mixed
TimeoutStopSec=90
Restart=on-failure
RestartSec=10
# That it runs already, started by hand, is no reason to try again.
RestartPreventExitStatus=2
# A training that needs too much memory must not take the minute work with it.
OOMPolicy=continue
NoNewPrivileges=yes

[Install]
WantedBy=multi-user.target
"""


def main(arguments: list[str]) -> int:
    """Says how it is, or switches it for the way in which WVR runs now. Raises Missing."""
    parser = argparse.ArgumentParser(prog="./wvr autostart", description=__doc__)
    parser.add_argument("switch", nargs="?", choices=("on", "off"))
    parser.add_argument("--root", type=Path, default=Path("/"), help="of a system that is not running: a disk image")
    wanted = parser.parse_args(arguments)
    data = data_folder()
    try:
        if wanted.switch:
            print(_switch(wanted.switch == "on", data, wanted.root))
        else:
            print(_state_text(data, wanted.root))
    except (subprocess.CalledProcessError, OSError) as error:
        said = getattr(error, "stdout", None) or error
        raise CommandError(f"autostart could not be switched {wanted.switch}, it needs root or sudo: {said}") from error
    return 0


def render_unit(data: Path) -> str:
    """The systemd unit of local mode; it runs what the last `./wvr up` wrote, as the owner of the data folder."""
    words = {"data": data, "root": ROOT, "supervisord": VENV / "bin/supervisord"}
    if odd := [str(path) for path in words.values() if set(str(path)) & set(" \t\"'\\$;")]:
        raise CommandError(f"systemd would misread the path {odd[0]}; use one of letters, digits, - _ . /")
    plain = {name: str(path).replace("%", "%%") for name, path in words.items()}
    return TEMPLATE.format(user=getpwuid(data.stat().st_uid).pw_name, **plain)


def is_installed(root: Path = Path("/")) -> bool:
    """Whether local processes start with the machine."""
    return (root / FOLDER / "multi-user.target.wants" / UNIT).is_symlink()


def starts_with_docker(root: Path = Path("/")) -> bool:
    """Whether the Docker engine, and with it what it ran last, starts with the machine."""
    wants = root / FOLDER / "multi-user.target.wants/docker.service"
    sockets = root / FOLDER / "sockets.target.wants/docker.socket"
    return wants.is_symlink() or sockets.is_symlink()


def runs_systemd() -> bool:
    """Whether systemd starts this machine's services (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


def _switch(on: bool, data: Path, root: Path) -> str:
    if root == Path("/") and not runs_systemd():
        advice = f"let this machine's own start-up run: WVR_DATA={data} {ROOT}/wvr up --local"
        raise CommandError(f"no systemd runs here, so ./wvr can't switch that; {advice}")
    if not on:
        _remove(root)
        return "after a power cut WVR stays down; in Docker it starts again unless it was stopped: ./wvr down"
    if supervisor_pid(data):
        _install(render_unit(data), root)
        return f"WVR starts with the machine, from now on: {root / FOLDER / UNIT}"
    if compose.engine().is_available and compose.is_running():
        _remove(root)
        as_root("systemctl", f"--root={root}", "enable", "docker")
        return "WVR starts with Docker, and Docker starts with the machine from now on"
    raise CommandError("WVR does not run; first ./wvr up, then ./wvr autostart on: it starts again in the same way")


def _install(text: str, root: Path) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=f"-{UNIT}", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        as_root("install", "-D", "-m", "644", file.name, str(root / FOLDER / UNIT))
    as_root("systemctl", f"--root={root}", "enable", UNIT)
    _reload(root)


def _remove(root: Path) -> None:
    if (root / FOLDER / UNIT).exists():
        as_root("systemctl", f"--root={root}", "disable", UNIT)
        as_root("rm", str(root / FOLDER / UNIT))
        _reload(root)


def _reload(root: Path) -> None:
    if root == Path("/"):
        as_root("systemctl", "daemon-reload")


def _state_text(data: Path, root: Path) -> str:
    if supervisor_pid(data) or is_installed(root):
        return f"after a power cut the local processes {'start again' if is_installed(root) else 'stay down'}"
    if shutil.which("docker"):
        return f"Docker {'starts' if starts_with_docker(root) else 'does not start'} with the machine, and with it what it ran"
    return "nothing of WVR starts with the machine"
