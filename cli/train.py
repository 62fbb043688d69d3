"""`./wvr train`: ask the running trainer for a training and show its progress."""

from __future__ import annotations

import argparse

from cli.broker_client import send_command
from shared.settings import load_settings


def parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog="./wvr train", description=__doc__)


def main(arguments: list[str]) -> int:
    parser().parse_args(arguments)
    settings = load_settings()
    return send_command(settings, "train", "training")
