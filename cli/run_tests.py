"""`./wvr test`: run lint, type check and all tests, with Mosquitto, and with Docker if an engine answers."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from cli import compose
from cli.bootstrap import ROOT, CommandError, ensure_program

REQUIRE_DOCKER = "WVR_REQUIRE_DOCKER"
PASSED_VARIABLES = (REQUIRE_DOCKER, "WVR_FAULTS", "WVR_SCREENSHOTS")
"""WVR_ variables that reach the tests."""
STATIC_CHECKS = (("ruff", "check"), ("ruff", "format", "--check"), ("mypy",))
WORKERS = 4
"""Test processes at a time: twice the cores of a mini PC, since half of the tests wait most of the time."""


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="./wvr test", description=__doc__)
    command.add_argument("--full", action="store_true", help="also run the long campaigns")
    command.add_argument("pytest", nargs="*", help="arguments for pytest; with any, only pytest runs, in one process")
    return command


def main(arguments: list[str]) -> int:
    """Run the checks and tests. Return 0 if everything passes."""
    options, pytest_options = parser().parse_known_args(arguments)
    selection = [*options.pytest, *pytest_options]
    ensure_program("mosquitto", "mosquitto")
    ensure_program("mosquitto_sub", "mosquitto-clients")
    engine = compose.engine()
    if engine.is_available:
        print(f"the Compose stack is tested: {engine.detail}", flush=True)
    elif os.environ.get(REQUIRE_DOCKER):
        raise CommandError(f"{engine.detail}, but {REQUIRE_DOCKER} is set")
    else:
        print(f"the Compose stack is NOT tested: {engine.detail}", flush=True)
    if not selection:
        images = _build_images() if engine.is_available else None
        for tool, *rest in STATIC_CHECKS:
            print(f"{tool}: ", end="", flush=True)
            if code := _run(tool, *rest):
                return code
        if images and images.wait():
            raise CommandError("the images could not be built; see Docker's output above")
    workers = () if selection else ("--numprocesses", str(WORKERS), "--dist", "loadfile")
    full = ("--full",) if options.full else ()
    return _run("pytest", *workers, *full, *selection)


def _build_images() -> subprocess.Popen[bytes]:
    """Start building the images, so that tests at the same time do not build them at the same time."""
    return subprocess.Popen(["docker", "compose", "--progress", "quiet", "--project-directory", str(ROOT), "build"])


def _run(tool: str, *arguments: str) -> int:
    """Run a tool in the repository without the site's own settings."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("WVR_") or key in PASSED_VARIABLES
    }
    command = [sys.executable, "-P", "-m", tool, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
