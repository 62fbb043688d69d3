"""Wires reporter to the broker and data/sensor/."""

from functools import partial

from services.reporter.folder import SensorFolder
from services.reporter.owed import believable_until, owed_since
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
    owed = owed_since(history, settings.zone, wanted.outbox_days)
    until = partial(believable_until, history, settings.zone)
    service = Reporter(folder, wanted.horizons_hours, wanted.outbox_days, owed, until)
    run(service, MqttBus("reporter", settings, history.sensors))


if __name__ == "__main__":
    main()
