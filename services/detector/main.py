"""Entry point: connects the detector to the broker and, read-only, to stored history."""

from services.detector.service import Detector
from shared.runtime.gap_recovery import with_gap_recovery
from shared.runtime.log import start_logging
from shared.runtime.loop import run
from shared.runtime.mqtt_bus import MqttBus
from shared.runtime.public_holidays import make_calendar
from shared.settings import load_settings
from shared.store.history import History


def main() -> None:
    settings = load_settings()
    start_logging(settings.zone)
    history = History(settings.database, settings.zone, settings.site.name)
    detector = Detector(settings, history, make_calendar(settings.site.country))
    bus = MqttBus("detector", settings, history.sensors)
    run(with_gap_recovery(detector, history, detector.oldest_missing_output, lambda: bus.connections), bus)


if __name__ == "__main__":
    main()
