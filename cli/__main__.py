"""`./wvr COMMAND …`: find the module of a command and the packages that it needs."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from cli.bootstrap import ROOT, CommandError, reexec_in_venv


class CommandEntry(NamedTuple):
    """One command of `./wvr`."""

    module: str
    """Module with `main(arguments) -> exit code`."""
    packages: str
    """Lock file in requirements/ that it needs; empty for the standard library only."""
    summary: str


COMMANDS = {
    "up": CommandEntry("cli.up", "", "start WVR, in Docker if an engine answers, else as local processes [--local]"),
    "down": CommandEntry("cli.down", "", "stop WVR"),
    "status": CommandEntry("cli.status", "", "show the state of each service"),
    "logs": CommandEntry("cli.logs", "", "show the logs of the services [SERVICE] [--follow]"),
    "autostart": CommandEntry("cli.autostart", "", "show or switch the start after a power cut [on|off]"),
    "validate": CommandEntry("cli.validate", "", "check site.toml [FILE]"),
    "replay": CommandEntry(
        "cli.replay", "local", "run all services over recorded readings: INPUT --data DIR [--site S] [--train DATE]"
    ),
    "import": CommandEntry("cli.import_", "tables", "import past readings into the site: FILE"),
    "export": CommandEntry("cli.export", "core", "export a table as CSV: TABLE [--data DIR] --out FILE.csv"),
    "backup": CommandEntry("cli.backup", "core", "copy wvr.db into data/backup/ and check the copy"),
    "restore": CommandEntry("cli.restore", "core", "replace wvr.db by a backup [FILE]; list the backups without FILE"),
    "doctor": CommandEntry("cli.doctor", "core", "list what is wrong and what to do about it [--deep]"),
    "train": CommandEntry("cli.train", "core", "train now, in the running site"),
    "models": CommandEntry("cli.models", "core", "list the registered models; activate another one [use ID|profile]"),
    "sensors": CommandEntry("cli.sensors", "core", "list the sensors [retire SENSOR|rename SENSOR NAME]"),
    "alarms": CommandEntry("cli.alarms", "core", "list the incidents [show ID|acknowledge ID|close ID --cause C]"),
    "silence": CommandEntry("cli.silence", "core", "open no alarm for a while: MINUTES, or --until TIME [--from TIME]"),
    "password": CommandEntry(
        "cli.password", "dashboard", "set or remove a password of the dashboard [operator|viewer] [--remove]"
    ),
    "notify": CommandEntry("cli.notify", "notifier", "list the contacts; send a test message: list|test [NAME]"),
    "test": CommandEntry("cli.run_tests", "dev", "run lint, type check and all tests [--full] [arguments of pytest]"),
    "audit": CommandEntry("cli.audit", "dev", "write an SBOM for each image and look up known vulnerabilities"),
    "contract": CommandEntry(
        "cli.contract", "local", "regenerate broker/acl, docs/reference/ and asyncapi.json from the code"
    ),
}


PATHS = {"WVR_DATA": "data", "WVR_SITE_FILE": "site.toml"}
"""Environment variable to its default, relative to the repository."""


def load_env_file() -> None:
    """Load the file .env as Compose does, set the default paths, and make paths absolute."""
    file = ROOT / ".env"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    for key, _, value in (line.partition("=") for line in lines if line.startswith(("WVR_", "COMPOSE_PROJECT_NAME"))):
        text = value.strip().strip("\"'")
        os.environ.setdefault(key.strip(), str(ROOT / text) if key.strip() in PATHS else text)
    for key, name in PATHS.items():
        os.environ[key] = str(Path(os.environ.get(key) or ROOT / name).absolute())


def run() -> int:
    """Run the command of sys.argv. Return its exit code, or 2 for an unknown command."""
    name, arguments = (sys.argv[1] if len(sys.argv) > 1 else "help"), sys.argv[2:]
    entry = COMMANDS.get(name)
    if entry is None:
        print("\n".join(f"./wvr {command:<10} {entry.summary}" for command, entry in COMMANDS.items()))
        return 0 if name in ("help", "-h", "--help") else 2
    load_env_file()
    try:
        if entry.packages:
            reexec_in_venv(entry.packages)
        code: int = import_module(entry.module).main(arguments)
    except CommandError as missing:
        print(f"wvr: {missing}", file=sys.stderr)
        return 1
    return code


def main() -> int:
    """Return the exit code of the command, or 1 if the reader of a pipe has closed it (`./wvr logs | head`)."""
    try:
        code = run()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
