"""`./wvr autostart [on|off]`: start WVR with the machine. Standard library only."""

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
# Exit code 2: it already runs, started by hand.
RestartPreventExitStatus=2
# A training that runs out of memory must not stop the other services.
OOMPolicy=continue
NoNewPrivileges=yes

[Install]
WantedBy=multi-user.target
"""


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="./wvr autostart", description=__doc__)
    command.add_argument("switch", nargs="?", choices=("on", "off"))
    command.add_argument(
        "--root", type=Path, default=Path("/"), help="root folder of another system, such as a disk image"
    )
    return command


def main(arguments: list[str]) -> int:
    """Show the state, or switch it for the mode in which WVR runs now. Raises CommandError."""
    options = parser().parse_args(arguments)
    data = data_folder()
    try:
        if options.switch:
            print(_switch(options.switch == "on", data, options.root))
        else:
            print(_state_text(data, options.root))
    except (subprocess.CalledProcessError, OSError) as error:
        reason = getattr(error, "stdout", None) or error
        raise CommandError(f"autostart {options.switch} failed; it needs root or sudo: {reason}") from error
    return 0


def render_unit(data: Path) -> str:
    """Return the systemd unit of local mode. It runs the configuration of the last `./wvr up` as the data's owner."""
    words = {"data": data, "root": ROOT, "supervisord": VENV / "bin/supervisord"}
    if odd := [str(path) for path in words.values() if set(str(path)) & set(" \t\"'\\$;")]:
        raise CommandError(f"systemd can't use the path {odd[0]}; move WVR to a path of letters, digits, - _ . /")
    plain = {name: str(path).replace("%", "%%") for name, path in words.items()}
    return TEMPLATE.format(user=getpwuid(data.stat().st_uid).pw_name, **plain)


def is_installed(root: Path = Path("/")) -> bool:
    """Return whether local processes start with the machine."""
    return (root / FOLDER / "multi-user.target.wants" / UNIT).is_symlink()


def starts_with_docker(root: Path = Path("/")) -> bool:
    """Return whether the Docker engine, and with it its containers, starts with the machine."""
    wants = root / FOLDER / "multi-user.target.wants/docker.service"
    sockets = root / FOLDER / "sockets.target.wants/docker.socket"
    return wants.is_symlink() or sockets.is_symlink()


def runs_systemd() -> bool:
    """Return whether systemd starts the services of this machine (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


def _switch(on: bool, data: Path, root: Path) -> str:
    if root == Path("/") and not runs_systemd():
        advice = f"add this line to the start-up script of the machine: WVR_DATA={data} {ROOT}/wvr up --local"
        raise CommandError(f"systemd does not run here; {advice}")
    if not on:
        _remove(root)
        return "WVR stays down after a power cut; containers start again unless ./wvr down stopped them"
    if supervisor_pid(data):
        _install(render_unit(data), root)
        return f"WVR now starts with the machine: {root / FOLDER / UNIT}"
    if compose.engine().is_available and compose.is_running():
        _remove(root)
        as_root("systemctl", f"--root={root}", "enable", "docker")
        return "WVR starts with Docker, and Docker now starts with the machine"
    raise CommandError("WVR does not run; start it with ./wvr up, then run ./wvr autostart on")


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
        return f"the local processes {'start again' if is_installed(root) else 'stay down'} after a power cut"
    if shutil.which("docker"):
        verb = "starts" if starts_with_docker(root) else "does not start"
        return f"Docker {verb} with the machine; it starts its containers"
    return "WVR does not start with the machine"
