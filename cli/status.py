"""`./wvr status`: show the state of each service, with code and note if something is wrong, and of each sensor."""

from __future__ import annotations

import argparse

from cli import compose
from cli.bootstrap import reexec_in_venv
from cli.local_site import data_folder, supervisor_pid
from cli.sensor_states import describe_sensors


def parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog="./wvr status", description=__doc__)


def main(arguments: list[str]) -> int:
    """Print one line for each service and sensor. Return 0 only if all services are healthy."""
    parser().parse_args(arguments)
    data = data_folder()
    if supervisor_pid(data):
        reexec_in_venv("local")
        from cli import local

        states = local.states(data)
    else:
        states = compose.states() if compose.engine().is_available else {}
    for name, state in states.items():
        print(f"{name:<11} {state}")
    for line in describe_sensors(data / "wvr.db"):
        print(line)
    if not states:
        print("WVR does not run; start it with ./wvr up")
    if any(state.state == "degraded" for state in states.values()):
        print("what to do: ./wvr doctor")
    return 0 if states and all(state.is_healthy for state in states.values()) else 1
