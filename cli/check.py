"""`./wvr test`: lint, types and every test, with a real Mosquitto, and the Compose stack where Docker answers."""

from __future__ import annotations

import os
import subprocess
import sys

from cli import compose
from cli.packages import ROOT, Missing, program

REQUIRED = "WVR_REQUIRE_DOCKER"
KEPT = (REQUIRED, "WVR_FAULTS")
"""The variables of ours that reach the tests."""
CHECKS = (("ruff", "check"), ("mypy",))


def main(arguments: list[str]) -> int:
    """Runs all; with arguments only pytest, with them. Exit code 0 when everything passes."""
    program("mosquitto", "mosquitto")
    program("mosquitto_sub", "mosquitto-clients")
    engine = compose.engine()
    if engine.answers:
        print(f"the Compose stack is tested: {engine.says}", flush=True)
    elif os.environ.get(REQUIRED):
        raise Missing(f"{engine.says}, and {REQUIRED} asks for it")
    else:
        print(f"the Compose stack is NOT tested: {engine.says}", flush=True)
    for tool, *rest in () if arguments else CHECKS:
        print(f"{tool}: ", end="", flush=True)
        if code := _run(tool, *rest):
            return code
    return _run("pytest", *arguments)


def _run(tool: str, *arguments: str) -> int:
    """Runs a tool in the repository; the site's own settings don't reach the tests."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("WVR_") or key in KEPT}
    command = [sys.executable, "-P", "-m", tool, *arguments]
    return subprocess.run(command, cwd=ROOT, env=kept, check=False).returncode
