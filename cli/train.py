"""`./wvr train`: asks the running trainer for a training, and shows its progress."""

from __future__ import annotations

import argparse
import uuid

from cli.operator import converse
from shared.contract.messages import Command, Message, Progress, Response
from shared.settings import load_settings


def main(arguments: list[str]) -> int:
    argparse.ArgumentParser(prog="wvr train", description=__doc__).parse_args(arguments)
    settings = load_settings()
    transaction = uuid.uuid4().hex[:12]
    answers: list[Response] = []

    def heard(message: Message) -> bool:
        if isinstance(message, Progress) and message.job == "training":
            print(f"{message.step}/{message.of} {message.text}", flush=True)
        if isinstance(message, Response) and message.transaction == transaction:
            answers.append(message)
        return bool(answers)

    converse(settings, [Command(settings.site.name, "train", transaction)], heard)
    print(answers[-1].text)
    return 0 if answers[-1].ok else 1
