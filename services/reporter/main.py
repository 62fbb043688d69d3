"""Wires reporter to the broker and data/sensor/."""

from services.reporter.folder import SensorFolder
from services.reporter.owed import Owed
from services.reporter.service import Reporter
from shared.runtime.mqtt_bus import MqttBus
from shared.runtime.run import run
from shared.settings import load_settings
from shared.store.history import History


def main() -> None:
    settings = load_settings()
    folder = SensorFolder(settings.sensor_folder)
    wanted = settings.reporter
    history = History(settings.database, settings.zone, settings.site.name)
    owed = Owed(history, settings.zone, wanted.outbox_days)
    service = Reporter(folder, settings.zone, wanted.horizons_hours, wanted.outbox_days, owed)
    run(service, MqttBus("reporter", settings, history.sensors))


if __name__ == "__main__":
    main()
