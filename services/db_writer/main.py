"""Wires db_writer to the broker and the database."""

from datetime import datetime

from services.db_writer.service import DbWriter
from shared.runtime.mqtt_bus import MqttBus
from shared.runtime.run import run
from shared.settings import load_settings
from shared.store.recorder import Recorder


def main() -> None:
    settings = load_settings()
    recorder = Recorder(settings.database, settings.zone, settings.store.horizons)
    service = DbWriter(
        recorder,
        settings.site.name,
        settings.store.retention_days,
        lambda at: datetime.fromtimestamp(at, settings.zone),
    )
    run(service, MqttBus("db_writer", settings))
    recorder.close()


if __name__ == "__main__":
    main()
