"""Wiring of the trainer: the service, and with the word `job` the child process that trains."""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime

from services.trainer.keeper import Keeper
from services.trainer.plan import plan_from_text, to_line
from services.trainer.runner import ChildProcess
from services.trainer.service import Trainer
from services.trainer.shelf import Shelf
from shared.runtime.mqtt_bus import MqttBus
from shared.runtime.run import run
from shared.settings import load_settings
from shared.store.history import History

LOW_PRIORITY = 10


def main() -> None:
    settings = load_settings()
    runner = ChildProcess()
    now = datetime.now(settings.zone).replace(microsecond=0)
    site, zone = settings.site.name, settings.zone
    past = History(settings.database, zone, site)
    keeper = Keeper(site, zone, Shelf(settings.data), past)
    trainer = Trainer(site, zone, settings.training, runner, now, keeper)
    try:
        run(trainer, MqttBus("trainer", settings), note=lambda: keeper.note)
    finally:
        runner.stop()


def job(plan_text: str) -> None:
    """Trains at low priority; one line of JSON a record on stdout, and nothing else."""
    from services.trainer.job import Job  # scikit-learn only where it trains
    from shared.runtime.public_holidays import calendar

    os.nice(LOW_PRIORITY)
    told = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    settings = load_settings()
    past = History(settings.database, settings.zone, settings.site.name)
    site, holidays = settings.site, calendar(settings.site.country)
    cores = len(os.sched_getaffinity(0))
    work = Job(site.name, settings.zone, settings.data, settings.training, past, time.monotonic, holidays, cores)
    for record in work.train(plan_from_text(plan_text)):
        print(to_line(record), file=told)


if __name__ == "__main__":
    job(sys.argv[2]) if sys.argv[1:2] == ["job"] else main()
