"""`./wvr contract`: regenerate the files that follow from the code."""

from __future__ import annotations

import argparse

from cli.bootstrap import ROOT
from cli.broker_client import Operator
from cli.reference import anomaly_kinds_page, commands_page, settings_page, status_codes_page, topics_page
from services.dashboard.service import Dashboard
from services.db_writer.service import DbWriter
from services.detector.service import Detector
from services.forecaster.service import Forecaster
from services.ingest.service import Ingest
from services.notifier.service import Notifier
from services.reporter.service import Reporter
from services.trainer.service import Trainer
from shared.contract.acl import access_list
from shared.contract.asyncapi import document
from shared.contract.service import Service

DECLARING_SERVICES: tuple[type[Service], ...] = (
    Ingest,
    Detector,
    Forecaster,
    Trainer,
    DbWriter,
    Reporter,
    Dashboard,
    Notifier,
)


def contents() -> dict[str, str]:
    """Return the generated text by path in the repository."""
    services = {service.name: service for service in DECLARING_SERVICES}
    return {
        "broker/acl": access_list({**services, Operator.name: Operator}),
        "docs/reference/anomaly-kinds.md": anomaly_kinds_page(),
        "docs/reference/asyncapi.json": document(services),
        "docs/reference/commands.md": commands_page(),
        "docs/reference/settings.md": settings_page(),
        "docs/reference/status-codes.md": status_codes_page(),
        "docs/reference/topics.md": topics_page(),
    }


def parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog="./wvr contract", description=__doc__)


def main(arguments: list[str]) -> int:
    """Write all generated files."""
    parser().parse_args(arguments)
    for path, text in contents().items():
        (ROOT / path).write_text(text, encoding="utf-8")
        print(path)
    return 0
