"""`./wvr status`: how each service is."""

from __future__ import annotations

from cli import compose
from cli.packages import Missing, enter
from cli.place import data_folder, supervisor

WELL = ("healthy", "done")


def main(arguments: list[str]) -> int:
    """Prints a line a service; exit code 0 only when all are well."""
    if arguments:
        raise Missing("usage: ./wvr status")
    data = data_folder()
    if supervisor(data):
        enter("local")
        from cli import local

        states = local.states(data)
    else:
        states = compose.states() if compose.engine().answers else {}
    for name, state in states.items():
        print(f"{name:<11} {state}")
    if not states:
        print("nothing runs; start it with ./wvr up")
    return 0 if states and all(state in WELL for state in states.values()) else 1
