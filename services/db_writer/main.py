"""Wire db_writer to the broker and the database."""

import logging
import time
from datetime import datetime

from services.db_writer.background import BackgroundBackup, BackgroundIntegrityCheck
from services.db_writer.maintenance import DatabaseMaintenance
from services.db_writer.report_reader import ReportReader
from services.db_writer.service import DbWriter
from services.db_writer.storage_probe import DiskStorageProbe
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
    start_logging(settings.zone)
    recorder = open_recorder_with_retry(settings)
    database, site = settings.database, settings.site.name
    history = History(database, settings.zone, site)
    backup = BackgroundBackup(database, settings.backups, lambda: datetime.now(settings.zone))
    report_reader = ReportReader(settings.sensor_folder, backfill_marker(database), site, settings.zone)
    service = DbWriter(
        recorder,
        site,
        settings.store.retention_days,
        lambda at: datetime.fromtimestamp(at, settings.zone),
        DatabaseMaintenance(
            site, recorder, backup, report_reader, BackgroundIntegrityCheck(database, settings.backups)
        ),
        DiskStorageProbe(database, settings.backups, settings.zone, history),
    )
    bus = MqttBus("db_writer", settings, history.sensors)
    run(service, bus, problems=lambda: [problem for problem in (recorder.repair_problem, backup.failure) if problem])
    recorder.close()


def open_recorder_with_retry(settings: Settings) -> Recorder:
    """Open the recorder, with retries until the database is available; the broker queues messages meanwhile."""
    while True:
        try:
            recorder = Recorder(settings.database, settings.zone, settings.store.horizons, settings.value_ranges)
        except Unavailable as reason:
            log("db_writer", "database_unavailable", logging.ERROR, reason=str(reason))
            time.sleep(5)
        else:
            if recorder.repair_problem:
                log("db_writer", "database_repaired", logging.ERROR, text=recorder.repair_problem.text.en)
            return recorder


if __name__ == "__main__":
    main()
