"""Wiring of the trainer: the service, and with the argument `job` the child process that trains."""

from __future__ import annotations

import logging
import os
import sys
import time
from datetime import datetime

from services.trainer.model_selection import ModelSelector
from services.trainer.runner import SubprocessRunner
from services.trainer.service import Trainer
from services.trainer.training_protocol import decode_request, encode_record
from shared.contract.status_codes import problem
from shared.models.registry import ModelRegistry
from shared.runtime.log import log, start_logging
from shared.runtime.loop import run
from shared.runtime.mqtt_bus import MqttBus
from shared.runtime.processor import can_run_tensorflow
from shared.settings import load_settings
from shared.store.history import History

NICE_INCREMENT = 10
"""Added to the niceness of the training process."""


def main() -> None:
    settings = load_settings()
    start_logging(settings.zone)
    runner = SubprocessRunner()
    now = datetime.now(settings.zone).replace(microsecond=0)
    site, zone = settings.site.name, settings.zone
    history = History(settings.database, zone, site, settings.value_ranges)
    selector = ModelSelector(site, zone, ModelRegistry(settings.data), history)
    obstacle = None if can_run_tensorflow() else problem("processor_without_avx")
    if obstacle:
        log("trainer", "training_impossible", logging.WARNING, code=obstacle.code, reason=obstacle.text.en)
    trainer = Trainer(site, zone, settings.training, runner, now, selector, lambda: bool(history.sensors()), obstacle)
    try:
        run(trainer, MqttBus("trainer", settings), problems=trainer.problems)
    finally:
        runner.stop()


def run_job(request_text: str) -> None:
    """Train at low priority and print each record as one line of JSON to stdout, and nothing else."""
    from services.trainer.training_job import TrainingJob  # loads scikit-learn
    from shared.runtime.public_holidays import make_calendar

    os.nice(NICE_INCREMENT)
    records_out = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # libraries that print must not disturb the records
    settings = load_settings()
    site, zone = settings.site, settings.zone
    job = TrainingJob(
        site.name,
        zone,
        settings.data,
        settings.training,
        History(settings.database, zone, site.name, settings.value_ranges),
        time.monotonic,
        make_calendar(site.country),
        len(os.sched_getaffinity(0)),
    )
    for record in job.train(decode_request(request_text)):
        print(encode_record(record), file=records_out)


if __name__ == "__main__":
    run_job(sys.argv[2]) if sys.argv[1:2] == ["job"] else main()
