"""`./wvr down`: stop WVR; the data stays."""

from __future__ import annotations

import argparse

from cli import compose
from cli.bootstrap import reexec_in_venv
from cli.local_site import data_folder, supervisor_pid


def parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog="./wvr down", description=__doc__)


def main(arguments: list[str]) -> int:
    """Stop WVR in the mode in which it runs."""
    parser().parse_args(arguments)
    data = data_folder()
    if supervisor_pid(data):
        reexec_in_venv("local")
        from cli import local

        local.down(data)
        print("stopped the local processes")
    elif compose.engine().is_available:
        compose.require_own_site(data)
        return compose.compose("down").returncode
    else:
        print("WVR does not run")
    return 0
