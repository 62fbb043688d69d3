"""`./wvr validate`: check site.toml and the environment. With Docker it runs in WVR's image and installs nothing."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from cli import compose
from cli.bootstrap import is_installed, reexec_in_venv

LOCK = "core"
"""Packages that it needs."""
HOST_ONLY = ("WVR_DATA", "WVR_SITE_FILE", "WVR_BROKER__CA")
"""Variables that name a path of this machine."""


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="./wvr validate", description=__doc__)
    command.add_argument("file", nargs="?", type=Path, help="default: site.toml")
    return command


def main(arguments: list[str]) -> int:
    """Print what is valid, or each problem. Return 1 if something is invalid. Raises CommandError."""
    file = (parser().parse_args(arguments).file or Path(os.environ["WVR_SITE_FILE"])).absolute()
    if not file.is_file():
        print(f"{file}: file not found", file=sys.stderr)
        return 1
    if not is_installed(LOCK) and compose.engine().is_available:
        variables = [key for key in os.environ if key.startswith("WVR_") and key not in HOST_ONLY]
        return compose.run_in_image(file, variables, "cli.validate", str(file))
    reexec_in_venv(LOCK)
    return validate(file)


def validate(file: Path) -> int:
    """Validate a file with the packages of this process."""
    from shared.settings import SettingsError, load_settings

    try:
        settings = load_settings(file)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    sensors = ", ".join(settings.sensors) or "every sensor that reports"
    print(f"valid: site {settings.site.name} ({settings.site.timezone}), {sensors}, source {settings.live_source}")
    return 0


if __name__ == "__main__":
    sys.exit(validate(Path(sys.argv[1])))
