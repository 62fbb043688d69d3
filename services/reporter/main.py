"""Wire reporter to the broker and data/sensor/."""

from services.reporter.history_lookup import HistoryLookup
from services.reporter.output_folder import OutputFolder
from services.reporter.service import Reporter
from shared.runtime.log import start_logging
from shared.runtime.loop import run
from shared.runtime.mqtt_bus import MqttBus
from shared.settings import load_settings
from shared.store.history import History


def main() -> None:
    settings = load_settings()
    start_logging(settings.zone)
    folder = OutputFolder(settings.sensor_folder)
    history = History(settings.database, settings.zone, settings.site.name)
    lookup = HistoryLookup(history, settings.zone, settings.reporter.outbox_days)
    report = settings.reporter
    service = Reporter(folder, settings.zone, report.horizons_hours, report.outbox_days, lookup, report.repeated_column)
    run(service, MqttBus("reporter", settings, history.sensors))


if __name__ == "__main__":
    main()
