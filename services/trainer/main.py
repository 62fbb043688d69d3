"""Wiring of the trainer: the service, and with the word `job` the child process that trains."""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime

from services.trainer.model_selection import ModelSelector
from services.trainer.runner import SubprocessRunner
from services.trainer.service import Trainer
from services.trainer.training_protocol import decode_request, encode_record
from shared.models.registry import ModelRegistry
from shared.runtime.loop import run
from shared.runtime.mqtt_bus import MqttBus
from shared.settings import load_settings
from shared.store.history import History

NICE_INCREMENT = 10


def main() -> None:
    settings = load_settings()
    runner = SubprocessRunner()
    now = datetime.now(settings.zone).replace(microsecond=0)
    site, zone = settings.site.name, settings.zone
    past = History(settings.database, zone, site)
    keeper = ModelSelector(site, zone, ModelRegistry(settings.data), past)
    trainer = Trainer(site, zone, settings.training, runner, now, keeper)
    try:
        run(trainer, MqttBus("trainer", settings), status_text=lambda: keeper.status_text)
    finally:
        runner.stop()


def run_job(plan_text: str) -> None:
    """Trains at low priority; one line of JSON a record on stdout, and nothing else."""
    from services.trainer.training_job import TrainingJob  # scikit-learn only where it trains
    from shared.runtime.public_holidays import make_calendar

    os.nice(NICE_INCREMENT)
    told = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    settings = load_settings()
    past = History(settings.database, settings.zone, settings.site.name)
    site, holidays = settings.site, make_calendar(settings.site.country)
    cores = len(os.sched_getaffinity(0))
    work = TrainingJob(
        site.name, settings.zone, settings.data, settings.training, past, time.monotonic, holidays, cores
    )
    for record in work.train(decode_request(plan_text)):
        print(encode_record(record), file=told)


if __name__ == "__main__":
    run_job(sys.argv[2]) if sys.argv[1:2] == ["job"] else main()
