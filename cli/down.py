"""`./wvr down`: stops all; what is stored stays."""

from __future__ import annotations

from cli import compose
from cli.packages import Missing, enter
from cli.place import data_folder, supervisor


def main(arguments: list[str]) -> int:
    """Stops WVR wherever it runs."""
    if arguments:
        raise Missing("usage: ./wvr down")
    data = data_folder()
    if supervisor(data):
        enter("local")
        from cli import local

        local.down(data)
        print("stopped the local processes")
    elif compose.engine().answers:
        return compose.compose("down").returncode
    else:
        print("nothing runs")
    return 0
