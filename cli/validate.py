"""`./wvr validate`: check site.toml and the environment."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from shared.settings import SettingsError, load_settings


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="./wvr validate", description=__doc__)
    command.add_argument("file", nargs="?", type=Path, help="default: site.toml")
    return command


def main(arguments: list[str]) -> int:
    try:
        settings = load_settings(parser().parse_args(arguments).file)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    sensors = ", ".join(settings.sensors) or "every sensor that reports"
    print(f"valid: site {settings.site.name} ({settings.site.timezone}), {sensors}, source {settings.ingest.source}")
    return 0
