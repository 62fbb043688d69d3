"""`./wvr silence`: asks the detector to open no alarm, and to learn nothing, while somebody works at the site."""

from __future__ import annotations

import argparse

from cli.broker_client import send_command
from shared.settings import load_settings


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="wvr silence", description=__doc__)
    parser.add_argument("minutes", type=int, metavar="MINUTES", help="from now on, up to a week; 0 ends it")
    parser.add_argument("--sensor", default="", help="only this one; else all of the site")
    wanted = parser.parse_args(arguments)
    return send_command(load_settings(), "silence", sensor=wanted.sensor, minutes=str(wanted.minutes))
