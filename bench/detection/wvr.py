"""WVR's alarms on a record: through the command line, or faster in one process without storage and reports."""

from __future__ import annotations

import csv
import logging
import os
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from bench.detection.faults import LoggerLines
from bench.detection.scoring import Alarm
from cli.bootstrap import ROOT
from services.detector.service import Detector
from services.forecaster.service import Forecaster
from services.ingest.dead_letters import DeadLetterFiles
from services.ingest.initial_history import NoInitialHistory
from services.ingest.service import Ingest
from services.ingest.spool import NullSpool
from services.ingest.tables.documented import read_measurements
from shared.contract.messages import Anomaly, Message, Tick
from shared.runtime.public_holidays import make_calendar
from shared.runtime.replay import Replay, group_by_minute
from shared.runtime.sensor_registry import SensorRegistry
from shared.settings import Settings, load_settings
from shared.store.history import History
from shared.store.recorder import Recorder

SITE = "site.toml"


def by_command(lines: LoggerLines, folder: Path) -> list[Alarm]:
    """Return alarms from `./wvr replay` and `./wvr export anomalies`, with the settings in the folder, which it fills.

    Raises CalledProcessError.
    """
    lines.write(folder / "record.csv")
    _wvr("replay", str(folder / "record.csv"), "--data", str(folder / "data"), "--site", str(folder / SITE))
    _wvr("export", "anomalies", "--data", str(folder / "data"), "--out", str(folder / "anomalies.csv"))
    end = int(lines.at.max()) + 60
    with (folder / "anomalies.csv").open(encoding="utf-8") as file:
        return sorted((_alarm(row, end) for row in csv.DictReader(file)), key=lambda alarm: alarm.start)


def in_process(lines: LoggerLines, folder: Path) -> list[Alarm]:
    """Return the same alarms in less time, without storing anything."""
    lines.write(folder / "record.csv")
    logging.disable(logging.INFO)
    settings = load_settings(folder / SITE).model_copy(update={"data": folder})
    Recorder(settings.database, settings.zone, settings.store.horizons).close()
    collector = AnomalyCollector()
    ingest, forecaster, detector = _services(settings)
    replay = Replay([ingest, forecaster, detector], collector)
    for items, minute in group_by_minute(read_measurements(folder / "record.csv", settings.zone)):
        replay.feed(ingest, [*items, *([] if minute is None else [Tick(settings.site.name, minute)])])
    replay.store()
    return collector.alarms(int(lines.at.max()) + 60)


class AnomalyCollector:
    """Service that collects the anomalies, in place of db_writer."""

    name: ClassVar[str] = "listener"
    consumes: ClassVar[tuple[type[Message], ...]] = (Anomaly,)
    produces: ClassVar[tuple[type[Message], ...]] = ()
    commands: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self._anomalies: dict[str, Anomaly] = {}

    def start(self) -> Iterator[Message]:
        return iter(())

    def handle(self, message: Message) -> Iterator[Message]:
        if isinstance(message, Anomaly):
            self._anomalies[message.id] = message
        return iter(())

    def end_batch(self) -> Iterator[Message]:
        return iter(())

    def alarms(self, end: int) -> list[Alarm]:
        """Return the anomalies as alarms, in order of time; an open one ends at `end`, epoch seconds."""
        alarms = [
            Alarm(
                anomaly.kind,
                int(anomaly.opened_at.timestamp()),
                int(anomaly.cleared_at.timestamp()) if anomaly.cleared_at else end,
                anomaly.channel,
            )
            for anomaly in self._anomalies.values()
        ]
        return sorted(alarms, key=lambda alarm: alarm.start)


def _services(settings: Settings) -> tuple[Ingest, Forecaster, Detector]:
    site, zone = settings.site.name, settings.zone
    history = History(settings.database, zone, site)
    bad_lines, holidays = DeadLetterFiles(settings.data / "rejected"), make_calendar(settings.site.country)
    return (
        Ingest(site, NullSpool("bench"), "bench", SensorRegistry(settings.sensors), bad_lines, NoInitialHistory()),
        Forecaster(site, zone, history, lambda *_: None, holidays),
        Detector(settings, history, holidays),
    )


def _alarm(row: dict[str, str], end: int) -> Alarm:
    start = int(datetime.fromisoformat(row["opened_at"]).timestamp())
    stop = int(datetime.fromisoformat(row["cleared_at"]).timestamp()) if row["cleared_at"] else end
    return Alarm(row["kind"], start, stop, row["channel"])


def _wvr(*arguments: str) -> None:
    subprocess.run([ROOT / "wvr", *arguments], env=os.environ, stdout=subprocess.DEVNULL, check=True)
