"""`./wvr test`: lint, types and every test, with a real Mosquitto, and the Compose stack where Docker answers."""

from __future__ import annotations

import os
import subprocess
import sys

from cli import compose
from cli.bootstrap import ROOT, CommandError, ensure_program

REQUIRE_DOCKER = "WVR_REQUIRE_DOCKER"
PASSED_VARIABLES = (REQUIRE_DOCKER, "WVR_FAULTS")
"""The variables of ours that reach the tests."""
STATIC_CHECKS = (("ruff", "check"), ("mypy",))


def main(arguments: list[str]) -> int:
    """Runs all; with arguments only pytest, with them. Exit code 0 when everything passes."""
    ensure_program("mosquitto", "mosquitto")
    ensure_program("mosquitto_sub", "mosquitto-clients")
    engine = compose.engine()
    if engine.is_available:
        print(f"the Compose stack is tested: {engine.detail}", flush=True)
    elif os.environ.get(REQUIRE_DOCKER):
        raise CommandError(f"{engine.detail}, and {REQUIRE_DOCKER} asks for it")
    else:
        print(f"the Compose stack is NOT tested: {engine.detail}", flush=True)
    for tool, *rest in () if arguments else STATIC_CHECKS:
        print(f"{tool}: ", end="", flush=True)
        if code := _run(tool, *rest):
            return code
    return _run("pytest", *arguments)


def _run(tool: str, *arguments: str) -> int:
    """Runs a tool in the repository; the site's own settings don't reach the tests."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("WVR_") or key in PASSED_VARIABLES}
    command = [sys.executable, "-P", "-m", tool, *arguments]
    return subprocess.run(command, cwd=ROOT, env=kept, check=False).returncode
