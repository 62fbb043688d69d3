"""Wires db_writer to the broker and the database."""

import logging
import time
from datetime import datetime

from services.db_writer.background import BackgroundBackup
from services.db_writer.looking import BackgroundIntegrityCheck
from services.db_writer.maintenance import DatabaseMaintenance
from services.db_writer.report_reader import ReportReader
from services.db_writer.service import DbWriter
from shared.contract.service import Unavailable
from shared.runtime.log import log, start_logging
from shared.runtime.loop import run
from shared.runtime.mqtt_bus import MqttBus
from shared.settings import Settings, load_settings
from shared.store.history import History
from shared.store.recorder import Recorder
from shared.store.repair import backfill_marker


def main() -> None:
    settings = load_settings()
    start_logging()
    recorder = open_recorder_with_retry(settings)
    database, site = settings.database, settings.site.name
    copying = BackgroundBackup(database, settings.backups, lambda: datetime.now(settings.zone))
    outbox = ReportReader(settings.sensor_folder, backfill_marker(database), site, settings.zone)
    service = DbWriter(
        recorder,
        site,
        settings.store.retention_days,
        lambda at: datetime.fromtimestamp(at, settings.zone),
        DatabaseMaintenance(site, recorder, copying, outbox, BackgroundIntegrityCheck(database, settings.backups)),
    )
    stored = History(settings.database, settings.zone, settings.site.name).sensors
    bus = MqttBus("db_writer", settings, stored)
    run(service, bus, status_text=lambda: "; ".join(filter(None, (recorder.repair_text, copying.failure))))
    recorder.close()


def open_recorder_with_retry(settings: Settings) -> Recorder:
    """The recorder, as soon as the database can be opened; the broker keeps what is said meanwhile."""
    while True:
        try:
            recorder = Recorder(settings.database, settings.zone, settings.store.horizons)
        except Unavailable as reason:
            log("db_writer", str(reason), logging.ERROR)
            time.sleep(5)
        else:
            if recorder.repair_text:
                log("db_writer", recorder.repair_text, logging.ERROR)
            return recorder


if __name__ == "__main__":
    main()
