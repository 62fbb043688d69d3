"""`./wvr logs`: show the logs of the services."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

from cli import compose
from cli.bootstrap import CommandError
from cli.local_site import data_folder, supervisor_pid

TAIL_LINES = "200"


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="./wvr logs", description=__doc__)
    command.add_argument("service", nargs="*", help="default: all")
    command.add_argument("-f", "--follow", action="store_true", help="follow until Ctrl-C")
    return command


def main(arguments: list[str]) -> int:
    """Print the newest lines of all services, or of those named."""
    options = parser().parse_args(arguments)
    data = data_folder()
    try:
        if supervisor_pid(data) or not compose.engine().is_available:
            return _tail(data / "log", options.service, options.follow)
        follow = ["--follow"] if options.follow else []
        return compose.compose("logs", "--tail", TAIL_LINES, *follow, *options.service).returncode
    except KeyboardInterrupt:
        return 0


def _tail(folder: Path, services: list[str], follow: bool) -> int:
    files = [folder / f"{name}.log" for name in services] or sorted(folder.glob("*.log"))
    if missing := [str(file) for file in files if not file.exists()] or ([] if files else [f"{folder}/*.log"]):
        raise CommandError(f"no such log file: {', '.join(missing)}")
    return subprocess.run(
        ["tail", "-n", TAIL_LINES, *(["-F"] if follow else []), *map(str, files)], check=False
    ).returncode
