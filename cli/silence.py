"""`./wvr silence`: start a maintenance window, in which the detector opens no alarm and learns nothing."""

from __future__ import annotations

import argparse

from cli.broker_client import send_command
from shared.settings import load_settings


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="./wvr silence", description=__doc__)
    command.add_argument(
        "minutes", type=int, metavar="MINUTES", help="length from now on, up to a week; 0 ends the window"
    )
    command.add_argument("--sensor", default="", help="only this sensor; default: all sensors")
    return command


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    return send_command(load_settings(), "silence", sensor=options.sensor, minutes=str(options.minutes))
