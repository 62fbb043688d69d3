"""`./wvr silence`: open no alarm for a while; in a window of all methods, the detector learns nothing either."""

from __future__ import annotations

import argparse
import getpass

from cli.broker_client import send_command
from shared.settings import load_settings

METHODS = ("system", "value", "prediction", "night")


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="./wvr silence", description=__doc__)
    command.add_argument(
        "minutes", nargs="?", default="", metavar="MINUTES", help="length from now on, up to a week; 0 ends the window"
    )
    command.add_argument("--until", default="", metavar="TIME", help="end instead, such as 2026-03-01T17:00")
    command.add_argument("--from", default="", dest="start", metavar="TIME", help="begin later than now")
    command.add_argument("--sensor", default="", help="only this sensor; default: all sensors")
    command.add_argument("--method", default="", choices=METHODS, help="only this check; default: all checks")
    command.add_argument("--reason", default="", help="why; it is kept with the window")
    command.add_argument("--by", default="", metavar="NAME", help="default: the user of this machine")
    return command


def main(arguments: list[str]) -> int:
    command = parser()
    options = command.parse_args(arguments)
    if not options.minutes and not options.until:
        command.error("MINUTES or --until is missing")
    span = {"minutes": options.minutes, "from": options.start, "until": options.until}
    entry = {"reason": options.reason, "by": options.by or getpass.getuser()}
    return send_command(load_settings(), "silence", sensor=options.sensor, method=options.method, **span, **entry)
