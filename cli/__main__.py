"""`./wvr COMMAND …`: finds the command's module and the packages that it needs."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from cli.bootstrap import ROOT, CommandError, reexec_in_venv


class CommandEntry(NamedTuple):
    """Where a command is."""

    module: str
    """Has main(arguments) -> exit code."""
    packages: str
    """Lock file in requirements/ that it needs; empty: the standard library."""
    summary: str


COMMANDS = {
    "up": CommandEntry(
        "cli.up", "", "starts all: in Docker where an engine answers, else as local processes [--local]"
    ),
    "down": CommandEntry("cli.down", "", "stops all"),
    "status": CommandEntry("cli.status", "", "how each service is"),
    "logs": CommandEntry("cli.logs", "", "what the services say [SERVICE] [--follow]"),
    "autostart": CommandEntry("cli.autostart", "", "whether WVR starts again after a power cut [on|off]"),
    "validate": CommandEntry("cli.validate", "core", "says whether site.toml can be used [FILE]"),
    "replay": CommandEntry(
        "cli.replay", "local", "all services over recorded readings: INPUT --data DIR [--site S] [--train DATE]"
    ),
    "import": CommandEntry("cli.import_", "core", "past readings into the site: FILE"),
    "export": CommandEntry("cli.export", "core", "a table as CSV: TABLE [--data DIR] --out FILE.csv"),
    "backup": CommandEntry(
        "cli.backup", "core", "copies wvr.db into data/backup/ now, checked; with the site running or not"
    ),
    "restore": CommandEntry(
        "cli.restore", "core", "puts a backup in wvr.db's place [FILE]; with the site running or not"
    ),
    "doctor": CommandEntry("cli.doctor", "core", "says in plain words what is wrong and what to do [--deep]"),
    "train": CommandEntry("cli.train", "core", "trains now, in the running site"),
    "models": CommandEntry(
        "cli.models", "core", "the kept models of each channel; another one into use [use ID|profile]"
    ),
    "silence": CommandEntry("cli.silence", "core", "opens no alarm while you work at the site: MINUTES [--sensor S]"),
    "test": CommandEntry("cli.run_tests", "dev", "lint, types and every test [arguments of pytest]"),
    "audit": CommandEntry("cli.audit", "dev", "an SBOM of each image; known vulnerabilities, where that can be asked"),
    "contract": CommandEntry("cli.contract", "local", "writes broker/acl and docs/asyncapi.json again"),
}


PATHS = {"WVR_DATA": "data", "WVR_SITE_FILE": "site.toml"}
"""Variable to what it is by default in the repository."""


def load_env_file() -> None:
    """Adds what the file .env sets, as Compose does, and where data and site.toml are; paths become absolute."""
    file = ROOT / ".env"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    for key, _, value in (line.partition("=") for line in lines if line.startswith("WVR_")):
        text = value.strip().strip("\"'")
        os.environ.setdefault(key.strip(), str(ROOT / text) if key.strip() in PATHS else text)
    for key, name in PATHS.items():
        os.environ[key] = str(Path(os.environ.get(key) or ROOT / name).absolute())


def run() -> int:
    """Runs a command; exit code 2 when there is none of that name."""
    name, arguments = (sys.argv[1] if len(sys.argv) > 1 else "help"), sys.argv[2:]
    entry = COMMANDS.get(name)
    if entry is None:
        print("\n".join(f"./wvr {known:<10} {one.summary}" for known, one in COMMANDS.items()))
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
    """Exit code of the command; 1, and nothing more, when who reads what it prints has gone: `./wvr logs | head`."""
    try:
        code = run()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
