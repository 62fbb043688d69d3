"""Wires reporter to the broker and data/sensor/."""

from services.reporter.folder import SensorFolder
from services.reporter.service import Reporter
from shared.runtime.mqtt_bus import MqttBus
from shared.runtime.run import run
from shared.settings import load_settings


def main() -> None:
    settings = load_settings()
    folder = SensorFolder(settings.sensor_folder)
    run(
        Reporter(folder, settings.reporter.horizons_hours, settings.reporter.outbox_days),
        MqttBus("reporter", settings),
    )


if __name__ == "__main__":
    main()
