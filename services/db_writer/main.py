"""Wires db_writer to the broker and the database."""

import logging
import time
from datetime import datetime

from services.db_writer.care import Care
from services.db_writer.copying import Copying
from services.db_writer.looking import Looking
from services.db_writer.outbox import Outbox
from services.db_writer.service import DbWriter
from shared.runtime.log import log, start_logging
from shared.runtime.mqtt_bus import MqttBus
from shared.runtime.run import run
from shared.runtime.service import Unavailable
from shared.settings import Settings, load_settings
from shared.store.history import History
from shared.store.recorder import Recorder
from shared.store.repair import owed_blocks


def main() -> None:
    settings = load_settings()
    start_logging()
    recorder = patiently_opened(settings)
    database, site = settings.database, settings.site.name
    copying = Copying(database, settings.backups, lambda: datetime.now(settings.zone))
    outbox = Outbox(settings.sensor_folder, owed_blocks(database), site, settings.zone)
    service = DbWriter(
        recorder,
        site,
        settings.store.retention_days,
        lambda at: datetime.fromtimestamp(at, settings.zone),
        Care(site, recorder, copying, outbox, Looking(database, settings.backups)),
    )
    stored = History(settings.database, settings.zone, settings.site.name).sensors
    bus = MqttBus("db_writer", settings, stored)
    run(service, bus, note=lambda: "; ".join(filter(None, (recorder.note, copying.failure))))
    recorder.close()


def patiently_opened(settings: Settings) -> Recorder:
    """The recorder, as soon as the database can be opened; the broker keeps what is said meanwhile."""
    while True:
        try:
            recorder = Recorder(settings.database, settings.zone, settings.store.horizons)
        except Unavailable as hindrance:
            log("db_writer", str(hindrance), logging.ERROR)
            time.sleep(5)
        else:
            if recorder.note:
                log("db_writer", recorder.note, logging.ERROR)
            return recorder


if __name__ == "__main__":
    main()
